"""A base of photographs that is searched while it is written to."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auxreid.lostpets.base import facts as columns
from auxreid.lostpets.base.candidates import Candidates
from auxreid.lostpets.base.durable import Kept
from auxreid.lostpets.base.filters import left_by
from auxreid.lostpets.base.row import Header, Record, Row, arrow_rows, attribute_column, check, matrix
from auxreid.lostpets.base.table import (
    conditions,
    create_table,
    header_of,
    open_table,
    quoted,
    read,
    record_columns,
    records_of,
)
from auxreid.lostpets.base.vectors import Vectors, best, similarities
from auxreid.lostpets.base.write_lock import WAIT, write_lock
from auxreid.lostpets.query import Facts
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks

LOCK_FILE = ".lock"


@dataclass(frozen=True)
class State:
    """What one search sees, whatever is written meanwhile."""

    facts: columns.Facts
    vectors: np.ndarray
    rows: int  # alive
    dogs: int
    codes: int  # of dogs, ever given


class Base:
    """Photographs with what is known of them, on disk.

    Several threads and processes may search, and write one after the other; each search sees all that was
    acknowledged before it began.
    """

    def __init__(self, path: Path, model: str | None, writable: bool) -> None:
        self.path, self.writable = path, writable
        self._table = open_table(path)
        self.header, identity = header_of(self._table, path, model)
        self._looking = Lock()  # held while this object takes notice of what is new
        self._facts, self._version = columns.FactTable(), -1
        self._vectors = Vectors(path / "copy" / f"{identity}.f32", self.header.dimensions)
        self._kept = Kept(path) if writable else None
        self._check_copy()

    @classmethod
    def create(cls, path: Path, header: Header) -> "Base":
        """An empty base, open for writing.

        Raises:
            ConfigError: there is one at this path.
        """
        create_table(path, header)
        Kept(path, new=True).keep()
        return cls(path, header.model, writable=True)

    @classmethod
    def open(cls, path: Path, *, model: str | None = None, writable: bool = False) -> "Base":
        """A base that is there.

        Args:
            model: hash of the networks whose embeddings are to be compared with it; None: whatever it is of.

        Raises:
            ConfigError: it is of another model.
            DataError: there is none.
        """
        return cls(path, model, writable)

    def add(self, rows: Sequence[Row]) -> None:
        """All of the rows, or none: when this returns they are on the disk, and every search sees them.

        Raises:
            DataError: a row would falsify a search, or its frame is there already; names it.
            BusyError: another writer is at work, and does not end.
        """
        for row in rows:
            check(row, self.header)
        frames = [row.frame for row in rows]
        if not frames:
            return
        with self._writing():
            twice = [name for name, times in Counter(frames).items() if times > 1] or sorted(self.known(frames))
            if twice:
                raise DataError(f"photograph {twice[0]!r} is there already (in all {len(twice)} of {len(rows)})")
            start = max(self._facts.rows, self._vectors.rows_on_disk())
            table = arrow_rows(rows, range(start, start + len(rows)), self._table.schema)
            self._vectors.write(start, matrix(table["embedding"]))
            open_table(self.path).add(table)
            self._kept.keep()
            self._look()

    def remove(self, *, frames: Collection[str] = (), source: str | None = None, report: str | None = None) -> int:
        """The photographs with these names, of a source, or of a report.

        Returns:
            How many there were.

        Raises:
            BusyError: another writer is at work, and does not end.
        """
        wanted = conditions("frame", frames)
        wanted += [f"{name} = {quoted(value)}" for name, value in (("source", source), ("report", report)) if value]
        with self._writing():
            before, table = self.count(), open_table(self.path)
            for condition in wanted:
                numbers = read(table, ["number"], condition)["number"].to_numpy()
                if len(numbers):
                    table.delete(condition)
                    with self._looking:
                        self._facts.kill(numbers)
                    self._vectors.blank(numbers)
            self._kept.keep()
            self._look()
            return before - self.count()

    def candidates(self, embedding: np.ndarray, facts: Facts, most: int) -> Candidates:
        """Of the photographs that the facts leave, the `most` that are most alike.

        Args:
            embedding: float32 [dimensions], of unit length.
        """
        state = self._look()
        left, filters = left_by(facts, state.facts)
        rows = np.flatnonzero(left)
        similarity = similarities(state.vectors, rows, np.asarray(embedding, np.float32))
        chosen = best(similarity, most)
        dogs = state.dogs if not filters else columns.distinct(state.facts.dog[rows], state.codes)
        found, kept = self._fetch(rows[chosen], state.facts)
        probabilities = {name: matrix(found[attribute_column(name)]) for name in self.header.vocabulary}
        looks = Looks(np.array(state.vectors[rows[chosen][kept]]), probabilities)
        return Candidates(records_of(found), looks, similarity[chosen][kept], filters, len(rows), dogs, True)

    def count(self) -> int:
        """Photographs."""
        return self._look().rows

    def dogs(self) -> int:
        return self._look().dogs

    def sources(self) -> dict[str, int]:
        """Photographs of each source."""
        self._look()
        counted = pc.value_counts(read(self._table, ["source"])["source"])
        return {one["values"]: one["counts"] for one in counted.to_pylist()}

    def known(self, frames: Iterable[str]) -> set[str]:
        """Those of the names that are there."""
        self._look()
        found = [read(self._table, ["frame"], one)["frame"].to_pylist() for one in conditions("frame", frames)]
        return {name for part in found for name in part}

    def record(self, frame: str) -> Record | None:
        """What is known of a photograph; None: there is none of that name."""
        found = records_of(self._of(frame, record_columns(self.header)))
        return found[0] if found else None

    def looks(self, frame: str) -> Looks | None:
        """What its pixels say."""
        names = list(self.header.vocabulary)
        found = self._of(frame, ["embedding", *map(attribute_column, names)])
        if not len(found):
            return None
        return Looks(matrix(found["embedding"]), {name: matrix(found[attribute_column(name)]) for name in names})

    def thumbnail(self, frame: str) -> bytes | None:
        """A JPEG file's bytes."""
        found = self._of(frame, ["thumbnail"])["thumbnail"].to_pylist()
        return found[0] if found else None

    def _of(self, frame: str, wanted: list[str]) -> pa.Table:
        self._look()
        return read(self._table, wanted, f"frame = {quoted(frame)}")

    def _fetch(self, numbers: np.ndarray, known: columns.Facts) -> tuple[pa.Table, np.ndarray]:
        """The rows with these numbers, and which of them there are: another may have removed some meanwhile."""
        ids = known.row_id[numbers].tolist()
        found = self._table.take_row_ids(ids).select(record_columns(self.header)).to_arrow()
        there = found["number"].to_numpy()
        kept = np.isin(numbers, there)
        order = np.argsort(there)
        return found.take(order[np.searchsorted(there, numbers[kept], sorter=order)]), kept

    def _writing(self):
        if not self.writable:
            raise DataError(f"{self.path}: is open for reading alone")
        return write_lock(self.path / LOCK_FILE, WAIT)

    def _look(self) -> State:
        """Take notice of what is new. Rows are mostly added; if any were removed, all facts are read again."""
        with self._looking:
            self._table.checkout_latest()
            if self._table.version != self._version:
                self._append(self._facts)
                if self._facts.alive != self._table.count_rows():
                    self._facts = columns.FactTable()
                    self._append(self._facts)
                self._version = self._table.version
            view = self._facts.view()
            return State(
                view,
                self._vectors.cover(self._table, len(view)),
                self._facts.alive,
                self._facts.dogs(),
                len(self._facts.codes),
            )

    def _check_copy(self) -> None:
        """So that the copy of the embeddings is of this table, whatever was restored or cleared meanwhile."""
        if not self.writable:
            self._vectors.check(self._table, self._rows_given(), mend=False)
            return
        with self._writing():
            self._vectors.check(self._table, self._rows_given(), mend=True)

    def _rows_given(self) -> int:
        with self._looking:
            self._append(self._facts)
            return self._facts.rows

    def _append(self, known: columns.FactTable) -> None:
        known.append(read(self._table, columns.COLUMNS, f"number >= {known.rows}", row_id=True))
