"""k-reciprocal re-ranking without a matrix over all entries.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding" (CVPR 2017). Over the n = q + g entries,
queries first, with d(i, j) the squared Euclidean distance divided by the largest one of entry i:

    N(i, k)   i itself and the k entries nearest to it
    R(i, k)   the j in N(i, k) for which i is in N(j, k)
    R*(i)     R(i, k1), and R(j, k1/2) of each j in R(i, k1) that shares more than 2/3 of R(j, k1/2) with R(i, k1)
              (k1/2 rounded, halves to even)
    V[i, j]   exp(-d(i, j)) for j in R*(i), else 0; every row divided by its sum
    U[i]      mean of V over the first k2 entries of N(i)
    jaccard   1 - s / (2 - s), where s(i, j) is the sum over c of min(U[i, c], U[j, c])
    final     (1 - weight) * jaccard + weight * d

A row of V or U has some tens of entries, so both are sparse; distances are computed in tiles, each of which serves its
rows and its columns, and leaves nothing but each entry's nearest others and its largest distance.

An entry comes first in its own list. Others at exactly the same distance come in the order of entries. So that
rounding in the fast float32 distances does not choose the neighbours, a list is settled in float64 wherever the last
entry that is in and the first that is out are too close to tell. SPARE further entries take part in that: only where
more than these are at one and the same distance does rounding choose among them.
"""

from collections.abc import Iterator
from functools import partial
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from auxreid.evaluation.ranking import checked_embeddings, distance_tile, squared_norms

if TYPE_CHECKING:
    import torch

TILE = 1024  # entries to a side, at most 65,536; a tile of float32 is 4 MB
SPARE = 11  # neighbours kept beyond those that are asked for
ROUNDING = 1e-5  # more than the error of a float32 distance, as a share of the two squared norms
PAIRS = 512  # pairs of entries whose vectors are gathered at a time: they stay in the cache
INDEX_BITS = np.uint64(32)
NOTHING = np.uint64(np.float32(np.inf).view(np.uint32)) << INDEX_BITS  # the key of no entry, after every other


def reranked_distances(
    query: np.ndarray, gallery: np.ndarray, *, k1: int = 20, k2: int = 6, weight: float = 0.3, **options
) -> np.ndarray:
    """What :func:`rerank_blocks` gives, as one matrix float32 [q, g]."""
    final = np.empty((len(query), len(gallery)), np.float32)
    for rows, distances in rerank_blocks(query, gallery, k1=k1, k2=k2, weight=weight, **options):
        final[rows] = distances
    return final


def rerank_blocks(
    query: np.ndarray,
    gallery: np.ndarray,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    block: int = 256,
    device: "torch.device | None" = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Final distances by k-reciprocal re-ranking, as defined at the head of this file.

    Args:
        query, gallery: embeddings [q, d], [g, d], of any length; taken as float32.
        k1: how many neighbours may be reciprocal; a longer list than there are entries holds them all.
        k2: over how many entries, itself among them, an entry's row of V is averaged; 1 leaves V as it is.
        weight: lambda, the share of the original distance.
        block: how many queries at a time; it has no influence on the distances but for rounding.
        device: a GPU for what grows with the square of the entries; None: NumPy does that too.

    Returns:
        an iterator over consecutive slices of the queries, each with its distances float32 [b, g] in [0, 1].

    Raises:
        ValueError: not two matrices of one width, or one without rows; a value that is not finite (its row is named);
            k1, k2 or block below 1; weight outside 0 to 1.
    """
    for name, value in (("k1", k1), ("k2", k2), ("block", block)):
        if value < 1:
            raise ValueError(f"{name} is {value}, must be at least 1")
    if not 0 <= weight <= 1:
        raise ValueError(f"weight is {weight}, must be from 0 to 1")
    query, gallery = checked_embeddings(query, gallery)
    if not len(query) or not len(gallery):
        raise ValueError(f"{len(query)} queries and {len(gallery)} gallery entries, need at least one of each")
    return _blocks(np.concatenate([query, gallery]), len(query), k1, k2, weight, block, device)


def _blocks(
    entries: np.ndarray, queries: int, k1: int, k2: int, weight: float, block: int, device: "torch.device | None"
) -> Iterator[tuple[slice, np.ndarray]]:
    """The final distances of the first `queries` of the entries [n, d] to the others."""
    points, overlaps = _Points(_centred(entries)), _Overlaps
    if device is not None:
        from auxreid.evaluation.on_device import OverlapsOnDevice, PointsOnDevice

        points, overlaps = PointsOnDevice(_centred(entries), device), partial(OverlapsOnDevice, device=device)
    neighbours, furthest = _neighbours(entries, points, k1, k2)
    encoding = _encoding(points, furthest, neighbours, k1)
    encoding = _averaging(neighbours[:, :k2]) @ encoding
    shared_by = overlaps(encoding[:queries], encoding[queries:].T.tocsr())
    for start in range(0, queries, block):
        rows = slice(start, min(start + block, queries))
        final = points.tile(rows, slice(queries, None))  # [b, g]
        final /= furthest[rows, None]
        np.minimum(final, 1, out=final)  # the same distance in another tile can be rounded otherwise
        final *= weight
        for distances, shared in zip(final, shared_by.of(rows), strict=True):
            distances += (1 - weight) * _jaccard(shared)
        yield rows, final


def _centred(entries: np.ndarray) -> np.ndarray:
    """The entries [n, d] moved and scaled, which changes no d(i, j): so that float32 has digits for what differs.

    Raises:
        ValueError: embeddings that differ by more than float32 holds.
    """
    with np.errstate(over="ignore"):
        points = entries - entries.mean(axis=0, dtype=np.float64).astype(np.float32)
    largest = np.abs(points).max()
    if not np.isfinite(largest):
        raise ValueError(f"embeddings reach {np.abs(entries).max():.3g}, their differences overflow float32")
    if largest > 0:
        points /= largest
    return points


class _Points:
    """n points [n, d] and their squared Euclidean distances; on_device.PointsOnDevice is its like."""

    def __init__(self, points: np.ndarray):
        self.points, self.norms = points, squared_norms(points)

    def tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Distances [a, b] of some points to others."""
        return distance_tile(self.points[rows], self.points[columns], self.norms[rows], self.norms[columns])

    def pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Distances [m] of pairs of points, given by their numbers [m]."""
        found = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), PAIRS):
            some = slice(start, start + PAIRS)
            apart = self.points[rows[some]]
            apart -= self.points[columns[some]]
            found[some] = squared_norms(apart)
        return found

    def nearest(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each point's nearest others int64 [n, count] by distance, then number; their distances; its largest one [n].

        Where more are equally far than fit, any of these are taken.
        """
        keys, furthest = self._nearest_keys(count)
        return (keys & np.uint64(2**32 - 1)).astype(np.int64), _key_distances(keys), furthest

    def _nearest_keys(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys uint64 [n, count] of each point's nearest others in order, and its largest distance [n].

        A key is a distance's 32 bits before the index's: no distance is negative, so keys sort as (distance, index) do.
        """
        keys = np.full((len(self.points), count), NOTHING)
        furthest = np.zeros(len(self.points), np.float32)
        tiles = [slice(start, start + TILE) for start in range(0, len(self.points), TILE)]
        for rows, columns in combinations_with_replacement(tiles, 2):
            tile = self.tile(rows, columns)
            np.maximum(furthest[rows], tile.max(axis=1), out=furthest[rows])
            if rows == columns:
                np.fill_diagonal(tile, np.inf)  # an entry is none of the others
            else:
                np.maximum(furthest[columns], tile.max(axis=0), out=furthest[columns])
                _keep_nearest(keys[columns], tile.T, rows.start)
            _keep_nearest(keys[rows], tile, columns.start)
        keys.sort(axis=1)
        return keys, furthest


def _neighbours(entries: np.ndarray, points: "_Points", k1: int, k2: int) -> tuple[np.ndarray, np.ndarray]:
    """Each entry's list, as long as k1 and k2 need it, int64 [n, k], and its largest distance float32 [n] (1 for 0)."""
    needed = min(max(k1, k2 - 1), len(entries) - 1)  # others, beside the entry itself
    others, distances, furthest = points.nearest(min(needed + SPARE, len(entries) - 1))
    ends = {end for end in (k1, _half(k1), k2 - 1) if 0 < end < others.shape[1]}
    unclear, norms = np.zeros(len(entries), bool), points.norms
    for end in ends:  # the last that is in and the first that is out
        gap = distances[:, end] - distances[:, end - 1]
        unclear |= gap <= ROUNDING * (norms + norms[others[:, end]])
    for row in np.flatnonzero(unclear):
        exact = np.square(entries[others[row]].astype(np.float64) - entries[row]).sum(axis=1)
        others[row] = others[row, np.lexsort((others[row], exact))]
    itself = np.arange(len(entries))[:, None]
    return np.hstack([itself, others[:, :needed]]), np.where(furthest > 0, furthest, np.float32(1))


def _half(k1: int) -> int:
    return round(k1 / 2)


def _key_distances(keys: np.ndarray) -> np.ndarray:
    return (keys >> INDEX_BITS).astype(np.uint32).view(np.float32)


def _keep_nearest(keys: np.ndarray, tile: np.ndarray, first: int) -> None:
    """Put those entries of a tile [r, c] that are nearer than the last ones kept in place of these.

    Args:
        keys: uint64 [r, k], of which the last column is the largest; changed in place.
        first: the index of the tile's first column.
    """
    rows, columns = _below(tile, _bounds(keys, tile))
    if not len(rows):
        return
    found = tile[rows, columns].view(np.uint32).astype(np.uint64) << INDEX_BITS | (columns + first).astype(np.uint64)
    changed, begins, lengths = np.unique(rows, return_index=True, return_counts=True)
    width = keys.shape[1]
    merged = np.full((len(changed), width + lengths.max()), NOTHING)
    merged[:, :width] = keys[changed]
    place = np.arange(len(rows)) - np.repeat(begins, lengths)  # the how-manieth of its row
    merged[np.repeat(np.arange(len(changed)), lengths), width + place] = found
    keys[changed] = np.partition(merged, width - 1, axis=1)[:, :width]


def _bounds(keys: np.ndarray, tile: np.ndarray) -> np.ndarray:
    """Distances [r] that an entry must lie below to be among the k nearest of those kept and those of the tile."""
    bounds = _key_distances(keys[:, -1])
    k = keys.shape[1]
    if (
        k <= tile.shape[1] and np.isinf(bounds).any()
    ):  # nothing kept so far: most of the first tile need not be looked at
        nearest = np.partition(tile, k - 1, axis=1)[:, k - 1]
        bounds = np.minimum(bounds, np.nextafter(nearest, np.float32(np.inf)))
    return bounds


def _below(tile: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns int64 of the values below their row's bound, by row."""
    below = tile < bounds[:, None]
    if below.flags.c_contiguous:
        return np.divmod(np.flatnonzero(below), below.shape[1])
    columns, rows = np.divmod(np.flatnonzero(below.T), below.shape[0])  # a transposed tile: search as it lies in memory
    order = np.argsort(rows.astype(np.uint16), kind="stable")  # a radix sort
    return rows[order], columns[order]


def _encoding(points: "_Points", furthest: np.ndarray, neighbours: np.ndarray, k1: int) -> csr_array:
    """V [n, n]."""
    members = _expanded(neighbours, k1)
    lengths = np.diff(members.indptr)
    rows = np.repeat(np.arange(len(furthest)), lengths)
    members.data = np.exp(-points.pairs(rows, members.indices) / furthest[rows])
    members.data /= np.repeat(np.add.reduceat(members.data, members.indptr[:-1]), lengths)  # no row is empty
    return members


def _expanded(neighbours: np.ndarray, k1: int) -> csr_array:
    """R*: an entry at [i, j] for every j in R*(i), which has i itself in it."""
    reciprocal = _reciprocal(neighbours[:, : k1 + 1])
    narrow = _reciprocal(neighbours[:, : _half(k1) + 1])
    shared = (reciprocal * (reciprocal @ narrow.T)).tocsr()  # |R(i, k1) and R(j, k1/2)| for each j in R(i, k1)
    sizes = np.diff(narrow.indptr)
    shared.data = (3 * shared.data > 2 * sizes[shared.indices]).astype(np.int32)
    shared.eliminate_zeros()
    members = (reciprocal + shared @ narrow).tocsr()
    members.sort_indices()
    return members


def _reciprocal(neighbours: np.ndarray) -> csr_array:
    """A one at [i, j] where i and j are in each other's list; lists int [n, k]."""
    ones = np.ones(neighbours.shape, np.int32)
    listed = _from_lists(neighbours, ones)
    both = (listed * listed.T).tocsr()  # element by element
    both.eliminate_zeros()
    return both


def _averaging(neighbours: np.ndarray) -> csr_array:
    """The matrix [n, n] that takes the mean over each entry's list int [n, k]."""
    return _from_lists(neighbours, np.full(neighbours.shape, 1 / neighbours.shape[1], np.float32))


def _from_lists(neighbours: np.ndarray, values: np.ndarray) -> csr_array:
    """values [n, k] at the columns that the lists name, each in its row."""
    size, length = neighbours.shape
    return csr_array((values.ravel(), neighbours.ravel(), np.arange(0, size * length + 1, length)), shape=(size, size))


class _Overlaps:
    """The s(i, j) between queries and gallery entries; on_device.OverlapsOnDevice is its like.

    Args:
        own: U of the queries [q, n]; holders: U of the gallery entries, transposed [n, g].
    """

    def __init__(self, own: csr_array, holders: csr_array):
        self.own, self.holders = own, holders

    def of(self, rows: slice) -> Iterator[np.ndarray]:
        """s [g] of each of some queries."""
        return map(self._of_one, range(rows.start, rows.stop))

    def _of_one(self, row: int) -> np.ndarray:
        """Looks only at entries that share a member with the query."""
        own, holders = self.own, self.holders
        members = slice(own.indptr[row], own.indptr[row + 1])
        begins = holders.indptr[own.indices[members]]  # [m]
        lengths = holders.indptr[own.indices[members] + 1] - begins
        ends = lengths.cumsum()
        held = np.repeat(begins - (ends - lengths), lengths) + np.arange(ends[-1])  # where the holders' values are
        smaller = np.minimum(holders.data[held], np.repeat(own.data[members], lengths))
        return np.bincount(holders.indices[held], smaller, minlength=holders.shape[1])


def _jaccard(shared: np.ndarray) -> np.ndarray:
    """Jaccard distances [g] from the s [g] of one query, which is changed."""
    np.minimum(shared, 1, out=shared)  # rows of U sum to 1, but for rounding
    return 1 - shared / (2 - shared)
