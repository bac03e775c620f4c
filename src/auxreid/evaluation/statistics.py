"""How sure a figure is and whether two rows differ: bootstrap intervals over queries, paired sign-flip tests, Holm.

The sampling unit is the query. A figure of query q under seed s is `values[s, q]`, NaN where that seed does not ask
the query (PRID2011's seeds pick different people) or the query has no true match. A row's figure is what the tables
show: the mean over seeds of each seed's mean over its queries.

A query that is drawn, or whose sign is flipped, takes its values under all seeds with it. On Market-1501, where every
seed asks the same queries, this is the same as averaging each query's AP over the seeds first. On PRID2011 a person is
tested in about half of the ten splits; drawing within each split as if the splits shared nobody would count one easy
person five times as five pieces of evidence, and give intervals that are too narrow.

What this does not cover: the models are taken as trained. How another training would have come out is what the
standard deviation over seeds shows.
"""

from collections.abc import Iterator

import numpy as np

CHUNK_BYTES = 8 * 2**20  # of one [r, n] matrix of draws; three of them live at a time


def resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Bootstrap distribution of k figures, from the same draws for all of them, so that they can be subtracted.

    Each resample draws n of the n queries with replacement and takes, for each figure, the mean over seeds of the mean
    over the drawn queries that the seed asks (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6).
    Seeds of which no query was drawn are left out of a resample's mean.

    Args:
        values: float [k, s, n], NaN where there is no value.
        seed: of the draws.

    Returns:
        float64 [resamples, k]; NaN where a resample has no query of a figure at all.

    Raises:
        ValueError: another shape, no query, or fewer than 1 resample.
    """
    if values.ndim != 3 or values.shape[2] == 0:
        raise ValueError(f"values have shape {values.shape}, expected [k, s, n] with n above 0")
    figures, seeds, queries = values.shape
    present = ~np.isnan(values).reshape(-1, queries)  # [k * s, n]
    patterns, pattern = np.unique(present, axis=0, return_inverse=True)  # a few: rows share their queries
    known = np.where(present, values.reshape(-1, queries), 0.0)
    parts = []
    for counts in _draws(queries, resamples, seed):
        sizes = (counts @ patterns.T.astype(np.float64))[:, pattern.ravel()]  # [r, k * s]
        sums = counts @ known.T
        means = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0).reshape(-1, figures, seeds)
        asked = (sizes > 0).reshape(-1, figures, seeds).sum(axis=2)  # [r, k]
        parts.append(np.divide(means.sum(axis=2), asked, out=np.full(asked.shape, np.nan), where=asked > 0))
    return np.concatenate(parts)


def _draws(queries: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each query is drawn, float64 [r, n] at a time; the draws do not depend on the size of the parts."""
    rng = np.random.default_rng(seed)
    for rows in _chunks(resamples, 8 * queries):
        drawn = rng.integers(0, queries, (rows, queries))
        drawn += queries * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, queries).astype(np.float64)


def _chunks(total: int, row_bytes: int) -> Iterator[int]:
    """Sizes of the parts that `total` rows are worked through in."""
    if total < 1:
        raise ValueError(f"{total} random repetitions were asked for, allowed is 1 or more")
    step = max(1, CHUNK_BYTES // row_bytes)
    for start in range(0, total, step):
        yield min(step, total - start)


def percentile_intervals(distribution: np.ndarray, level: float) -> np.ndarray:
    """The middle `level` (0.95 for 95 %) of each column of a bootstrap distribution [r, k]: float64 [k, 2].

    Resamples without a value (NaN) say nothing about a column and are left out of it.
    """
    tail = (1 - level) / 2
    return np.nanquantile(distribution, (tail, 1 - tail), axis=0).T


def query_terms(values: np.ndarray) -> np.ndarray:
    """What each query adds to a row's figure: float64 [n], summing to the mean over seeds of the means over queries.

    Args:
        values: float [s, n], NaN where there is no value; seeds without any value are left out.

    Raises:
        ValueError: another shape, or no value at all.
    """
    if values.ndim != 2 or np.isnan(values).all():
        raise ValueError(f"values have shape {values.shape}, expected [s, n] with a value that is not NaN")
    sizes = (~np.isnan(values)).sum(axis=1)  # [s]
    asking = sizes > 0
    return (np.nan_to_num(values[asking]) / sizes[asking, None]).sum(axis=0) / asking.sum()


def sign_flip_p_values(terms: np.ndarray, flips: int, seed: int) -> np.ndarray:
    """Two-sided p-values of k paired differences by random sign flips.

    If two rows were equally good at a query, its difference would be as likely with the other sign. So the sum of the
    differences is compared with its sums under `flips` random choices of signs: p = (1 + how many of these are at
    least as far from zero) / (1 + flips), which is never 0 and keeps the test valid at any number of flips (B. Phipson,
    G. Smyth, Permutation P-values Should Never Be Zero, 2010; R. A. Fisher's randomisation test).

    Args:
        terms: float [n, k], what each query adds to each difference (see :func:`query_terms`).
        seed: of the signs; all k differences see the same ones.

    Returns:
        float64 [k].

    Raises:
        ValueError: another shape, a value that is not finite, or fewer than 1 flip.
    """
    if terms.ndim != 2 or not np.isfinite(terms).all():
        raise ValueError(f"terms have shape {terms.shape}, expected [n, k] of finite numbers")
    rng = np.random.default_rng(seed)
    total = terms.sum(axis=0)  # [k]
    rounding = 1e-12 * np.abs(terms).sum(axis=0)  # equal sums, added up in another order, are still equal
    reached = np.zeros(terms.shape[1], np.int64)
    for rows in _chunks(flips, 8 * max(1, len(terms))):
        kept = rng.integers(0, 2, (rows, len(terms)), dtype=np.int8).astype(np.float64)  # 1: the sign stays
        flipped = 2 * (kept @ terms) - total  # [r, k]
        reached += (np.abs(flipped) >= np.abs(total) - rounding).sum(axis=0)
    return (1 + reached) / (1 + flips)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down correction of m p-values: float64 [m], to be compared with the level of the whole family.

    Sorted ascending, the i-th (from 1) becomes the largest of min(1, (m - j + 1) * p_j) over j up to i (S. Holm, A
    Simple Sequentially Rejective Multiple Test Procedure, 1979). It holds whatever the dependence between the tests.
    """
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values, kind="stable")
    steps = np.minimum(1.0, p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted
