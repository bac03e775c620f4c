"""A base of photographs that is searched while it is written to."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auxreid.lostpets.base import facts as columns
from auxreid.lostpets.base.durable import Kept
from auxreid.lostpets.base.filters import left_by
from auxreid.lostpets.base.index import EXACT_MOST, Index, IndexFile, is_due, make_index
from auxreid.lostpets.base.names import Names, Texts
from auxreid.lostpets.base.row import RECORD, Header, Row, arrow_rows, check, vector_columns
from auxreid.lostpets.base.table import Tables, conditions, create_tables, header_of, quoted
from auxreid.lostpets.base.vectors import BATCH, Vectors, best, similarities
from auxreid.lostpets.base.write_lock import WAIT, write_lock
from auxreid.lostpets.candidates import Candidates, Prefer, Record
from auxreid.lostpets.query import Facts
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks

LOCK_FILE = ".lock"


@dataclass(frozen=True)
class State:
    """What one search sees, whatever is written meanwhile."""

    facts: columns.Facts
    vectors: np.ndarray
    index: Index | None
    rows: int  # alive
    dogs: int
    texts: Mapping[str, Names | Texts]


class Base:
    """Photographs with what is known of them, on disk.

    Several threads and processes may search, and write one after the other; each search sees all that was
    acknowledged before it began.
    """

    def __init__(self, path: Path, model: str | None, writable: bool) -> None:
        self.path, self.writable = path, writable
        self._tables = Tables(path)
        self.header, identity = header_of(self._tables, path, model)
        self._looking = Lock()  # held while this object takes notice of what is new
        self._facts, self._versions = columns.FactTable(), (0, 0)
        self._vectors = Vectors(path / "copy" / f"{identity}.f32", vector_columns(self.header))
        self._index = IndexFile(path / "copy" / f"{identity}.cells.safetensors", path / "index.json")
        self._kept = Kept(path) if writable else None
        self._check_copy()

    @classmethod
    def create(cls, path: Path, header: Header) -> "Base":
        """An empty base, open for writing.

        Raises:
            ConfigError: there is one at this path.
        """
        create_tables(path, header)
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
        """When this returns the rows are on the disk, and every search sees them; all of them, or after an error or a
        kill none. Rows of data sets and of reports are two additions in this respect.

        Raises:
            DataError: a row would falsify a search, or its frame is there already; names it.
            BusyError: another writer is at work, and does not end.
        """
        check(rows, self.header)
        frames = [row.frame for row in rows]
        if not frames:
            return
        with self._writing():
            twice = [name for name, times in Counter(frames).items() if times > 1] or sorted(self.known(frames))
            if twice:
                raise DataError(f"photograph {twice[0]!r} is there already (in all {len(twice)} of {len(rows)})")
            start = max(self._facts.rows, self._vectors.rows_on_disk())
            table = arrow_rows(rows, range(start, start + len(rows)), self._tables.schema)
            self._vectors.write(start, self._vectors.of(table))
            Tables(self.path).add(table)
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
            before, tables = self.count(), Tables(self.path)
            for condition in wanted:
                numbers = tables.read(["number"], condition)["number"].to_numpy()
                if len(numbers):
                    tables.remove(condition)
                    with self._looking:
                        self._facts.kill(numbers)
                    self._vectors.blank(numbers)
            self._kept.keep()
            self._look()
            return before - self.count()

    def candidates(
        self, embedding: np.ndarray | None, facts: Facts, most: int, prefer: Prefer | None = None
    ) -> Candidates:
        """Of the photographs that the facts leave, the `most` that are most alike.

        Args:
            embedding: float32 [dimensions], of unit length; None: there is no photograph to be alike.
            prefer: in its place, how well photographs fit what is asked for; all that are left are gone through.
        """
        state = self._look()
        left, filters = left_by(facts, state.facts)
        searched = filters[-1].after if filters else state.rows
        exact = embedding is None or searched <= EXACT_MOST or state.index is None
        if embedding is None:
            rows = np.flatnonzero(left)
            similarity = self._preferred(state.vectors, rows, prefer)
        else:
            query = np.asarray(embedding, np.float32)
            rows = np.flatnonzero(left) if exact else state.index.near(query, left)
            similarity = similarities(state.vectors, rows, query)
        chosen = best(similarity, most)
        dogs = state.dogs if not filters else columns.distinct(state.facts.dog[left])
        records = columns.records(state.facts, state.texts, rows[chosen])
        looks = self._looks_of(state.vectors[rows[chosen]])
        return Candidates(records, looks, similarity[chosen], filters, searched, dogs, exact)

    def _preferred(self, vectors: np.ndarray, rows: np.ndarray, prefer: Prefer | None) -> np.ndarray:
        """How well each of these rows fits; 0 where it is not asked."""
        found = np.zeros(len(rows), np.float32)
        for start in range(0, len(rows) if prefer else 0, BATCH):
            part = rows[start : start + BATCH]
            found[start : start + BATCH] = prefer(self._looks_of(vectors[part]))
        return found

    def _looks_of(self, vectors: np.ndarray) -> Looks:
        ends = np.cumsum(list(vector_columns(self.header).values()))
        embedding, *probabilities = np.split(np.asarray(vectors), ends[:-1], axis=1)
        return Looks(embedding, dict(zip(self.header.vocabulary, probabilities, strict=True)))

    def tidy(self) -> bool:
        """Join small files, and make the index where it is due. Searches go on meanwhile, and while the index is made
        writers do too.

        Returns:
            Whether there was anything to do.

        Raises:
            BusyError: another writer is at work, and does not end.
        """
        with self._writing():
            scattered = Tables(self.path).join_files()
            self._kept.keep()
        state = self._look()
        due = is_due(state.index, state.rows)
        if due:
            index, told = make_index(state.vectors, self.header.dimensions, np.array(state.facts.alive))
            with self._writing():
                self._index.write(index, told)
                Tables(self.path).index_names()
                self._kept.keep()
        return scattered or due

    def count(self) -> int:
        """Photographs."""
        return self._look().rows

    def dogs(self) -> int:
        return self._look().dogs

    def sources(self) -> dict[str, int]:
        """Photographs of each source."""
        self._look()
        counted = pc.value_counts(self._tables.read(["source"])["source"])
        return {one["values"]: one["counts"] for one in counted.to_pylist()}

    def of_source(self, source: str) -> Iterator[tuple[Record, np.ndarray]]:
        """Every photograph of a source, and what its pixels say: the embedding, and behind it the probabilities."""
        state = self._look()
        codes = [code for code, name in enumerate(state.texts["source"].names) if name == source]
        numbers = np.flatnonzero(state.facts.alive & np.isin(state.facts.source, codes))
        for start in range(0, len(numbers), BATCH):
            part = numbers[start : start + BATCH]
            yield from zip(columns.records(state.facts, state.texts, part), np.array(state.vectors[part]), strict=True)

    def known(self, frames: Iterable[str]) -> set[str]:
        """Those of the names that are there."""
        self._look()
        found = [self._tables.read(["frame"], one)["frame"].to_pylist() for one in conditions("frame", frames)]
        return {name for part in found for name in part}

    def record(self, frame: str) -> Record:
        """What is known of a photograph. Raises DataError for one that is not there."""
        return Record(**self._of([frame], RECORD).select(RECORD).to_pylist()[0])

    def looks(self, frames: Sequence[str]) -> Looks:
        """What these photographs' pixels say, in this order. Raises DataError for one that is not there."""
        return self._looks_of(self._vectors.of(self._of(frames, self._vectors.columns)))

    def thumbnail(self, frame: str) -> bytes:
        """A JPEG file's bytes. Raises DataError for a photograph that is not there."""
        return self._of([frame], ["thumbnail"])["thumbnail"][0].as_py()

    def _of(self, frames: Sequence[str], wanted: list[str]) -> pa.Table:
        """These columns of these photographs, in their order."""
        self._look()
        parts = [self._tables.read(sorted({"frame", *wanted}), one) for one in conditions("frame", frames)]
        found = pa.concat_tables(parts)
        place = {name: number for number, name in enumerate(found["frame"].to_pylist())}
        missing = [name for name in frames if name not in place]
        if missing:
            raise DataError(f"{missing[0][:80]!r}: no such photograph in the base")
        return found.take([place[name] for name in frames])

    def _writing(self):
        if not self.writable:
            raise DataError(f"{self.path}: is open for reading alone")
        return write_lock(self.path / LOCK_FILE, WAIT)

    def _look(self) -> State:
        """Take notice of what is new. Rows are mostly added; if any were removed, all facts are read again."""
        with self._looking:
            versions = self._tables.look_again()
            if versions != self._versions:
                self._append(self._facts)
                if self._facts.alive != self._tables.count():
                    self._facts = columns.FactTable()
                    self._append(self._facts)
                self._versions = versions
            view = self._facts.view()
            vectors = self._vectors.cover(self._tables, len(view))
            index = self._index.latest()
            if index is not None:
                index = self._index.index = index.covering(vectors[:, : self.header.dimensions])
            return State(view, vectors, index, self._facts.alive, self._facts.dogs(), self._facts.texts)

    def _check_copy(self) -> None:
        """So that the copy of the embeddings is of this table, whatever was restored or cleared meanwhile."""
        if not self.writable:
            self._vectors.check(self._tables, self._rows_given(), mend=False)
            return
        with self._writing():
            self._vectors.check(self._tables, self._rows_given(), mend=True)

    def _rows_given(self) -> int:
        with self._looking:
            self._append(self._facts)
            return self._facts.rows

    def _append(self, known: columns.FactTable) -> None:
        known.append(self._tables.read(columns.COLUMNS, f"number >= {known.rows}"))
