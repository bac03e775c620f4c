"""Losses of CLIP-ReID (Li et al. 2023; THESIS section 3) as pure functions.

Similarities are raw dot products: no normalisation, no temperature.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive(images: Tensor, texts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(i2t, t2i) of stage 1: cross-entropies of V_i . T_a over the batch's texts and of V_a . T_i over its images.

    With targets that put equal mass on the entries of one's identity (`attribute_targets.contrastive_identity`) these
    are CLIP-ReID's: i2t(i) = -log softmax_a(V_i . T_a)[i], as an identity that is twice in the batch has one text, and
    t2i(y) = the mean over the images p of y of -log softmax_a(V_a . T_y)[p].

    Args:
        images: features of the batch [b, e].
        texts: the text feature of each image's identity [b, e]; an identity that is twice in the batch stands twice.
        targets: [b, b], row i what image i should find among the texts, and text i among the images.
    """
    logits = images @ texts.T  # [b, b]
    return F.cross_entropy(logits, targets), F.cross_entropy(logits.T, targets)


def identity_cross_entropy(logits: Tensor, identities: Tensor, smoothing: float, table: Tensor | None = None) -> Tensor:
    """mean over i of -sum_k q_ik log softmax_k(logits_i): the identity loss, and with logits V_i . T_k the i2tce loss.

    Args:
        logits: [b, k]; identities: [b] in 0..k-1.
        smoothing: eps of q = (1 - eps) * onehot + eps / k.
        table: [k, k], whose row of each identity replaces that q.
    """
    if table is None:
        return F.cross_entropy(logits, identities, label_smoothing=smoothing)
    return F.cross_entropy(logits, table[identities])


def batch_hard_triplet(features: Tensor, identities: Tensor, margin: float) -> Tensor:
    """Triplet loss with the farthest positive and the closest negative of the batch (Hermans et al. 2017).

    mean over anchors of max(margin + d_ap - d_an, 0), Euclidean distances of raw features [b, d]; identities [b].
    """
    return hardest_triplet(euclidean(features), identities, margin)


def hardest_triplet(distances: Tensor, identities: Tensor, margin: float) -> Tensor:
    """:func:`batch_hard_triplet` of given distances [b, b]; identities [b]."""
    same = identities[:, None] == identities[None, :]
    farthest_positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
    closest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    return F.relu(margin + farthest_positive - closest_negative).mean()


def euclidean(features: Tensor) -> Tensor:
    """Pairwise Euclidean distances [b, b]; clamped above 0, where the root has no gradient."""
    squares = features.square().sum(dim=1)
    return (squares[:, None] + squares[None, :] - 2 * features @ features.T).clamp(min=1e-12).sqrt()
