"""Groups of items by mean likeness, each bounded by its least alike pair: one wrong link chains no two groups."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

NEVER = -1000.0  # likeness of two items that cannot be one


def clusters(alike: np.ndarray, link: float, weakest: float) -> np.ndarray:
    """int64 [n], each item's group, numbered by their first items.

    The two most alike groups are joined, again and again, while the mean over their pairs is at least `link` and each
    of these pairs at least `weakest`. Of equally alike ones the first are taken, so that the order of the items counts
    there: callers sort them.

    Args:
        alike: float32 [n, n], symmetric; `NEVER` keeps two items apart.
    """
    count = len(alike)
    if count == 0:
        return np.zeros(0, np.int64)
    # Two groups whose mean reaches the link have a pair that does: no group leaves its part of this graph.
    parts = connected_components(csr_array(alike >= link), directed=False)[1]
    first_of = np.empty(count, np.int64)
    for part in range(parts.max() + 1):
        members = np.flatnonzero(parts == part)
        first_of[members] = members[_joined(alike[np.ix_(members, members)], link, weakest)]
    return np.unique(first_of, return_inverse=True)[1]


def _joined(alike: np.ndarray, link: float, weakest: float) -> np.ndarray:
    """int64 [m]: each item's group, named by its first item."""
    count = len(alike)
    mean, least = alike.astype(np.float64), alike.copy()
    sizes, group_of = np.ones(count), np.arange(count)
    value = np.where((mean >= link) & (least >= weakest), mean, -np.inf)
    np.fill_diagonal(value, -np.inf)
    best, best_at = value.max(axis=1), value.argmax(axis=1)
    while np.isfinite(top := best.max()):
        one = int(np.flatnonzero(best == top)[0])
        one, other = sorted((one, int(best_at[one])))
        group_of[group_of == other] = one
        mean[one] = (sizes[one] * mean[one] + sizes[other] * mean[other]) / (sizes[one] + sizes[other])
        least[one] = np.minimum(least[one], least[other])
        mean[:, one], least[:, one] = mean[one], least[one]
        sizes[one] += sizes[other]
        row = np.where((mean[one] >= link) & (least[one] >= weakest), mean[one], -np.inf)
        row[one] = -np.inf
        row[np.isneginf(value[one]) & np.isneginf(value[other])] = -np.inf  # no longer there, or never joined
        value[one], value[:, one] = row, row
        value[other], value[:, other] = -np.inf, -np.inf
        stale = np.flatnonzero((best_at == one) | (best_at == other) | (value[:, one] > best))
        for each in {*stale.tolist(), one, other}:
            best[each], best_at[each] = value[each].max(), value[each].argmax()
    return group_of
