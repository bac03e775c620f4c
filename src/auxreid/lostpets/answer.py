"""What a search answers, as the page, the API and the command show it."""

import datetime
from typing import Literal

from pydantic import BaseModel, Field

Decision = Literal["match", "possible", "no match"]


class Term(BaseModel):
    """What one piece of evidence adds to a score: above 0 it speaks for the same dog."""

    name: str = Field(description='"visual", "text", or an attribute')
    value: float = Field(description="weighted log-likelihood ratio, in nats")
    said: bool = Field(False, description="the user stated it; else it was predicted from the photographs")


class Place(BaseModel):
    """Where a photograph was taken, coarsely: coordinates are rounded to some kilometre."""

    name: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Found(BaseModel):
    """A dog of the base, with the photograph of it that fits best."""

    dog: str
    score: float = Field(description="sum of the terms")
    decision: Decision
    terms: list[Term]
    photo: str = Field(description="id of the photograph that fits best")
    photos: list[str] = Field(description="ids of all its photographs that were searched, best first")
    kind: Literal["base", "lost", "found"]
    report: str | None = Field(None, description="id of the report that it is of")
    date: datetime.date | None = None
    place: Place | None = None
    km: float | None = Field(None, description="distance to the place that was asked for")
    lacks: list[Literal["date", "place"]] = Field(description="facts that were asked for and that its record has not")


class Understood(BaseModel):
    """How a word, or several, of the description were taken."""

    text: str = Field(description="as the user wrote it")
    attribute: str | None = Field(None, description="null: not understood, or of no attribute that is known")
    words: list[str] = []
    negated: bool = False
    note: str = Field("", description="why it was not used, where it was not")


class Filter(BaseModel):
    """A fact that narrowed the search: photographs before and after it, and those that stay since they lack it."""

    name: Literal["near", "since", "until", "kind"]
    before: int
    after: int
    lacking: int


class Answer(BaseModel):
    """One search's answer."""

    decision: Decision
    dogs: list[Found]
    predicted: dict[str, dict[str, float]] = Field(description="what the photographs say: word -> probability")
    stated: dict[str, list[str]] = Field(description="what was taken as stated, by attribute")
    understood: list[Understood] = []
    filters: list[Filter] = []
    searched: int = Field(description="photographs that were compared, after the filters")
    searched_dogs: int
    exact: bool = Field(description="false: an approximate index chose the candidates")
    model: str = Field(description="hash of the networks and the fusion")
