"""The small columns of a base in memory, by the rows' numbers: what filters and counts need, in milliseconds."""

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auxreid.lostpets.base.row import KINDS

COLUMNS = ["number", "dog", "date", "latitude", "longitude", "kind"]
NO_DATE = np.iinfo(np.int32).min
GROWTH = 1.5


@dataclass(frozen=True)
class Facts:
    """Of the rows with the numbers 0, 1, 2, ...; what stands at a number that is not alive means nothing."""

    alive: np.ndarray  # bool [n]
    row_id: np.ndarray  # LanceDB's, which stays the same
    dog: np.ndarray  # int32 [n], a code
    date: np.ndarray  # int32 [n], days since 1970, or NO_DATE
    sphere: np.ndarray  # float64 [3, n], the place as a point of the unit sphere, or NaN
    kind: np.ndarray  # uint8 [n], a place in KINDS

    def __len__(self) -> int:
        return len(self.alive)


def empty(rows: int) -> Facts:
    """Room for so many rows, none of them alive."""
    return Facts(
        np.zeros(rows, bool),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int32),
        np.full(rows, NO_DATE, np.int32),
        np.full((3, rows), np.nan),
        np.zeros(rows, np.uint8),
    )


class FactTable:
    """Facts that grow at the end. A view that was taken stays as it was, but for the rows that die."""

    def __init__(self) -> None:
        self.rows = 0
        self.room = empty(0)
        self.codes: dict[str, int] = {}  # of dogs
        self.alive = 0
        self.alive_dogs: int | None = None  # counted when asked

    def view(self) -> Facts:
        return Facts(*(getattr(self.room, one.name)[..., : self.rows] for one in fields(Facts)))

    def append(self, table: pa.Table) -> None:
        """Rows with COLUMNS and _rowid, whose numbers are above all that are here."""
        if not len(table):
            return
        number = table["number"].to_numpy()
        until = int(number.max()) + 1
        self._grow(until)
        room = self.room
        room.row_id[number] = table["_rowid"].to_numpy()
        room.dog[number] = self._codes(table["dog"])
        room.date[number] = pc.fill_null(table["date"].cast(pa.int32()), int(NO_DATE)).to_numpy()
        degrees = (pc.fill_null(table[name], np.nan).to_numpy() for name in ("latitude", "longitude"))
        room.sphere[:, number] = on_sphere(*degrees)
        room.kind[number] = pc.index_in(table["kind"], pa.array(KINDS)).to_numpy()
        room.alive[number] = True
        self.rows = until
        self.alive += len(table)
        self.alive_dogs = None

    def kill(self, number: np.ndarray) -> None:
        """Rows that were removed; others may have noticed before."""
        number = number[number < self.rows]
        number = number[self.room.alive[number]]
        self.room.alive[number] = False
        self.alive -= len(number)
        self.alive_dogs = None

    def dogs(self) -> int:
        """How many dogs there are."""
        if self.alive_dogs is None:
            view = self.view()
            self.alive_dogs = distinct(view.dog[view.alive], len(self.codes))
        return self.alive_dogs

    def _grow(self, rows: int) -> None:
        if rows <= len(self.room):
            return
        larger = empty(max(rows, int(GROWTH * len(self.room))))
        for one in fields(Facts):
            getattr(larger, one.name)[..., : len(self.room)] = getattr(self.room, one.name)
        self.room = larger

    def _codes(self, dogs: pa.ChunkedArray) -> np.ndarray:
        encoded = dogs.combine_chunks().dictionary_encode()
        codes = [self.codes.setdefault(dog, len(self.codes)) for dog in encoded.dictionary.to_pylist()]
        return np.asarray(codes, np.int32)[encoded.indices.to_numpy()]


def distinct(codes: np.ndarray, most: int) -> int:
    """How many different ones there are of codes below `most`; to sort a million would take far longer."""
    there = np.zeros(most, bool)
    there[codes] = True
    return int(np.count_nonzero(there))


def on_sphere(latitude: np.ndarray | float, longitude: np.ndarray | float) -> np.ndarray:
    """Places in degrees as points of the unit sphere [3, ...]; NaN stays NaN."""
    latitude, longitude = np.radians(latitude), np.radians(longitude)
    level = np.cos(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)])
