"""What the pixels of a base's photographs say, as one file that is mapped into memory: row i is of the number i.

A row is the embedding, and behind it the probabilities of each attribute. It is a copy of what the table holds, for
speed alone: LanceDB takes thirty times as long to compare what a filter leaves, and milliseconds to look up what is
found. A number is never given twice, and the writer writes here before it commits to the table: so whatever stands at a
number that the table has is that row's. Where the file is missing or too short, it is made again from the table.
"""

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from auxreid.lostpets.base.durable import write_through
from auxreid.lostpets.base.row import matrix
from auxreid.lostpets.base.table import Tables

CHUNK = 1024  # rows that are gathered at once: 2 MB of 512 numbers, which stay in the processor's cache
BATCH = 20_000  # rows that are read of the table at once
COMPARED = 8  # rows by which the file is checked when a base is opened


class Vectors:
    """The file as far as it is needed, mapped read-only.

    Who may not write, and finds the file too short or of something else, reads the table into memory instead.
    """

    def __init__(self, path: Path, columns: Mapping[str, int]) -> None:
        self.path, self.columns = path, list(columns)
        self.width = sum(columns.values())
        self.mapped = np.empty((0, self.width), np.float32)
        self.usable = True

    def rows_on_disk(self) -> int:
        try:
            return self.path.stat().st_size // (4 * self.width)
        except FileNotFoundError:
            return 0

    def check(self, tables: Tables, rows: int, mend: bool) -> None:
        """Compare the file with the tables at some rows.

        Args:
            rows: how many numbers the tables have given.
            mend: write the file anew if it is not right; needs the write lock.
        """
        self.usable = self.rows_on_disk() >= rows and self._agrees(tables, rows)
        if not self.usable and mend:
            for number, vectors in self._in_table(tables, 0):
                self.write(number, vectors)
            if self.rows_on_disk() < rows:
                self.write(rows - 1, np.zeros((1, self.width), np.float32))
            self.usable = True

    def _agrees(self, tables: Tables, rows: int) -> bool:
        here = np.memmap(self.path, np.float32, "r", shape=(rows, self.width)) if rows else self.mapped
        some = ", ".join(str(number) for number in np.linspace(0, max(rows - 1, 0), COMPARED, dtype=int))
        there = tables.read(["number", *self.columns], f"number IN ({some})")
        return np.array_equal(self.of(there), here[there["number"].to_numpy()])

    def cover(self, tables: Tables, rows: int) -> np.ndarray:
        """Of the numbers below `rows`."""
        if rows > len(self.mapped) and self.usable:
            self.mapped = np.memmap(self.path, np.float32, "r", shape=(self.rows_on_disk(), self.width))
        elif rows > len(self.mapped):
            held = np.zeros((rows, self.width), np.float32)
            held[: len(self.mapped)] = self.mapped
            for number, vectors in self._in_table(tables, len(self.mapped)):
                held[number] = vectors
            self.mapped = held
        return self.mapped[:rows]

    def write(self, number: int | np.ndarray, vectors: np.ndarray) -> None:
        """At these numbers, or from this one on, through to the disk. By the holder of the write lock alone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        numbers = number + np.arange(len(vectors)) if np.isscalar(number) else number
        runs = np.flatnonzero(np.diff(numbers, prepend=-2, append=-2) != 1)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for start, end in pairwise(runs):
                self._write_run(file, int(numbers[start]), vectors[start:end])
            os.fsync(file)
        finally:
            os.close(file)
        if new:
            write_through(self.path.parent)

    def _write_run(self, file: int, number: int, vectors: np.ndarray) -> None:
        data = memoryview(np.ascontiguousarray(vectors, np.float32)).cast("B")
        at = 4 * self.width * number
        while data:
            written = os.pwrite(file, data, at)
            data, at = data[written:], at + written

    def blank(self, numbers: np.ndarray) -> None:
        """Forget rows that were removed. By the holder of the write lock alone."""
        if self.usable:
            self.write(np.sort(numbers), np.zeros((len(numbers), self.width), np.float32))

    def of(self, table: pa.Table) -> np.ndarray:
        """The rows of a table as this file has them."""
        return np.concatenate([matrix(table[name]) for name in self.columns], axis=1)

    def _in_table(self, tables: Tables, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers of `start` and above and their rows, batch by batch."""
        for batch in tables.batches(["number", *self.columns], f"number >= {start}", BATCH):
            if len(batch):
                part = pa.table(batch).sort_by("number")
                yield part["number"].to_numpy(), self.of(part)


def similarities(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosine of the query with each of these rows [len(rows)], which rise; of each the embedding stands first."""
    query = np.concatenate([query, np.zeros(vectors.shape[1] - len(query), np.float32)])
    found = np.empty(len(rows), np.float32)
    room = np.empty((min(CHUNK, len(rows)), vectors.shape[1]), np.float32)
    for start in range(0, len(rows), CHUNK):
        chosen = rows[start : start + CHUNK]
        gathered = room[: len(chosen)]
        np.take(vectors, chosen, axis=0, out=gathered, mode="clip")
        np.dot(gathered, query, out=found[start : start + len(chosen)])
    return found


def best(similarity: np.ndarray, most: int) -> np.ndarray:
    """Places of the largest, largest first; of equal ones the first."""
    if most < len(similarity):
        least = np.partition(similarity, len(similarity) - most)[len(similarity) - most]
        above = np.flatnonzero(similarity > least)
        chosen = np.concatenate([above, np.flatnonzero(similarity == least)[: most - len(above)]])
    else:
        chosen = np.arange(len(similarity))
    return chosen[np.lexsort((chosen, -similarity[chosen]))]
