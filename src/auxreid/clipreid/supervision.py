"""The tables of stage 2 that a row asks for: its texts, its targets, its positives."""

import numpy as np
import torch
from torch import Tensor

from auxreid.clipreid.attribute_targets import class_share, class_smoothing
from auxreid.clipreid.identity_attributes import equal_groups, identity_attributes, share_of_equal
from auxreid.clipreid.stage2_losses import Supervision


def build_supervision(frames, classes: np.ndarray, texts: Tensor | None, row) -> Supervision:
    """Tables over the training identities, in the order of their classes.

    With text_targets equal_text, identities of one text are one class of the text loss, whose softmax counts each
    distinct text once. (Targets shared among them over all k texts would change nothing: equal texts have equal logits,
    and the cross-entropy does not depend on how their mass is parted among them.)

    Args:
        frames: the training frames; classes: theirs, in 0..k-1 [n].
        texts: a text feature per identity [k, e], or None for no text loss.
        row: the ablation's section.

    Raises:
        DataError: the row needs attributes and the frames have none.
    """
    codes = None
    if "attribute" in f"{row.id_targets} {row.text_targets} {row.positives}":
        codes = identity_attributes(frames, classes).codes  # [k, A]
    text_classes = None
    if row.text_targets == "equal_text":
        texts, text_classes = torch.unique(texts, dim=0, return_inverse=True)  # [u, e], [k]
    return Supervision(
        texts=texts,
        text_classes=text_classes,
        id_targets=_targets(row.id_targets, codes, row.epsilon),
        text_targets=_targets(row.text_targets, codes, row.epsilon),
        positives=torch.from_numpy(equal_groups(codes)) if row.positives == "equal_attributes" else None,
    )


def _targets(kind: str | None, codes, epsilon: float | None) -> Tensor | None:
    """[k, k], or None where the label-smoothed class is the target."""
    if kind is None or not kind.startswith("attribute"):
        return None
    share = torch.from_numpy(share_of_equal(codes)).float()  # [k, k]
    return class_share(share) if kind == "attribute_share" else class_smoothing(share, epsilon)
