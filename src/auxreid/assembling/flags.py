"""What a person should look at twice: blurred photographs, and dogs that may be two."""

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from auxreid.assembling.items import Item
from auxreid.assembling.thresholds import Thresholds

LEAST_PART = 2  # photographs in each of two looks
LEAST_SET = 8  # photographs, from which on a set has a usual sharpness


def blurred(items: Sequence[Item], thresholds: Thresholds) -> set[str]:
    """Photographs whose sharpness is far below what is usual in the set, in logarithms."""
    if len(items) < LEAST_SET:
        return set()
    values = np.log(np.array([item.look.sharpness for item in items]) + 1)
    middle = np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), 0.1)
    found = values < middle - thresholds.blurred * spread
    return {item.photo for item, is_blurred in zip(items, found, strict=True) if is_blurred}


def has_two_looks(alike: np.ndarray, thresholds: Thresholds) -> bool:
    """Whether a dog's photographs [n, n] fall in two parts that are much less alike than each is within."""
    count = len(alike)
    if count < 2 * LEAST_PART:
        return False
    apart = float(alike.max()) - alike.astype(np.float64)
    np.fill_diagonal(apart, 0)
    part = fcluster(linkage(squareform(apart, checks=False), "average"), 2, "maxclust") == 1
    if min(part.sum(), (~part).sum()) < LEAST_PART:
        return False
    within = np.concatenate([_pairs(alike[np.ix_(part, part)]), _pairs(alike[np.ix_(~part, ~part)])])
    return float(within.mean() - alike[np.ix_(part, ~part)].mean()) >= thresholds.two_looks


def _pairs(alike: np.ndarray) -> np.ndarray:
    return alike[np.triu_indices(len(alike), 1)]
