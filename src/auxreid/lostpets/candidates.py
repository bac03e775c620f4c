"""What a base hands to the ranking: the photographs that may be of the dog, and how many were looked through."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.query import Facts, Kind
from auxreid.search.looks import Looks


class Record(Protocol):
    """What is known of a photograph without looking at it."""

    frame: str
    dog: str
    date: datetime.date | None
    place: str
    latitude: float | None
    longitude: float | None
    kind: Kind
    report: str | None


class Candidates(Protocol):
    """m photographs, nearest to the query first where it has a photograph."""

    frames: Sequence[str]
    dogs: Sequence[str]
    looks: Looks
    similarity: np.ndarray  # float32 [m], cosines; zero where the query has no photograph
    records: Sequence[Record]
    filters: list[Filter]
    searched: int  # photographs that stay after the filters
    searched_dogs: int
    exact: bool  # False: an approximate index has chosen them


class Base(Protocol):
    """Photographs that can be searched."""

    header: Any  # with `model`, the hash of the networks, and `vocabulary`

    def candidates(self, embedding: np.ndarray | None, facts: Facts, most: int) -> Candidates:
        """Those that are nearest, at most so many, of those that the facts leave; None: any of them."""

    def record(self, frame: str) -> Record:
        """Of a photograph; raises DataError for one that is not there."""

    def looks(self, frames: Sequence[str]) -> Looks:
        """Of these photographs, in this order; raises DataError for one that is not there."""


@dataclass(frozen=True)
class Kept:
    """A record as it lies in memory."""

    frame: str
    dog: str
    date: datetime.date | None = None
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    kind: Kind = "base"
    report: str | None = None
    sequence: str = ""


@dataclass(frozen=True)
class Found:
    """Candidates in memory; see :class:`Candidates`."""

    frames: Sequence[str]
    dogs: Sequence[str]
    looks: Looks
    similarity: np.ndarray
    records: Sequence[Record]
    filters: list[Filter]
    searched: int
    searched_dogs: int
    exact: bool = True
