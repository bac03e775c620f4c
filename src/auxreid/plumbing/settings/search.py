"""The lost-pet search of a data set: by which embedding, where its places lie, and how it is tested."""

from typing import Annotated, Literal

from pydantic import Field

from auxreid.plumbing.settings.section import Name, NonNegativeInt, PositiveInt, Section


class Coordinates(Section):
    """A place on the earth, in degrees."""

    latitude: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude: Annotated[float, Field(ge=-180.0, le=180.0)]


class SearchEmbedding(Section):
    """The row whose embedding is searched by."""

    kind: Literal["metric", "row"]  # of metric_rows, or of ablations
    row: Name


class SearchTest(Section):
    """What is told of the search on dogs never seen."""

    strangers: Annotated[float, Field(gt=0.0, lt=1.0)]  # of the query dogs: not in the gallery
    drawings: PositiveInt  # of them
    resamplings: PositiveInt  # of dogs and seeds, for the intervals of what is no mean over queries
    pictures: NonNegativeInt  # hard cases in the picture, each before and after


class SearchConfig(Section):
    """The search of a data set."""

    embedding: SearchEmbedding
    test: SearchTest
    places: dict[str, Coordinates] | None = None  # by the names that frames have; null: unknown
    feedback: str | None = None  # the service's log of what people said of answers; null: none is read
