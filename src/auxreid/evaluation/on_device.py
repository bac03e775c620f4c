"""Distances, neighbours and overlaps on a GPU by torch: the quadratic work of ranking and re-ranking.

The numbers are those of the CPU's code (ranking.py, reranking.py) to rounding: products are of float32, not of
TensorFloat-32, as is torch's default. Results are NumPy's.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

BLOCK_BYTES = 2**28  # of the device's memory, for what is computed at a time


def gpu() -> torch.device | None:
    """The GPU, where there is one."""
    return torch.device("cuda") if torch.cuda.is_available() else None


class PointsOnDevice:
    """n points [n, d] and their squared Euclidean distances."""

    def __init__(self, points: np.ndarray, device: torch.device):
        self.points = torch.from_numpy(points).to(device)
        self.squares = self.points.square().sum(dim=1)
        self.norms = self.squares.cpu().numpy()  # [n]

    def tile(self, rows: slice, columns: slice) -> np.ndarray:
        """Distances [a, b] of some points to others."""
        return self._tile(rows, columns).cpu().numpy()

    def pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Distances [m] of pairs of points, given by their numbers [m]."""
        first, second = (torch.from_numpy(side).to(self.points.device) for side in (rows, columns))
        step = max(1, BLOCK_BYTES // (4 * self.points.shape[1]))
        parts = zip(first.split(step), second.split(step), strict=True)
        return torch.cat([(self.points[a] - self.points[b]).square().sum(dim=1) for a, b in parts]).cpu().numpy()

    def nearest(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each point's nearest others int64 [n, count] by distance, then number; their distances; its largest one [n].

        Where more are equally far than fit, any of these are taken.
        """
        parts = [self._nearest(rows, count) for rows in _slices(len(self.points), 4 * len(self.points))]
        others, distances, furthest = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
        return others, distances, furthest

    def _tile(self, rows: slice, columns: slice) -> Tensor:
        product = self.points[rows] @ self.points[columns].T
        return (product.mul_(-2).add_(self.squares[rows, None]).add_(self.squares[columns])).clamp_(min=0)

    def _nearest(self, rows: slice, count: int) -> tuple[Tensor, Tensor, Tensor]:
        tile = self._tile(rows, slice(None))
        furthest = tile.amax(dim=1)
        tile.diagonal(rows.start).fill_(torch.inf)  # a point is none of the others
        others = tile.topk(count, largest=False, sorted=False).indices.sort(dim=1).values
        distances, order = tile.gather(1, others).sort(dim=1, stable=True)
        return others.gather(1, order), distances, furthest


class OverlapsOnDevice:
    """The s(i, j) of re-ranking: sums over c of min(U[i, c], U[j, c]) between queries and gallery entries.

    Args:
        own: U of the queries [q, n]; holders: U of the gallery entries, transposed [n, g].
    """

    def __init__(self, own: csr_array, holders: csr_array, device: torch.device):
        self.own, self.begins, self.width = own, holders.indptr, holders.shape[1]
        self.entries = torch.from_numpy(holders.indices.astype(np.int64)).to(device)
        self.values = torch.from_numpy(holders.data).to(device)

    def of(self, rows: slice) -> np.ndarray:
        """s float32 [b, g] of some queries."""
        own, device = self.own[rows], self.values.device
        lengths = np.diff(self.begins)[own.indices]  # how many gallery entries hold each member
        shift = self.begins[own.indices] - (lengths.cumsum() - lengths)
        query = np.repeat(np.arange(own.shape[0]), np.diff(own.indptr))
        columns = (torch.from_numpy(column).to(device) for column in (shift.astype(np.int64), query, own.data))
        repeats, total = torch.from_numpy(lengths.astype(np.int64)).to(device), int(lengths.sum())
        shift, query, values = (one.repeat_interleave(repeats, output_size=total) for one in columns)
        held = shift + torch.arange(total, device=device)
        shared = torch.zeros(own.shape[0] * self.width, device=device)
        shared.index_add_(0, query * self.width + self.entries[held], torch.minimum(values, self.values[held]))
        return shared.view(-1, self.width).cpu().numpy()


def distance_blocks_on(
    device: torch.device, query: np.ndarray, gallery: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Consecutive slices of the queries with their squared distances float32 [b, g] to the gallery."""
    points = PointsOnDevice(np.concatenate([query, gallery]), device)
    entries = slice(len(query), None)
    return ((rows, points.tile(rows, entries)) for rows in _slices(len(query), 4 * len(gallery)))


def _slices(length: int, bytes_each: int) -> Iterator[slice]:
    step = max(1, BLOCK_BYTES // max(1, bytes_each))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
