"""The routes of a search: what is known here, looking at photographs, searching, similar ones, pictures, feedback."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import Json

from auxreid.lostpets.answer import Answer
from auxreid.lostpets.query import Query
from auxreid.lostpets.service.asking import checked_crops, named, query_of, uploaded
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.feedback import note
from auxreid.lostpets.service.recent import keep_search
from auxreid.lostpets.service.schemas import (
    About,
    Counts,
    CropsIn,
    FeedbackIn,
    FrameId,
    Health,
    Limits,
    LookOut,
    SearchIn,
    SearchOut,
)
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.uploads import Photo
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks, Vocabulary

LANGUAGES = ["en", "ru"]
JPEG = "image/jpeg"
A_WHILE = {"Cache-Control": "private, max-age=300"}  # a deleted report is gone from browsers soon, too
PICTURE = {200: {"content": {JPEG: {"schema": {"type": "string", "format": "binary"}}}}}
OF_ONE_DOG = "JPEG, PNG or WebP, of one dog"
Photos = Annotated[list[UploadFile], File(description=OF_ONE_DOG, json_schema_extra={"minItems": 1, "maxItems": 6})]
MorePhotos = Annotated[list[UploadFile], File(description=OF_ONE_DOG, json_schema_extra={"maxItems": 6})]
routes = APIRouter()


def service_of(request: Request) -> Service:
    """What the application was made with."""
    return request.app.state.service


@routes.get("/healthz")
def health() -> Health:
    """Whether the service answers."""
    return Health(status="ok")


@routes.get("/api/about")
def about(request: Request) -> About:
    """The vocabulary, how much is searched, and the limits."""
    service = service_of(request)
    engine, settings = service.engine, service.settings
    reports = service.store.row("select count(*) from reports where state = 'open'")[0]
    header = engine.base.header
    return About(
        vocabulary={name: list(words) for name, words in engine.vocabulary.items()},
        languages=LANGUAGES,
        counts=Counts(photographs=engine.base.count(), reports=reports),
        sources=dict(engine.base.sources()),
        limits=Limits(
            photos=settings.photos,
            upload_bytes=settings.upload_bytes,
            upload_pixels=settings.upload_pixels,
            kept_seconds=settings.kept_seconds,
        ),
        model=header.model,
        model_name=header.model_name,
    )


@routes.post("/api/look")
def look(request: Request, photos: Photos, crops: Annotated[Json[CropsIn] | None, Form()] = None) -> LookOut:
    """What the photographs say of each attribute; they can then be searched by without uploading them again."""
    service = service_of(request)
    new = uploaded(photos, service)
    if not new:
        raise Refused(422, "a photograph is needed", "photos")
    parts = checked_crops([] if crops is None else crops.root, len(new), "crops")
    service.keep(new)
    contents = [photo.content for photo in new]
    with service.turns.one():
        parts = service.engine.looker.find_dogs(contents, parts)
        looks = service.engine.look(contents, parts)
    vocabulary = service.engine.vocabulary
    each = [in_words(looks.take([place]), vocabulary) for place in range(len(looks))]
    return LookOut(photos=names(new), crops=parts, predicted=each, together=in_words(looks.pooled(), vocabulary))


@routes.post("/api/search")
def search(
    request: Request, query: Annotated[Json[SearchIn] | None, Form()] = None, photos: MorePhotos = ()
) -> SearchOut:
    """Dogs, best first, by photographs, by what is stated, or by both. Photographs named come before new ones."""
    service, asked = service_of(request), query or SearchIn()
    new = uploaded(photos, service, len(asked.photos))
    contents = named(asked.photos, service) + [photo.content for photo in new]
    wanted = query_of(asked, contents, service.engine.vocabulary)
    service.keep(new)
    kept = asked.model_copy(update={"photos": [*asked.photos, *names(new)]})
    with service.turns.one():
        answer = searched(service, wanted)
    return SearchOut(search=keep_search(service, kept, answer), photos=kept.photos, answer=answer)


@routes.get("/api/similar/{frame}")
def similar(request: Request, frame: FrameId) -> SearchOut:
    """Dogs that look like the one on a photograph of the base."""
    service = service_of(request)
    try:
        with service.turns.one():
            answer = service.engine.similar(frame)
    except DataError:
        raise Refused(404, "no such photograph", "frame") from None
    return SearchOut(search=keep_search(service, SearchIn(), answer, frame), photos=[], answer=answer)


@routes.get("/api/photos/{frame}", responses=PICTURE, response_class=Response)
def thumbnail(request: Request, frame: FrameId) -> Response:
    """A small picture of a photograph of the base."""
    return Response(_thumbnail(service_of(request), frame), media_type=JPEG, headers=A_WHILE)


@routes.get("/api/photos/{frame}/large", responses=PICTURE, response_class=Response)
def large(request: Request, frame: FrameId) -> Response:
    """The photograph at the size that is kept: of a report up to 2048 pixels, of a data set what it has."""
    service = service_of(request)
    row = service.store.row("select photo from report_photos where frame = ?", (frame,))
    if service.record(frame) is None:
        raise Refused(404, "no such photograph", "frame")
    content = service.photos.get(row["photo"]) if row else service.larger(frame)
    return Response(content or _thumbnail(service, frame), media_type=JPEG, headers=A_WHILE)


@routes.post("/api/feedback", status_code=204)
def feedback(request: Request, said: FeedbackIn) -> None:
    """Whether a dog of an answer is the one that was searched for; kept with the evidence for the next calibration."""
    note(service_of(request), said)


def _thumbnail(service: Service, frame: str) -> bytes:
    """Raises Refused where there is no such photograph, or none any more."""
    try:
        return service.engine.base.thumbnail(frame)
    except DataError:
        raise Refused(404, "no such photograph", "frame") from None


def searched(service: Service, query: Query) -> Answer:
    """The engine's answer. Raises Refused where the description says nothing that is understood."""
    try:
        return service.engine.search(query)
    except DataError as error:
        raise Refused(422, str(error), "query") from None


def names(photos: list[Photo]) -> list[str]:
    return [photo.name for photo in photos]


def in_words(looks: Looks, vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
    """Of one photograph: attribute -> word -> probability."""
    return {
        name: dict(zip(vocabulary[name], map(float, values[0]), strict=True))
        for name, values in looks.probabilities.items()
    }
