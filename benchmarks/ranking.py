"""mAP, mINP and CMC at Market-1501's size (3,368 queries, 15,913 gallery images): ours against argsort and a loop.

    python benchmarks/ranking.py

Both rank the same seeded distances; the figures must be equal before a time is printed.
"""

import time

import numpy as np

from auxreid.evaluation.ranking import RankedQueries, rank_queries, summarise

QUERIES, GALLERY, IDENTITIES, CAMERAS, DISTRACTORS = 3368, 15913, 750, 6, 2798


def market_sized(seed: int = 0) -> tuple[np.ndarray, ...]:
    """Distances float32 [3368, 15913] in which identities cluster, Market-1501's number of distractors, and the labels.

    Wrong matches lie at even whole numbers and one's own identity at odd ones: argsort leaves ties between the two in
    any order, and here there are none.
    """
    rng = np.random.default_rng(seed)
    query_identity = rng.integers(1, IDENTITIES + 1, QUERIES)
    gallery_identity = rng.integers(1, IDENTITIES + 1, GALLERY)
    gallery_identity[:DISTRACTORS] = 0
    distances = rng.integers(0, 2**22, (QUERIES, GALLERY), np.int32).astype(np.float32) * 2
    distances[query_identity[:, None] == gallery_identity[None]] -= np.float32(0.6 * 2**23 // 2 * 2 + 1)
    cameras = rng.integers(1, CAMERAS + 1, QUERIES), rng.integers(1, CAMERAS + 1, GALLERY)
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


def main() -> None:
    """Print one line: seconds of both and their ratio."""
    problem = market_sized()
    timings, results = [], []
    for method in (argsort_and_loop, rank_queries):
        started = time.perf_counter()
        results.append(method(*problem))
        timings.append(time.perf_counter() - started)
    slow, fast = results
    np.testing.assert_allclose(fast.average_precision, slow.average_precision, atol=1e-9)
    np.testing.assert_array_equal(fast.first_match_rank, slow.first_match_rank)
    np.testing.assert_allclose(fast.inverse_negative_penalty, slow.inverse_negative_penalty, atol=1e-9)
    print(
        f"ranking {QUERIES} x {GALLERY}: argsort and loop {timings[0]:.2f} s, ours {timings[1]:.2f} s, "
        f"{timings[0] / timings[1]:.1f} times faster, equal figures (mAP {summarise(fast)['mAP']:.4f})"
    )


if __name__ == "__main__":
    main()
