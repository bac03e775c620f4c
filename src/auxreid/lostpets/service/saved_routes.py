"""The routes of saved searches and their feeds."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from auxreid.lostpets.service import saved
from auxreid.lostpets.service.feed import MEDIA_TYPE, feed_of
from auxreid.lostpets.service.schemas import Id, SavedView, SaveIn, SaveOut
from auxreid.lostpets.service.search_routes import service_of

Token = Annotated[str | None, Header(alias=saved.HEADER, description="as the answer to saving showed it")]
FeedToken = Annotated[str, Query(description="the saved search's token: readers of feeds send no headers")]
FEED = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}
routes = APIRouter(prefix="/api/searches")


@routes.post("", status_code=201)
def save(request: Request, asked: SaveIn) -> SaveOut:
    """Keep a search of the last hour: each new report is compared with it."""
    kept, token = saved.save(service_of(request), asked)
    return SaveOut(saved=kept, token=token, feed=f"/api/searches/{kept}/feed.atom?token={token}")


@routes.get("/{saved_id}")
def reopen(request: Request, saved_id: Id, token: Token = None) -> SavedView:
    """Its candidates: those that are new since it was opened before, and those seen then."""
    return saved.open_saved(service_of(request), saved_id, token)


@routes.get("/{saved_id}/feed.atom", responses=FEED, response_class=Response)
def feed(request: Request, saved_id: Id, token: FeedToken) -> Response:
    """Its candidates as an Atom feed; reading it leaves the new ones new."""
    service = service_of(request)
    row = saved.saved_row(service, saved_id, token)
    content = feed_of(row, saved.candidates(service, saved_id), str(request.base_url).rstrip("/"))
    return Response(content, media_type=MEDIA_TYPE)


@routes.delete("/{saved_id}", status_code=204)
def remove(request: Request, saved_id: Id, token: Token = None) -> None:
    """Delete it with its candidates and photographs."""
    saved.remove(service_of(request), saved_id, token)
