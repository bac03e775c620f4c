"""CMC, mAP and mINP of queries ranked against a gallery, without sorting the gallery.

A query's figures depend on its true matches' ranks alone, and a true match's rank is the number of gallery entries
that are closer. So only the true matches are sorted; for each of them the closer entries are counted, and those of the
query's own identity are taken off again. Nothing of the size of queries x gallery is made beside the distances.

Who counts, for one query:
- entries of identity -1 (junk) never do;
- entries of the query's identity and the query's group (camera, or for dogs the sequence) are dropped;
- other entries of its identity are its true matches;
- all the rest are wrong matches, distractors (identity 0) among them: they match nobody.
A wrong match at exactly the distance of a true one is ranked before it, so that ties never flatter a model and no
figure depends on the order of files.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

JUNK = -1  # an identity that takes no part
CMC_RANKS = (1, 5, 10, 20)
CHUNK_BYTES = 64 * 2**20
MANY_MATCHES = 100  # above this, one binary search over the gallery is quicker than a count per true match


@dataclass(frozen=True)
class RankedQueries:
    """The figures of q queries; where `valid` is False the query has no true match: NaN, NaN and rank 0."""

    average_precision: np.ndarray  # float64 [q]
    inverse_negative_penalty: np.ndarray  # float64 [q], |T| / rank of the last true match
    first_match_rank: np.ndarray  # int64 [q], from 1
    valid: np.ndarray  # bool [q]

    def __post_init__(self) -> None:
        columns = (self.average_precision, self.inverse_negative_penalty, self.first_match_rank, self.valid)
        shapes = [column.shape for column in columns]
        if len(set(shapes)) > 1 or self.valid.ndim != 1:
            raise ValueError(f"figures of ranked queries have shapes {shapes}, expected four times [q]")
        if self.valid.dtype != bool:
            raise ValueError(f"valid is of type {self.valid.dtype}, expected bool")
        for name in ("average_precision", "inverse_negative_penalty"):
            values = getattr(self, name)
            if not np.array_equal(np.isnan(values), ~self.valid):
                raise ValueError(f"{name} must be NaN exactly for the queries without a true match")
            kept = values[self.valid]
            if ((kept <= 0) | (kept > 1)).any():
                raise ValueError(f"{name} spans {kept.min()} to {kept.max()}, allowed is above 0 up to 1")
        if not np.array_equal(self.first_match_rank >= 1, self.valid) or (self.first_match_rank < 0).any():
            raise ValueError("first_match_rank must be 1 or more for valid queries and 0 for the others")

    def __len__(self) -> int:
        return len(self.valid)


def squared_distances(query: np.ndarray, gallery: np.ndarray, device: "torch.device | None" = None) -> np.ndarray:
    """Squared Euclidean distances float32 [q, g] of `query` [q, d] and `gallery` [g, d], computed in chunks of queries.

    Args:
        device: a GPU to compute them on; None: NumPy does.

    Raises:
        ValueError: not two matrices of one width, or a value that is not finite (its row is named).
    """
    query, gallery = checked_embeddings(query, gallery)
    distances = np.empty((len(query), len(gallery)), np.float32)
    for rows, chunk in distance_blocks(query, gallery, device):
        distances[rows] = chunk
    return distances


def distance_blocks(
    query: np.ndarray, gallery: np.ndarray, device: "torch.device | None" = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """What :func:`squared_distances` gives, as consecutive slices of the queries with their distances [b, g].

    Raises:
        ValueError: as :func:`squared_distances`.
    """
    query, gallery = checked_embeddings(query, gallery)
    if device is not None:
        from auxreid.evaluation.on_device import distance_blocks_on

        return distance_blocks_on(device, query, gallery)
    query_norm, gallery_norm = squared_norms(query), squared_norms(gallery)
    step = max(1, CHUNK_BYTES // max(1, 4 * len(gallery)))
    starts = range(0, len(query), step)
    rows = (slice(start, min(start + step, len(query))) for start in starts)
    return ((own, distance_tile(query[own], gallery, query_norm[own], gallery_norm)) for own in rows)


def squared_norms(points: np.ndarray) -> np.ndarray:
    """Squared Euclidean norms [n] of `points` [n, d]."""
    return np.einsum("nd,nd->n", points, points)


def distance_tile(one: np.ndarray, other: np.ndarray, one_norm: np.ndarray, other_norm: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances [a, b] of `one` [a, d] and `other` [b, d] with their squared norms [a], [b]."""
    tile = one @ other.T
    tile *= -2
    tile += one_norm[:, None]
    tile += other_norm
    return np.maximum(tile, 0, out=tile)  # rounding can leave -1e-7 between equal embeddings


def checked_embeddings(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as contiguous float32 [q, d], [g, d].

    Raises:
        ValueError: not two matrices of one width, or a value that is not finite (its row is named).
    """
    query, gallery = _embeddings(query, "query"), _embeddings(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"query embeddings have {query.shape[1]} dimensions, gallery embeddings {gallery.shape[1]}")
    return query, gallery


def _embeddings(values: np.ndarray, name: str) -> np.ndarray:
    values = np.ascontiguousarray(values, np.float32)
    if values.ndim != 2:
        raise ValueError(f"{name} embeddings have shape {values.shape}, expected [n, d]")
    broken = ~np.isfinite(values).all(axis=1)
    if broken.any():
        raise ValueError(f"{name} embeddings: {broken.sum()} rows are not finite, the first is row {broken.argmax()}")
    return values


def rank_blocks(
    blocks: Iterable[tuple[slice, np.ndarray]],
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    query_group: np.ndarray,
    gallery_group: np.ndarray,
) -> RankedQueries:
    """:func:`rank_queries` where the distances come as consecutive slices of the queries with their rows [b, g].

    Raises:
        ValueError: as :func:`rank_queries`, or slices that do not follow each other from the first query to the last.
    """
    parts, reached = [], 0
    for rows, distances in blocks:
        if rows.start != reached or rows.stop != reached + len(distances):
            raise ValueError(
                f"{len(distances)} rows of distances for queries {rows.start} to {rows.stop}, expected {reached} on"
            )
        labels = query_identity[rows], gallery_identity, query_group[rows], gallery_group
        parts.append(rank_queries(distances, *labels))
        reached = rows.stop
    if reached != len(query_identity) or not parts:
        raise ValueError(f"the blocks end at query {reached}, there are {len(query_identity)}")
    columns = ("average_precision", "inverse_negative_penalty", "first_match_rank", "valid")
    return RankedQueries(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def rank_queries(
    distances: np.ndarray,
    query_identity: np.ndarray,
    gallery_identity: np.ndarray,
    query_group: np.ndarray,
    gallery_group: np.ndarray,
) -> RankedQueries:
    """Rank the gallery for every query by the rules at the head of this file.

    Args:
        distances: [q, g]; only their order matters.
        query_identity, gallery_identity: int [q], [g]; -1 is junk, 0 a distractor.
        query_group, gallery_group: [q], [g]: camera or sequence, anything that compares with ==.

    Raises:
        ValueError: lengths that do not fit, or a distance that is NaN.
    """
    _check_lengths(distances, query_identity, gallery_identity, query_group, gallery_group)
    by_identity = np.argsort(gallery_identity, kind="stable")
    in_order = gallery_identity[by_identity]
    first = np.searchsorted(in_order, query_identity, side="left")
    last = np.searchsorted(in_order, query_identity, side="right")
    kept = gallery_identity != JUNK
    junk_free = bool(kept.all())

    figures = np.full((2, len(distances)), np.nan)
    first_rank = np.zeros(len(distances), np.int64)
    for q, row in enumerate(distances):
        if np.isnan(row.min(initial=np.inf)):
            raise ValueError(f"distances of query {q} hold NaN")
        own = by_identity[first[q] : last[q]]  # [s] gallery entries of this identity
        is_true = gallery_group[own] != query_group[q]
        if query_identity[q] <= 0 or not is_true.any():
            continue
        ranks = _match_ranks(row if junk_free else row[kept], row[own], is_true)
        figures[:, q] = (np.arange(1, len(ranks) + 1) / ranks).mean(), len(ranks) / ranks[-1]
        first_rank[q] = ranks[0]
    return RankedQueries(figures[0], figures[1], first_rank, first_rank > 0)


def _match_ranks(row: np.ndarray, own: np.ndarray, is_true: np.ndarray) -> np.ndarray:
    """Ranks from 1, ascending int64 [t], of a query's t true matches.

    Args:
        row: distances [k] to all entries but junk, those of the query's own identity among them.
        own: distances [s] to the entries of its identity; is_true: bool [s], False for its own group.
    """
    true = np.sort(own[is_true])  # [t]
    wrong_before = _count_within(row, true) - np.searchsorted(np.sort(own), true, side="right")
    return wrong_before + np.arange(1, len(true) + 1)


def _count_within(row: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """For each of the ascending bounds [t], how many of `row` are at most as large: int64 [t]."""
    if len(bounds) <= MANY_MATCHES:
        return np.array([np.count_nonzero(row <= bound) for bound in bounds])
    slots = np.searchsorted(bounds, row, side="left")  # the first bound that includes the value
    return np.bincount(slots, minlength=len(bounds) + 1)[: len(bounds)].cumsum()


def _check_lengths(distances: np.ndarray, *labels: np.ndarray) -> None:
    if distances.ndim != 2:
        raise ValueError(f"distances have shape {distances.shape}, expected [q, g]")
    queries, gallery = distances.shape
    names = ("query_identity", "gallery_identity", "query_group", "gallery_group")
    for name, values, length in zip(names, labels, (queries, gallery) * 2, strict=True):
        if values.shape != (length,):
            raise ValueError(f"{name} has shape {values.shape}, distances of {distances.shape} need ({length},)")


def nearest(
    distances: np.ndarray,
    identity: int,
    group: object,
    gallery_identity: np.ndarray,
    gallery_group: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` places of one query's ranked list, by the same rules as :func:`rank_queries`.

    Returns:
        gallery entries int64 [k] and whether each is a true match bool [k]; k is less than `count` only where the
        gallery is smaller. Equal wrong matches come in gallery order.
    """
    same = gallery_identity == identity
    kept = np.flatnonzero((gallery_identity != JUNK) & ~(same & (gallery_group == group)))
    if len(kept) > count:
        bound = np.partition(distances[kept], count - 1)[count - 1]
        kept = kept[distances[kept] <= bound]
    is_true = same[kept] & (identity > 0)
    order = np.lexsort((kept, is_true, distances[kept]))[:count]
    return kept[order], is_true[order]


def summarise(ranked: RankedQueries) -> dict[str, float]:
    """mAP, mINP and CMC at 1, 5, 10, 20 as fractions of 1 over the valid queries, and how many queries there were.

    mINP is the mean inverse negative penalty of Ye et al., "Deep Learning for Person Re-identification" (TPAMI 2021).

    Raises:
        ValueError: no query has a true match.
    """
    curve = cmc_curve(ranked, max(CMC_RANKS))
    figures = {
        "mAP": float(ranked.average_precision[ranked.valid].mean()),
        "mINP": float(ranked.inverse_negative_penalty[ranked.valid].mean()),
    }
    figures |= {f"CMC_{rank}": float(curve[rank - 1]) for rank in CMC_RANKS}
    return figures | {"queries": len(ranked), "queries_without_match": int((~ranked.valid).sum())}


def cmc_curve(ranked: RankedQueries, ranks: int) -> np.ndarray:
    """CMC@1 to CMC@`ranks`, float64 [ranks]: the share of valid queries with a true match among the first k.

    Raises:
        ValueError: no query has a true match.
    """
    first = ranked.first_match_rank[ranked.valid]
    if len(first) == 0:
        raise ValueError(f"none of the {len(ranked)} queries has a true match in the gallery: nothing to evaluate")
    found = np.bincount(np.minimum(first, ranks + 1), minlength=ranks + 2)[1 : ranks + 1]
    return found.cumsum() / len(first)
