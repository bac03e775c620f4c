"""What the API is asked and answers, beside the answer of a search."""

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, StringConstraints, model_validator

from auxreid.lostpets.answer import Answer, Decision, Found, Place
from auxreid.lostpets.query import Kind

PhotoName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
FrameId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_.-]{1,100}$", description="id of a photograph")]
Line = Annotated[str, StringConstraints(max_length=200)]
# Whatever sends mail puts it into a header: no line of its own may begin within.
Contact = Annotated[
    str,
    StringConstraints(
        min_length=3, max_length=200, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$"
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
ROUNDING = 1e-6
Day = Annotated[date, Field(description="YYYY-MM-DD")]


class Asked(BaseModel):
    """What is not known is refused by name."""

    model_config = ConfigDict(extra="forbid")


def inside(crop: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Raises ValueError of a rectangle that is empty or leaves the photograph."""
    left, top, width, height = crop
    if width <= 0 or height <= 0 or left + width > 1 + ROUNDING or top + height > 1 + ROUNDING:
        raise ValueError("left, top, width, height: the rectangle is empty or leaves the photograph")
    return crop


CropIn = Annotated[
    tuple[Share, Share, Share, Share],
    AfterValidator(inside),
    Field(description="left, top, width, height as shares of the upright photograph"),
]
Crops = Annotated[
    list[CropIn | None], Field(max_length=6, description="of each photograph, null: the whole; empty: all whole")
]


class CropsIn(RootModel[Crops]):
    """Crops as a part of a form."""


class StatedIn(Asked):
    """Of one attribute: one of these words, or none of those."""

    words: list[Line] = Field([], max_length=50)
    excluded: list[Line] = Field([], max_length=50)


class NearIn(Asked):
    latitude: Latitude
    longitude: Longitude
    km: Annotated[float, Field(gt=0, le=20_100)]


class SearchIn(Asked):
    """One search; photographs may come with it, or be named as `look` and former searches named them."""

    photos: list[PhotoName] = Field([], max_length=6, description="uploaded before; they come before new ones")
    crops: Crops = []
    stated: dict[Line, StatedIn] = Field({}, max_length=50, description="by attribute")
    text: Annotated[str, StringConstraints(max_length=2000)] = Field("", description="in English or Russian")
    near: NearIn | None = None
    since: Day | None = None
    until: Day | None = None
    kinds: list[Kind] = Field([], max_length=3, description="empty: all")
    dogs: int = Field(20, ge=1, le=100)
    rerank: bool = False

    @model_validator(mode="after")
    def dates_in_order(self) -> "SearchIn":
        if self.since and self.until and self.since > self.until:
            raise ValueError("since is later than until")
        return self


class SearchOut(BaseModel):
    search: str = Field(description="id, for feedback and to save it; kept for an hour")
    photos: list[str] = Field(description="names of its photographs, to be searched by again within an hour")
    answer: Answer


class LookOut(BaseModel):
    photos: list[str] = Field(description="names, to search by without uploading again within an hour")
    crops: list[CropIn | None] = Field(description="what was looked at: as asked, else the dog if a detector found it")
    predicted: list[dict[str, dict[str, float]]] = Field(description="of each photograph: attribute, word, probability")
    together: dict[str, dict[str, float]] = Field(description="of all of them as one dog")


class Counts(BaseModel):
    photographs: int
    reports: int = Field(description="open ones")


class Limits(BaseModel):
    photos: int
    upload_bytes: int
    upload_pixels: int
    kept_seconds: float


class About(BaseModel):
    vocabulary: dict[str, list[str]]
    languages: list[str]
    counts: Counts
    sources: dict[str, int] = Field(description="photographs by what they came from")
    limits: Limits
    model: str
    model_name: str


class Judged(Asked):
    """One dog of an answer."""

    search: Id
    dog: Line
    verdict: Literal["same", "different"]


class NoneOfThese(Asked):
    """All dogs of an answer."""

    search: Id
    dog: None = None
    verdict: Literal["none"]


FeedbackIn = Annotated[Judged | NoneOfThese, Field(discriminator="verdict")]


class PlaceIn(Asked):
    name: Line = ""
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def both_or_none(self) -> "PlaceIn":
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude are given together")
        return self


class ReportIn(Asked):
    """A lost or found dog. Its text and the place's name are shown; the contact never is."""

    kind: Literal["lost", "found"]
    date: Day | None = None
    place: PlaceIn = PlaceIn()
    text: Annotated[str, StringConstraints(max_length=4000)] = Field("", description="shown to everybody")
    contact: Contact = Field(description="address or number that messages are forwarded to; never shown")
    name: Annotated[str, StringConstraints(max_length=100)] = Field("", description="of the dog")
    crops: Crops = []


class Duplicate(BaseModel):
    """A report that may be of the same dog."""

    report: str
    kind: Literal["lost", "found"]
    why: Literal["same photograph", "alike photograph", "match"]


class ReportOut(BaseModel):
    report: str
    token: str = Field(description="shown once: it closes, merges and deletes the report")
    duplicates: list[Duplicate] = Field(description="of the same kind: merge into one of them if it is that dog")
    matches: list[Duplicate] = Field(description="of the other kind: the dog may have been found")


class ReportView(BaseModel):
    report: str
    kind: Literal["lost", "found"]
    state: Literal["open", "closed", "merged"]
    reason: str | None
    into: str | None = Field(description="the report that it was merged into")
    date: Day | None
    place: Place
    text: str
    name: str
    photos: list[str] = Field(description="ids, for /api/photos")
    created: datetime


class MergeIn(Asked):
    into: Id


class CloseIn(Asked):
    reason: Literal["reunited", "other"]


class MessageIn(Asked):
    text: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    reply_to: Contact


class SaveIn(Asked):
    search: Id
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    webhook: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        None, description="http or https address that each new candidate is posted to"
    )


class SaveOut(BaseModel):
    saved: str
    token: str = Field(description="shown once: it opens, feeds and deletes the saved search")
    feed: str = Field(description="address of the Atom feed, below this service's own")


class Candidate(BaseModel):
    """A report that came after the search was saved, and fits."""

    report: str
    decision: Decision
    found: Found
    created: datetime


class SavedView(BaseModel):
    saved: str
    name: str
    created: datetime
    opened: datetime | None = Field(description="when it was opened before")
    new: list[Candidate] = Field(description="since it was opened before")
    seen: list[Candidate]


class Health(BaseModel):
    status: Literal["ok"]
