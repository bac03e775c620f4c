"""An inverted file (IVF): the rows by the cell whose centre is nearest, so that a search compares a few cells' rows.

A search goes through the cells, nearest first, until it has met as many rows that its filters leave as it is to
compare: a rare filter makes it go through more cells, and compare no fewer rows. Rows newer than the cells are compared
in any case.
"""

from dataclasses import dataclass

import numpy as np

PER_CELL = 64  # sampled rows that a centre is fitted to
ITERATIONS = 8
CHUNK = 8192  # rows that are compared with all centres at once
TYPE = np.uint16  # of a cell's number, which sorts fast


@dataclass(frozen=True)
class Cells:
    """The rows with the numbers below `covered`, by cell."""

    centres: np.ndarray  # float32 [c, d], of unit length
    cell: np.ndarray  # of each row [covered]
    order: np.ndarray  # int64 [covered], the rows' numbers by cell
    starts: np.ndarray  # int64 [c + 1], where in `order` each cell begins

    @property
    def covered(self) -> int:
        return len(self.cell)

    def near(self, query: np.ndarray, left: np.ndarray, compared: int) -> np.ndarray:
        """Numbers of rows, rising: as many as are to be compared, or some more, of those that are left."""
        newer = self.covered + np.flatnonzero(left[self.covered :])
        chosen, found = [newer], len(newer)
        for cell in np.argsort(-(self.centres @ query)):
            if found >= compared:
                break
            rows = self.order[self.starts[cell] : self.starts[cell + 1]]
            rows = rows[left[rows]]
            chosen.append(rows)
            found += len(rows)
        return np.sort(np.concatenate(chosen))

    def extended(self, vectors: np.ndarray) -> "Cells":
        """With the rows that are newer."""
        return by_cell(self.centres, np.concatenate([self.cell, assigned(vectors[self.covered :], self.centres)]))


def by_cell(centres: np.ndarray, cell: np.ndarray) -> Cells:
    starts = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=len(centres)))])
    return Cells(centres, cell, np.argsort(cell, kind="stable"), starts)


def fitted(vectors: np.ndarray, rows: np.ndarray, cells: int, seed: int = 0) -> Cells:
    """Cells by spherical k-means over a sample of the rows.

    Args:
        vectors: float32 [n, d], of unit length where a row is alive.
        rows: numbers of those that are alive.
    """
    rng = np.random.default_rng(seed)
    sample = vectors[np.sort(rng.choice(rows, min(len(rows), PER_CELL * cells), replace=False))]
    centres = sample[rng.choice(len(sample), cells, replace=False)]
    for _ in range(ITERATIONS):
        cell = assigned(sample, centres)
        order = np.argsort(cell, kind="stable")
        there, starts = np.unique(cell[order], return_index=True)  # a cell without rows keeps its centre
        centres[there] = np.add.reduceat(sample[order], starts, axis=0)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return by_cell(centres, assigned(vectors, centres))


def assigned(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of each row."""
    found = np.empty(len(vectors), TYPE)
    for start in range(0, len(vectors), CHUNK):
        found[start : start + CHUNK] = (vectors[start : start + CHUNK] @ centres.T).argmax(axis=1)
    return found
