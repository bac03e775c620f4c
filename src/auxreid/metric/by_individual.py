"""Figures of queries as figures of individuals, so that intervals are over individuals: the photographs of one dog are
hard or easy together.

A row's figure stays the mean over its queries. With N queries of D individuals and m their mean, individual d has

    v_d = m + D / N * (sum of (x_q - m) over the queries of d)

so that the mean of v is m, and its variance over individuals is that of m as a ratio of two sums over individuals
(W. Cochran, Sampling Techniques, 1977, chapter 6). evaluation/statistics.py takes v as its values.
"""

from collections.abc import Sequence

import numpy as np


def by_individual(values: Sequence[np.ndarray], identity: Sequence[np.ndarray]) -> np.ndarray:
    """v, float64 [s, d]: for each of s seeds, of its queries' values [q] and identities [q]; NaN values are left out.

    The columns are all individuals that any seed asks for, ascending; NaN where a seed does not.
    """
    kept = [(x[~np.isnan(x)], who[~np.isnan(x)]) for x, who in zip(values, identity, strict=True)]
    names = np.unique(np.concatenate([who for _, who in kept]))
    found = np.full((len(kept), len(names)), np.nan)
    for row, (x, who) in zip(found, kept, strict=True):
        asked, own = np.unique(who, return_inverse=True)
        if len(asked):
            sums = np.bincount(own, weights=x - x.mean())
            row[np.searchsorted(names, asked)] = x.mean() + len(asked) / len(x) * sums
    return found
