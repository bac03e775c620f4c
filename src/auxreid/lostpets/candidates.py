"""What a base hands to the ranking: the photographs that may be of the dog, and how many were looked through."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.query import Facts, Kind
from auxreid.search.looks import Looks

Prefer = Callable[[Looks], np.ndarray]  # m photographs -> how well each fits what is asked for, float [m]


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
    similarity: np.ndarray  # float32 [m], cosines; what is preferred, or zero, where the query has no photograph
    records: Sequence[Record]
    filters: list[Filter]
    searched: int  # photographs that stay after the filters
    searched_dogs: int
    exact: bool  # False: an approximate index has chosen them


class Base(Protocol):
    """Photographs that can be searched."""

    header: Any  # with `model`, the hash of the networks, and `vocabulary`

    def candidates(
        self, embedding: np.ndarray | None, facts: Facts, most: int, prefer: Prefer | None = None
    ) -> Candidates:
        """Those that are nearest, at most so many, of those that the facts leave; without an embedding those that are
        preferred, and without either any of them."""

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
