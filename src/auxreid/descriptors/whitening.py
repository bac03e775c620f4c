"""Whitening by the covariance within identities (within-class covariance normalisation, Hatch and others 2006).

What varies among the images of one person (light, pose, camera) is what makes a distance uncertain; after it, a step in
any direction is as uncertain as in any other.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auxreid.plumbing.base.errors import DataError

SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)  # 1: no direction is told from another
NONE = 1e-10  # share of the largest variance below which rounding tells no direction


class Spread(NamedTuple):
    """The covariance of features around the mean of their identity, C = V diag(v) V^T."""

    variances: Tensor  # v, float64 [r]; all other directions have none
    directions: Tensor  # V, float64 [d, r], orthonormal columns
    even: float  # tr(C) / d


def within_spread(features: Tensor, classes: np.ndarray) -> Spread:
    """Of features [n, d] of identities [n] in 0..k-1. Identities of one image say nothing, and count for nothing.

    Raises:
        DataError: no identity has two images.
    """
    labels = torch.from_numpy(classes)
    counts = torch.bincount(labels)
    free = len(labels) - int((counts > 0).sum())
    if free == 0:
        raise DataError("whitening needs an identity with two images or more, and every one of these has one")
    values = features.double()
    count, width = values.shape
    sums = torch.zeros(len(counts), width, dtype=torch.float64).index_add_(0, labels, values)
    left = (values - (sums / counts.clamp(min=1)[:, None])[labels]) / free**0.5
    even = float(left.square().sum()) / width
    if count < width:  # fewer directions than dimensions, and far less work
        variances, inner = torch.linalg.eigh(left @ left.T)
        kept = variances > variances[-1].clamp(min=torch.finfo(torch.float64).tiny) * NONE
        variances = variances[kept]
        return Spread(variances, left.T @ (inner[:, kept] / variances.sqrt()), even)
    return Spread(*torch.linalg.eigh(left.T @ left), even)


def whitening(spread: Spread, shrinkage: float) -> Tensor:
    """The symmetric W [d, d] with W W = ((1 - s) C + s tr(C)/d I)^-1: features x become x W. float32

    A direction that never varies has the least variance that the shrinkage leaves, or that float32 tells from none.
    """
    inside, outside = _factors(spread, shrinkage)
    turned = (spread.directions * (inside - outside)) @ spread.directions.T
    return (turned + outside * torch.eye(len(turned), dtype=torch.float64)).float()


def _factors(spread: Spread, shrinkage: float) -> tuple[Tensor, float]:
    """By which W stretches the directions that vary, [r], and all others."""
    least = max(spread.even * torch.finfo(torch.float32).eps, torch.finfo(torch.float32).tiny)
    added = shrinkage * spread.even
    inside = ((1 - shrinkage) * spread.variances + added).clamp(min=least).rsqrt()  # [r]
    return inside, max(added, least) ** -0.5


def _turned_whitened(features: Tensor, spread: Spread, shrinkages: Sequence[float]) -> Iterator[Tensor]:
    """For each shrinkage features [m, d] times W, but for a rotation, which no distance sees; without W itself."""
    directions = spread.directions.float()
    along = features @ directions  # [m, r]
    beside = features - along @ directions.T if directions.shape[1] < len(directions) else features[:, :0]
    for shrinkage in shrinkages:
        inside, outside = _factors(spread, shrinkage)
        yield torch.cat([along * inside.float(), beside * outside], dim=1)


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
        score: of whitened features [m, e] and which images they are [m], the higher the better; of their distances and
            lengths alone, since they come turned into other coordinates.
    """
    identities = np.random.default_rng(seed).permutation(int(classes.max()) + 1)
    halves = np.array_split(identities, 2)
    rows = [np.flatnonzero(np.isin(classes, half)) for half in halves]
    scores = dict.fromkeys(candidates, 0.0)
    for fitted, held_out in (rows, rows[::-1]):
        own = np.unique(classes[fitted], return_inverse=True)[1]
        spread = within_spread(features[fitted], own)
        whitened = _turned_whitened(features[held_out], spread, candidates)
        for shrinkage, vectors in zip(candidates, whitened, strict=True):
            scores[shrinkage] += score(vectors, held_out) / 2
    return max(scores, key=lambda one: (scores[one], one)), scores
