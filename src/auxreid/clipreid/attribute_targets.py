"""Targets of the losses that say how alike identities are by their attributes, instead of one-hot identities.

`share` is always the share of equal attributes between two identities, in 0..1 with 1 on the diagonal. Targets are rows
that a cross-entropy -sum_k q_k log p_k reads. The thesis's forms have the flaws that THESIS section 4 names.
"""

import torch
from torch import Tensor


def contrastive_identity(identities: Tensor) -> Tensor:
    """CLIP-ReID's own: equal mass on the entries of one's identity; identities [b] -> [b, b], rows sum to 1."""
    same = _same(identities)
    return same / same.sum(dim=1, keepdim=True)


def contrastive_share(identities: Tensor, share: Tensor) -> Tensor:
    """The thesis's attribute smoothing of stage 1: (1[a = b] + share of equal attributes) / 2, rows normalised.

    Args:
        identities: of the batch [b], in 0..k-1.
        share: [k, k].
    Returns:
        [b, b], rows sum to 1. With 64 identities in a batch some 4 % of a row is left to the true one.
    """
    alike = (_same(identities) + _among(share, identities)) / 2
    return alike / alike.sum(dim=1, keepdim=True)


def contrastive_smoothing(identities: Tensor, share: Tensor, epsilon: float) -> Tensor:
    """The corrected form: (1 - epsilon) on one's identity, epsilon spread over the others by their share.

    Arguments and result as :func:`contrastive_share`. A row whose batch holds nobody else who shares an attribute keeps
    all its mass on the identity.
    """
    same = _same(identities)
    return _smoothed(contrastive_identity(identities), _among(share, identities) * (1 - same), epsilon)


def class_share(share: Tensor) -> Tensor:
    """The thesis's cross-entropy targets of stage 2: the share itself, NOT normalised; rows sum to hundreds. [k, k]"""
    return share


def class_smoothing(share: Tensor, epsilon: float) -> Tensor:
    """The corrected form: (1 - epsilon) onehot + epsilon * share without self, normalised. [k, k] -> [k, k]"""
    onehot = torch.eye(len(share), dtype=share.dtype, device=share.device)
    return _smoothed(onehot, share * (1 - onehot), epsilon)


def _among(share: Tensor, identities: Tensor) -> Tensor:
    """The shares between the members of a batch [b] -> [b, b], on the batch's device."""
    return share.to(identities.device)[identities][:, identities]


def _same(labels: Tensor) -> Tensor:
    return (labels[:, None] == labels[None, :]).float()


def _smoothed(sharp: Tensor, others: Tensor, epsilon: float) -> Tensor:
    total = others.sum(dim=1, keepdim=True)
    spread = torch.where(total > 0, others / total.clamp(min=1e-12), sharp)
    return (1 - epsilon) * sharp + epsilon * spread
