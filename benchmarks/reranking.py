"""k-reciprocal re-ranking at Market-1501's size (3,368 queries, 15,913 gallery images, 1,280 wide): ours against the
dense numpy formulation.

    python benchmarks/reranking.py [--queries 3368] [--gallery 15913] [--dim 1280]

Each runs in a process of its own, so that its peak memory is its own (the dense one's is some 9 GB at full size, and it
takes some three minutes); the final distances must be equal to 1e-4.
"""

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from result import Asked, Row, finish, times
from sizes import read_sizes

from auxreid.evaluation.reranking import reranked_distances

QUERIES, GALLERY, DIM = 3368, 15913, 1280  # Market-1501, EfficientNet-Lite0
IMAGES_PER_IDENTITY, LATENT, SPREAD = 25, 32, 0.9
GRID = 2048
LEAST_RATIO, TOLERANCE, MOST_GB = 8, 1e-4, 2.5
CHUNK = 256


def clustered_embeddings(
    queries: int, gallery: int, dim: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Query and gallery embeddings float32 [q, d], [g, d] and their identities int [q], [g] from 1.

    Identities are normal clusters in a space of few dimensions, seen through a random projection: neighbour lists then
    overlap, and a plain ranking errs. Values are multiples of 1/2048 and rows have length 1 but for that: so float32
    holds every squared distance exactly, in whatever order it is summed, and the two formulations see the same order.
    """
    rng = np.random.default_rng(seed)
    identities = max(1, (queries + gallery) // IMAGES_PER_IDENTITY)
    identity = rng.integers(1, identities + 1, queries + gallery)
    centres = rng.standard_normal((identities + 1, LATENT), np.float32)
    latent = centres[identity] + np.float32(SPREAD) * rng.standard_normal((len(identity), LATENT), np.float32)
    embedding = latent @ rng.standard_normal((LATENT, dim), np.float32)  # [q + g, d]
    embedding *= GRID / np.linalg.norm(embedding, axis=1, keepdims=True)
    np.rint(embedding, out=embedding)
    embedding /= GRID
    return embedding[:queries], embedding[queries:], identity[:queries], identity[queries:]


def dense(query: np.ndarray, gallery: np.ndarray, *, k1: int = 20, k2: int = 6, weight: float = 0.3) -> np.ndarray:
    """Final distances [q, g] as the paper's formulas stand, on matrices over all entries.

    The sort is stable: with equal distances the order is that of entries, as in ours.
    """
    queries, entries = len(query), np.concatenate([query, gallery])
    norms = np.square(entries).sum(axis=1)
    original = norms[:, None] + norms - 2 * entries @ entries.T  # [n, n]
    original = np.transpose(original / np.max(original, axis=0))
    ranks = np.argsort(original, axis=1, kind="stable").astype(np.int32)
    encoding = _dense_encoding(original, ranks, k1)
    original = original[:queries].copy()
    if k2 > 1:
        expanded = np.zeros_like(encoding)
        for i in range(len(entries)):
            expanded[i] = np.mean(encoding[ranks[i, :k2]], axis=0)
        encoding = expanded
    del ranks
    final = (1 - weight) * _dense_jaccard(encoding, queries) + weight * original
    return final[:, queries:]


def _dense_reciprocal(ranks: np.ndarray, i: int, k: int) -> np.ndarray:
    forward = ranks[i, : k + 1]
    return forward[np.any(ranks[forward, : k + 1] == i, axis=1)]


def _dense_encoding(original: np.ndarray, ranks: np.ndarray, k1: int) -> np.ndarray:
    encoding = np.zeros(original.shape, np.float32)
    for i in range(len(original)):
        reciprocal = _dense_reciprocal(ranks, i, k1)
        expanded = reciprocal
        for j in reciprocal:
            candidates = _dense_reciprocal(ranks, j, int(np.around(k1 / 2)))
            if len(np.intersect1d(candidates, reciprocal)) > 2 / 3 * len(candidates):
                expanded = np.append(expanded, candidates)
        expanded = np.unique(expanded)
        weights = np.exp(-original[i, expanded])
        encoding[i, expanded] = weights / np.sum(weights)
    return encoding


def _dense_jaccard(encoding: np.ndarray, queries: int) -> np.ndarray:
    holders = [np.where(encoding[:, j] != 0)[0] for j in range(len(encoding))]
    jaccard = np.zeros((queries, len(encoding)), np.float32)
    for i in range(queries):
        shared = np.zeros(len(encoding), np.float32)
        for j in np.where(encoding[i] != 0)[0]:
            shared[holders[j]] += np.minimum(encoding[i, j], encoding[holders[j], j])
        jaccard[i] = 1 - shared / (2 - shared)
    return jaccard


METHODS = {"dense": dense, "ours": reranked_distances}


def peak_memory() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(method: str, queries: int, gallery: int, dim: int, result: Path) -> tuple[float, int]:
    """Seconds and peak memory of one method; its final distances go to the file `result`."""
    query, entries, _, _ = clustered_embeddings(queries, gallery, dim)
    started = time.perf_counter()
    final = METHODS[method](query, entries)
    seconds = time.perf_counter() - started
    peak = peak_memory()
    np.save(result, final)
    return seconds, peak


def largest_difference(one: Path, other: Path) -> float:
    """Between two stored matrices of one shape."""
    first, second = np.load(one, mmap_mode="r"), np.load(other, mmap_mode="r")
    return max(
        float(np.abs(first[start : start + CHUNK] - second[start : start + CHUNK]).max())
        for start in range(0, len(first), CHUNK)
    )


def rows(queries: int = QUERIES, gallery: int = GALLERY, dim: int = DIM) -> list[Row]:
    """Seconds and memory of both, and the ratio of the seconds."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        results = {method: Path(folder) / f"{method}.npy" for method in METHODS}
        for method, result in results.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                figures[method] = process.submit(measured, method, queries, gallery, dim, result).result()
        difference = largest_difference(*results.values())
    (slow, slow_peak), (fast, fast_peak) = figures["dense"], figures["ours"]
    asked = (
        Asked("ratio", slow / fast, least=LEAST_RATIO),
        Asked("peak GB", fast_peak / 1e9, most=MOST_GB),
        Asked("difference", difference, most=TOLERANCE),
    )
    remark = f"equal to {difference:.0e}; peak {slow_peak / 1e9:.2f} GB dense, {fast_peak / 1e9:.2f} GB ours"
    shown = f"{slow:.2f} s", f"{fast:.2f} s", times(slow, fast)
    return [Row(f"re-ranking, {queries} x {gallery} x {dim}", "dense numpy", *shown, asked, remark)]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, queries=QUERIES, gallery=GALLERY, dim=DIM)))
