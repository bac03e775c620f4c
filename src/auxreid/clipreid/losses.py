"""Losses of CLIP-ReID (Li et al. 2023; THESIS section 3) as pure functions.

Similarities are raw dot products: no normalisation, no temperature.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def image_to_text(images: Tensor, texts: Tensor) -> Tensor:
    """i2t of stage 1: mean over i of -log softmax_a(V_i . T_a)[i].

    Args:
        images: features of the batch [b, e].
        texts: the text feature of each image's identity [b, e]; an identity that is twice in the batch stands twice.
    """
    logits = images @ texts.T  # [b, b]
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def text_to_image(images: Tensor, texts: Tensor, identities: Tensor) -> Tensor:
    """t2i of stage 1: for each y, the mean over the batch's images p of its identity of -log softmax_a(V_a . T_y)[p].

    Args:
        images, texts: as in :func:`image_to_text`.
        identities: [b].
    """
    log_share = F.log_softmax(texts @ images.T, dim=1)  # [b texts, b images]
    same = (identities[:, None] == identities[None, :]).float()  # [b, b]
    return -((same * log_share).sum(dim=1) / same.sum(dim=1)).mean()


def image_text_cross_entropy(images: Tensor, all_texts: Tensor, identities: Tensor, smoothing: float) -> Tensor:
    """i2tce of stage 2: cross-entropy of V_i . T_k over all k training identities against the smoothed identity.

    Args:
        images: [b, e]; all_texts: [k, e]; identities: [b] in 0..k-1.
        smoothing: eps of q = (1 - eps) * onehot + eps / k.
    """
    return F.cross_entropy(images @ all_texts.T, identities, label_smoothing=smoothing)


def batch_hard_triplet(features: Tensor, identities: Tensor, margin: float) -> Tensor:
    """Triplet loss with the farthest positive and the closest negative of the batch (Hermans et al. 2017).

    mean over anchors of max(margin + d_ap - d_an, 0), Euclidean distances of raw features [b, d]; identities [b].
    """
    distances = euclidean(features)  # [b, b]
    same = identities[:, None] == identities[None, :]
    farthest_positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
    closest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    return F.relu(margin + farthest_positive - closest_negative).mean()


def euclidean(features: Tensor) -> Tensor:
    """Pairwise Euclidean distances [b, b]; clamped above 0, where the root has no gradient."""
    squares = features.square().sum(dim=1)
    return (squares[:, None] + squares[None, :] - 2 * features @ features.T).clamp(min=1e-12).sqrt()
