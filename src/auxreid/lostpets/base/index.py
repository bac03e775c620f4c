"""The index of a base: cells on disk, how many rows a search through them compares, and the recall that this gives.

How many is chosen when the index is made: the fewest with which sampled photographs find, of the photographs that an
exact search finds, as many as asked. What was measured is written to index.json beside the base.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from auxreid.lostpets.base.cells import TYPE, Cells, by_cell, fitted
from auxreid.lostpets.base.vectors import best, similarities
from auxreid.plumbing.base.files import finished_file

EXACT_MOST = 40_000  # rows that are left by the filters: so many are all compared, and more by the index
COMPARED = (10_000, 20_000, 40_000)  # rows; the fewest that reach the recall are taken
LEAST_RECALL = 0.995
QUERIES = 100  # sampled photographs
SHARES = (1.0, 0.1)  # of the rows that are left while the recall is measured
NEAREST = (10, 200)
LARGER = 2.0  # times the rows that the cells were fitted to: then they are fitted anew
NEWER = 4096  # rows without a cell, from which on they are given one
MOST_CELLS = 4096


@dataclass(frozen=True)
class Index:
    """Cells, and how many rows of them are compared."""

    cells: Cells
    compared: int
    fitted_to: int  # rows

    def near(self, query: np.ndarray, left: np.ndarray) -> np.ndarray:
        return self.cells.near(query, left, self.compared)

    def covering(self, vectors: np.ndarray) -> "Index":
        """Itself, or where there are many newer rows one with cells for them; none for rows that a table restored from
        a backup has not yet."""
        if len(vectors) < self.cells.covered:
            return Index(by_cell(self.cells.centres, self.cells.cell[: len(vectors)]), self.compared, self.fitted_to)
        if len(vectors) - self.cells.covered < NEWER:
            return self
        return Index(self.cells.extended(vectors), self.compared, self.fitted_to)


def is_due(index: Index | None, alive: int) -> bool:
    """Whether an index is to be made, or made anew."""
    return alive > EXACT_MOST and (index is None or alive > LARGER * index.fitted_to)


def make_index(vectors: np.ndarray, dimensions: int, alive: np.ndarray) -> tuple[Index, dict]:
    """An index over the rows that are alive, and what was measured.

    Args:
        vectors: as the copy has them, of each the embedding first, of so many dimensions.
    """
    started = perf_counter()
    rows = np.flatnonzero(alive)
    cells = fitted(vectors[:, :dimensions], rows, min(MOST_CELLS, 2 ** round(np.log2(np.sqrt(len(rows))))))
    seconds = perf_counter() - started
    asked = np.random.default_rng(1).choice(rows, min(QUERIES, len(rows)), replace=False)
    for compared in COMPARED:
        recall = {f"{share:g}": _recall(vectors, alive, cells, compared, asked, share) for share in SHARES}
        if min(one for by in recall.values() for one in by.values()) >= LEAST_RECALL:
            break
    told = {"rows": len(rows), "cells": len(cells.centres), "compared": compared, "queries": len(asked)}
    told |= {"exact_up_to": EXACT_MOST, "recall_by_share_left": recall, "seconds": round(seconds, 1)}
    return Index(cells, compared, len(rows)), told


def _recall(
    vectors: np.ndarray, alive: np.ndarray, cells: Cells, compared: int, asked: np.ndarray, share: float
) -> dict[str, float]:
    """Of the nearest by an exact search, the share that the cells give, each photograph itself being none of them."""
    left = alive & (np.random.default_rng(2).random(len(alive)) < share)
    left[asked] = False
    rows = np.flatnonzero(left)
    found: dict[str, list[float]] = {f"recall@{nearest}": [] for nearest in NEAREST}
    for query in vectors[asked, : cells.centres.shape[1]]:
        exact = rows[best(similarities(vectors, rows, query), max(NEAREST))]
        near = cells.near(query, left, compared)
        given = near[best(similarities(vectors, near, query), max(NEAREST))]
        for nearest in NEAREST:
            right = np.isin(exact[:nearest], given[:nearest])
            found[f"recall@{nearest}"].append(float(right.mean()) if len(right) else 1.0)
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


class IndexFile:
    """The index on disk, and whether another process has made a new one."""

    def __init__(self, path: Path, log: Path) -> None:
        self.path, self.log = path, log
        self.index: Index | None = None
        self._seen: int | None = None  # time of the file that was read

    def latest(self) -> Index | None:
        try:
            written = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return self.index
        if written != self._seen:
            self.index, self._seen = self._read(), written
        return self.index

    def _read(self) -> Index:
        from safetensors import safe_open

        with safe_open(self.path, "numpy") as file:
            said = file.metadata()
            cells = by_cell(file.get_tensor("centres"), file.get_tensor("cell").astype(TYPE))
        return Index(cells, int(said["compared"]), int(said["fitted_to"]))

    def write(self, index: Index, told: dict | None = None) -> None:
        """By the holder of the write lock alone."""
        from safetensors.numpy import save_file

        said = {"compared": str(index.compared), "fitted_to": str(index.fitted_to)}
        tensors = {"centres": index.cells.centres, "cell": index.cells.cell.astype(np.int32)}
        with finished_file(self.path) as path:
            save_file(tensors, path, said)
        if told is not None:
            with finished_file(self.log) as path:
                path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
