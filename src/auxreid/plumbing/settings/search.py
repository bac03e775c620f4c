"""The lost-pet search of a data set: by which embedding, where its places lie, and how it is tested."""

from typing import Annotated, Literal

from pydantic import Field

from auxreid.plumbing.settings.section import Name, Section


class Coordinates(Section):
    """A place on the earth, in degrees."""

    latitude: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude: Annotated[float, Field(ge=-180.0, le=180.0)]


class SearchEmbedding(Section):
    """The row whose embedding is searched by."""

    kind: Literal["metric", "row"]  # of metric_rows, or of ablations
    row: Name


class SearchConfig(Section):
    """The search of a data set."""

    embedding: SearchEmbedding
    places: dict[str, Coordinates] | None = None  # by the names that frames have; null: unknown
