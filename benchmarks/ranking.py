"""mAP, mINP and CMC at Market-1501's size (3,368 queries, 15,913 gallery images): ours against argsort and a loop.

    python benchmarks/ranking.py [--queries 3368] [--gallery 15913]

Both rank the same seeded distances, and their figures must be equal.
"""

import time

import numpy as np
from result import Asked, Row, finish, times
from sizes import read_sizes

from auxreid.evaluation.ranking import RankedQueries, rank_queries, summarise

QUERIES, GALLERY, IDENTITIES, CAMERAS, DISTRACTORS = 3368, 15913, 750, 6, 2798
LEAST_RATIO, TOLERANCE = 10, 1e-9


def clustered_distances(queries: int, gallery: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Distances float32 [q, g] in which identities cluster, Market-1501's share of distractors, and the labels.

    Wrong matches lie at even whole numbers and one's own identity at odd ones: argsort leaves ties between the two in
    any order, and here there are none.
    """
    rng = np.random.default_rng(seed)
    query_identity = rng.integers(1, IDENTITIES + 1, queries)
    gallery_identity = rng.integers(1, IDENTITIES + 1, gallery)
    gallery_identity[: gallery * DISTRACTORS // GALLERY] = 0
    distances = rng.integers(0, 2**22, (queries, gallery), np.int32).astype(np.float32) * 2
    distances[query_identity[:, None] == gallery_identity[None]] -= np.float32(0.6 * 2**23 // 2 * 2 + 1)
    cameras = rng.integers(1, CAMERAS + 1, queries), rng.integers(1, CAMERAS + 1, gallery)
    return distances, query_identity, gallery_identity, *cameras


def argsort_and_loop(
    distances: np.ndarray,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    query_camera: np.ndarray,
    gallery_camera: np.ndarray,
) -> RankedQueries:
    """The usual evaluation: sort every gallery list, then walk the queries. Ties are left as argsort leaves them."""
    order = np.argsort(distances, axis=1)
    figures, first = np.full((2, len(distances)), np.nan), np.zeros(len(distances), np.int64)
    for q, listed in enumerate(order):
        same = gallery_identity[listed] == query_identity[q]
        relevance = same[~(same & (gallery_camera[listed] == query_camera[q]))]
        ranks = np.flatnonzero(relevance) + 1
        if len(ranks):
            precision = relevance.cumsum() / np.arange(1, len(relevance) + 1)
            figures[:, q] = (precision * relevance).sum() / len(ranks), len(ranks) / ranks[-1]
            first[q] = ranks[0]
    return RankedQueries(figures[0], figures[1], first, first > 0)


def largest_difference(one: RankedQueries, other: RankedQueries) -> float:
    """Of any figure of any query; infinite where one has a figure and the other has none."""
    largest = 0.0
    for name in ("average_precision", "inverse_negative_penalty", "first_match_rank"):
        first, second = getattr(one, name), getattr(other, name)
        if not np.array_equal(np.isnan(first), np.isnan(second)):
            return np.inf
        largest = max(largest, float(np.nan_to_num(np.abs(first - second)).max()))
    return largest


def rows(queries: int = QUERIES, gallery: int = GALLERY) -> list[Row]:
    """Seconds of both, and their ratio."""
    problem = clustered_distances(queries, gallery)
    timings, results = [], []
    for method in (argsort_and_loop, rank_queries):
        started = time.perf_counter()
        results.append(method(*problem))
        timings.append(time.perf_counter() - started)
    difference = largest_difference(*results)
    asked = (
        Asked("ratio", timings[0] / timings[1], least=LEAST_RATIO),
        Asked("difference", difference, most=TOLERANCE),
    )
    figures = f"{timings[0]:.2f} s", f"{timings[1]:.2f} s", times(*timings)
    remark = f"equal to {difference:.0e}, mAP {summarise(results[1])['mAP']:.4f}"
    return [Row(f"ranking, {queries} x {gallery}", "argsort and loop", *figures, asked, remark)]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, queries=QUERIES, gallery=GALLERY)))
