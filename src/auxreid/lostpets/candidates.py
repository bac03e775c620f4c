"""What a base hands to the ranking: the photographs that may be of the dog, and how many were looked through."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.query import Facts, Kind
from auxreid.search.looks import Looks

Prefer = Callable[[Looks], np.ndarray]  # m photographs -> how well each fits what is asked for, float [m]


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a photograph without looking at it."""

    frame: str
    dog: str
    sequence: str = ""
    date: datetime.date | None = None
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    kind: Kind = "base"
    report: str | None = None
    source: str = ""


@dataclass(frozen=True)
class Candidates:
    """m photographs, nearest to the query first where it has a photograph, and how many they were chosen from."""

    records: Sequence[Record]
    looks: Looks
    similarity: np.ndarray  # float32 [m], cosines; what is preferred, or zero, where the query has no photograph
    filters: Sequence[Filter]
    searched: int  # photographs that stay after the filters
    searched_dogs: int
    exact: bool = True  # False: an approximate index has chosen them

    @cached_property
    def frames(self) -> list[str]:
        return [record.frame for record in self.records]

    @cached_property
    def dogs(self) -> list[str]:
        return [record.dog for record in self.records]

    def __len__(self) -> int:
        return len(self.records)


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
