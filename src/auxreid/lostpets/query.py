"""What a search is asked with: photographs, what the user states, and facts that narrow the base."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from auxreid.search.stated import Stated

__all__ = ["Crop", "Facts", "Kind", "Near", "Query", "Stated"]

Crop = tuple[float, float, float, float]  # left, top, width, height as shares of the upright photograph
Kind = Literal["base", "lost", "found"]  # of a record: of the data set, or of a report


@dataclass(frozen=True)
class Near:
    """A circle on the earth."""

    latitude: float  # degrees
    longitude: float
    km: float


@dataclass(frozen=True)
class Facts:
    """What the user asserts of place and date. A record that lacks the fact stays, and says so."""

    near: Near | None = None
    since: date | None = None
    until: date | None = None
    kinds: tuple[Kind, ...] = ()  # empty: all


@dataclass(frozen=True)
class Query:
    """One search.

    Args:
        photos: the files' bytes, of one dog; may be empty where a text or stated attributes are given.
        crops: of each photograph, None: the whole of it; empty: all whole.
        stated: by attribute; replaces what the photographs say of it.
        text: a description in English or Russian; what it says is stated, where `stated` does not say otherwise.
        dogs: how many are answered.
        rerank: k-reciprocal re-ranking of the candidates.
    """

    photos: tuple[bytes, ...] = ()
    crops: tuple[Crop | None, ...] = ()
    stated: Mapping[str, Stated] = field(default_factory=dict)
    text: str = ""
    facts: Facts = field(default_factory=Facts)
    dogs: int = 20
    rerank: bool = False
