"""All that is known of a base's rows but their pictures, in memory by the rows' numbers: a search asks LanceDB nothing,
which takes a millisecond for each column of what it looks up."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auxreid.lostpets.base.names import Names, Texts
from auxreid.lostpets.base.row import FACTS, KINDS, RECORD
from auxreid.lostpets.candidates import Record

COLUMNS = FACTS.names
TEXTS = ("frame", "dog", "sequence", "place", "report", "source")
NO_DATE = np.iinfo(np.int32).min
EPOCH = datetime.date(1970, 1, 1)
GROWTH = 1.5


@dataclass(frozen=True)
class Facts:
    """Of the rows with the numbers 0, 1, 2, ...; what stands at a number that is not alive means nothing."""

    alive: np.ndarray  # bool [n]
    frame: np.ndarray  # int32 [n], a place in the texts
    dog: np.ndarray  # int32 [n], a code of its names, as are the next four
    sequence: np.ndarray
    place: np.ndarray
    report: np.ndarray
    source: np.ndarray
    date: np.ndarray  # int32 [n], days since 1970, or NO_DATE
    degrees: np.ndarray  # float64 [2, n], latitude and longitude, or NaN
    sphere: np.ndarray  # float64 [3, n], the same as a point of the unit sphere
    kind: np.ndarray  # uint8 [n], a place in KINDS

    def __len__(self) -> int:
        return len(self.alive)


def empty(rows: int) -> Facts:
    """Room for so many rows, none of them alive."""
    return Facts(
        alive=np.zeros(rows, bool),
        **{name: np.zeros(rows, np.int32) for name in TEXTS},
        date=np.full(rows, NO_DATE, np.int32),
        degrees=np.full((2, rows), np.nan),
        sphere=np.full((3, rows), np.nan),
        kind=np.zeros(rows, np.uint8),
    )


class FactTable:
    """Facts that grow at the end. A view that was taken stays as it was, but for the rows that die."""

    def __init__(self) -> None:
        self.rows = 0
        self.room = empty(0)
        self.texts: dict[str, Names | Texts] = {name: Texts() if name == "frame" else Names() for name in TEXTS}
        self.alive = 0
        self._dogs: int | None = None  # counted when asked

    def view(self) -> Facts:
        return Facts(*(getattr(self.room, one.name)[..., : self.rows] for one in fields(Facts)))

    def append(self, table: pa.Table) -> None:
        """Rows with COLUMNS, whose numbers are above all that are here."""
        if not len(table):
            return
        number = table["number"].to_numpy()
        until = int(number.max()) + 1
        self._grow(until)
        room = self.room
        for name, texts in self.texts.items():
            getattr(room, name)[number] = texts.codes(table[name])
        room.date[number] = pc.fill_null(table["date"].cast(pa.int32()), int(NO_DATE)).to_numpy()
        room.degrees[:, number] = [pc.fill_null(table[name], np.nan).to_numpy() for name in ("latitude", "longitude")]
        room.sphere[:, number] = on_sphere(*room.degrees[:, number])
        room.kind[number] = pc.index_in(table["kind"], pa.array(KINDS)).to_numpy()
        room.alive[number] = True
        self.rows = until
        self.alive += len(table)
        self._dogs = None

    def kill(self, number: np.ndarray) -> None:
        """Rows that were removed; others may have noticed before."""
        number = number[number < self.rows]
        number = number[self.room.alive[number]]
        self.room.alive[number] = False
        self.alive -= len(number)
        self._dogs = None

    def dogs(self) -> int:
        """How many dogs there are."""
        if self._dogs is None:
            view = self.view()
            self._dogs = distinct(view.dog[view.alive])
        return self._dogs

    def _grow(self, rows: int) -> None:
        if rows <= len(self.room):
            return
        larger = empty(max(rows, int(GROWTH * len(self.room))))
        for one in fields(Facts):
            getattr(larger, one.name)[..., : len(self.room)] = getattr(self.room, one.name)
        self.room = larger


def records(known: Facts, texts: Mapping[str, Names | Texts], numbers: np.ndarray) -> list[Record]:
    """Of the rows with these numbers."""
    columns = {name: texts[name].of(getattr(known, name)[numbers]) for name in TEXTS}
    columns["date"] = [
        None if day == NO_DATE else EPOCH + datetime.timedelta(day) for day in known.date[numbers].tolist()
    ]
    for name, row in zip(("latitude", "longitude"), known.degrees[:, numbers], strict=True):
        columns[name] = [None if value != value else value for value in row.tolist()]
    columns["kind"] = [KINDS[kind] for kind in known.kind[numbers].tolist()]
    return [Record(*one) for one in zip(*(columns[name] for name in RECORD), strict=True)]


def distinct(codes: np.ndarray) -> int:
    """How many different ones there are; to sort a million would take far longer."""
    there = np.zeros(int(codes.max(initial=-1)) + 1, bool)
    there[codes] = True
    return int(np.count_nonzero(there))


def on_sphere(latitude: np.ndarray | float, longitude: np.ndarray | float) -> np.ndarray:
    """Places in degrees as points of the unit sphere [3, ...]; NaN stays NaN."""
    latitude, longitude = np.radians(latitude), np.radians(longitude)
    level = np.cos(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), np.sin(latitude)])
