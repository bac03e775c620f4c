"""The tables of stage 2 that a row asks for: its texts, its targets, its positives."""

import numpy as np
import torch
from torch import Tensor

from auxreid.clipreid.attribute_targets import class_groups, class_share, class_smoothing
from auxreid.clipreid.identity_attributes import equal_groups, identity_attributes, share_of_equal
from auxreid.clipreid.stage2_losses import Supervision


def build_supervision(frames, classes: np.ndarray, texts: Tensor | None, row, smoothing: float) -> Supervision:
    """Tables over the training identities, in the order of their classes.

    Args:
        frames: the training frames; classes: theirs, in 0..k-1 [n].
        texts: a text feature per identity [k, e], or None for no text loss.
        row: the ablation's section.
        smoothing: the label smoothing of the finetune section.

    Raises:
        DataError: the row needs attributes and the frames have none.
    """
    codes = None
    if "attribute" in f"{row.id_targets} {row.text_targets} {row.positives}":
        codes = identity_attributes(frames, classes).codes  # [k, A]
    return Supervision(
        texts=texts,
        id_targets=_targets(row.id_targets, codes, texts, row.epsilon, smoothing),
        text_targets=None if texts is None else _targets(row.text_targets, codes, texts, row.epsilon, smoothing),
        positives=torch.from_numpy(equal_groups(codes)) if row.positives == "equal_attributes" else None,
    )


def _targets(kind: str, codes, texts: Tensor | None, epsilon: float, smoothing: float) -> Tensor | None:
    if kind == "identity":
        return None
    if kind == "equal_text":
        return class_groups(torch.unique(texts, dim=0, return_inverse=True)[1], smoothing)
    share = torch.from_numpy(share_of_equal(codes)).float()  # [k, k]
    return class_share(share) if kind == "attribute_share" else class_smoothing(share, epsilon)
