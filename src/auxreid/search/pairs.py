"""Pairs of photographs of known dogs: of one dog, and of two, drawn at random and the most alike.

Learnt from the most alike alone, a weight can come out as negative: among them likeness says nothing any more. Learnt
from random ones alone, it does not know what tells look-alikes apart.
"""

from dataclasses import dataclass

import numpy as np

RANDOM = 100  # pairs of two dogs per photograph, or all there are
HARD = 20  # per photograph, the most alike of two dogs
SHARES = 0.5, 0.4, 0.1  # of the weight: pairs of one dog, random and hard ones of two


@dataclass(frozen=True)
class Pairs:
    """p pairs. The weights of all sum to 1, of those of one dog, random and hard ones to SHARES."""

    first: np.ndarray  # int64 [p], photographs
    second: np.ndarray
    same: np.ndarray  # bool [p]
    weight: np.ndarray  # float64 [p]


def draw_pairs(
    embedding: np.ndarray, dog: np.ndarray, sequence: np.ndarray, fold: np.ndarray, rows: np.ndarray, seed: int
) -> Pairs:
    """The pairs among some photographs, each once.

    Args:
        embedding: float32 [n, d], unit length
        dog: int64 [n]
        sequence: int64 [n]; photographs of one dog in one sequence are no pair
        fold: int64 [n]; embeddings of two folds cannot be compared
        rows: places of photographs to be paired

    Raises:
        ValueError: they have no pair of one dog, or none of two.
    """
    rng = np.random.default_rng(seed)
    cosine = embedding[rows] @ embedding[rows].T
    one, usable = dog[rows][:, None] == dog[rows], fold[rows][:, None] == fold[rows]
    upper = np.triu(usable, 1)
    same = upper & one & (sequence[rows][:, None] != sequence[rows])
    other = upper & ~one
    if not same.any() or not other.any():
        raise ValueError("calibration needs dogs with photographs of two sequences, and two dogs")
    hard = _nearest(np.where(usable & ~one, cosine, -np.inf)) & other
    drawn = np.argwhere(other)
    drawn = drawn[rng.permutation(len(drawn))[: RANDOM * len(rows)]]
    parts = list(zip((np.argwhere(same), drawn, np.argwhere(hard)), SHARES, strict=True))
    places = np.concatenate([found for found, _ in parts])
    weight = np.concatenate([np.full(len(found), share / len(found)) for found, share in parts])
    return _once(rows[places[:, 0]], rows[places[:, 1]], dog, weight)


def halved(same: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weights of pairs [n], so that those of one dog have half of all."""
    halves = [np.where(same == kind, weight, 0.0) for kind in (True, False)]
    return sum(half / (2 * half.sum()) for half in halves)


def _nearest(cosine: np.ndarray) -> np.ndarray:
    """bool [n, n]: either is among the HARD most alike of the other; -inf is nobody."""
    found = np.zeros(cosine.shape, bool)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, :HARD]
    np.put_along_axis(found, nearest, True, axis=1)
    found &= np.isfinite(cosine)
    return found | found.T


def _once(first: np.ndarray, second: np.ndarray, dog: np.ndarray, weight: np.ndarray) -> Pairs:
    """A pair that is random and hard is one of both weights."""
    pairs, own = np.unique(np.stack([first, second], axis=1), axis=0, return_inverse=True)
    a, b = pairs.T
    return Pairs(a, b, dog[a] == dog[b], np.bincount(own.ravel(), weight))
