"""Whitening by the covariance within identities (within-class covariance normalisation, Hatch and others 2006).

What varies among the images of one person (light, pose, camera) is what makes a distance uncertain; after it, a step in
any direction is as uncertain as in any other.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from auxreid.plumbing.base.errors import DataError

SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # 1: no direction is told from another


def within_covariance(features: Tensor, classes: np.ndarray) -> Tensor:
    """Covariance of features [n, d] around the mean of their identity, float64 [d, d]; classes [n] in 0..k-1.

    Identities of one image say nothing, and count for nothing.

    Raises:
        DataError: no identity has two images.
    """
    labels = torch.from_numpy(classes)
    counts = torch.bincount(labels)
    free = len(labels) - int((counts > 0).sum())
    if free == 0:
        raise DataError("whitening needs an identity with two images or more, and every one of these has one")
    values = features.double()
    sums = torch.zeros(len(counts), values.shape[1], dtype=torch.float64).index_add_(0, labels, values)
    left = values - (sums / counts.clamp(min=1)[:, None])[labels]
    return left.T @ left / free


def whitening(covariance: Tensor, shrinkage: float) -> Tensor:
    """W [d, d] with W W^T = ((1 - s) C + s tr(C)/d I)^-1: features x become x W. float32

    A direction that never varies has the least variance that the shrinkage leaves, or that float32 tells from none.
    """
    width = len(covariance)
    even = covariance.diagonal().mean()
    shrunk = (1 - shrinkage) * covariance + shrinkage * even * torch.eye(width, dtype=covariance.dtype)
    variances, directions = torch.linalg.eigh(shrunk)
    least = max(float(even) * torch.finfo(torch.float32).eps, torch.finfo(torch.float32).tiny)
    return (directions * variances.clamp(min=least).rsqrt()).float()


def choose_shrinkage(
    features: Tensor,
    classes: np.ndarray,
    score: Callable[[Tensor, np.ndarray], float],
    seed: int,
    candidates: Sequence[float] = SHRINKAGES,
) -> tuple[float, dict[float, float]]:
    """The shrinkage that scores best on identities that the covariance has not seen, and the score of each.

    The identities are parted in two by the seed; each half is whitened by the other's covariance.

    Args:
        score: of whitened features [m, d] and which images they are [m], the higher the better.
    """
    identities = np.random.default_rng(seed).permutation(int(classes.max()) + 1)
    halves = np.array_split(identities, 2)
    rows = [np.flatnonzero(np.isin(classes, half)) for half in halves]
    scores = dict.fromkeys(candidates, 0.0)
    for fitted, held_out in (rows, rows[::-1]):
        own = np.unique(classes[fitted], return_inverse=True)[1]
        covariance = within_covariance(features[fitted], own)
        for shrinkage in candidates:
            scores[shrinkage] += score(features[held_out] @ whitening(covariance, shrinkage), held_out) / 2
    return max(scores, key=lambda one: (scores[one], one)), scores
