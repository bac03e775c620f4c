"""A base in memory, searched exactly: for the command line, and a data set's rows without a service."""

from collections.abc import Sequence
from datetime import date

import numpy as np

from auxreid.lostpets.candidates import Candidates, Prefer, Record
from auxreid.lostpets.narrowing import Known
from auxreid.lostpets.query import Facts
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks
from auxreid.search.rows import IndexRows


class MemoryBase:
    """The rows of an index, all of kind "base"."""

    def __init__(self, rows: IndexRows):
        self.header, self._rows = rows.header, rows
        self._records = [_record(rows, place) for place in range(len(rows))]
        self._places = {frame: place for place, frame in enumerate(rows.frame)}
        self._known = Known(self._records)

    def count(self) -> int:
        """How many photographs there are."""
        return len(self._records)

    def candidates(
        self, embedding: np.ndarray | None, facts: Facts, most: int, prefer: Prefer | None = None
    ) -> Candidates:
        """The photographs that the facts leave, nearest first and at most so many; without an embedding those that are
        preferred."""
        places, filters = self._known.narrowed(facts)
        all_looks = self._rows.looks
        similarity = np.zeros(len(places), np.float32)
        if embedding is not None:
            similarity = all_looks.embedding[places] @ np.asarray(embedding, np.float32)
        elif prefer is not None:
            similarity = np.asarray(prefer(all_looks.take(places)), np.float32)
        nearest = np.argsort(-similarity, kind="stable")[:most]
        chosen = places[nearest]
        return Candidates(
            looks=all_looks.take(chosen),
            similarity=similarity[nearest],
            records=[self._records[place] for place in chosen],
            filters=filters,
            searched=len(places),
            searched_dogs=len({self._records[place].dog for place in places}),
        )

    def record(self, frame: str) -> Record:
        """Raises DataError for a photograph that is not there."""
        return self._records[self._place(frame)]

    def looks(self, frames: Sequence[str]) -> Looks:
        """Raises DataError for a photograph that is not there."""
        return self._rows.looks.take([self._place(frame) for frame in frames])

    def thumbnail(self, frame: str) -> bytes | None:
        """A small JPEG of it. Raises DataError for a photograph that is not there."""
        return self._rows.thumbnail[self._place(frame)]

    def _place(self, frame: str) -> int:
        if frame not in self._places:
            raise DataError(f"{frame[:80]!r}: no such photograph in the base")
        return self._places[frame]


def _record(rows: IndexRows, place: int) -> Record:
    return Record(
        frame=str(rows.frame[place]),
        dog=str(rows.dog[place]),
        date=day(str(rows.date[place])),
        place=str(rows.place[place]),
        latitude=_number(rows.latitude[place]),
        longitude=_number(rows.longitude[place]),
        sequence=str(rows.sequence[place]),
    )


def day(text: str) -> date | None:
    """A date as year-month-day, or the first of a month or year that alone is known; None where it is no date."""
    parts = text.strip()[:10].split("-")
    try:
        return date(*(int(part) for part in [*parts, "1", "1"][:3]))
    except ValueError:
        return None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
