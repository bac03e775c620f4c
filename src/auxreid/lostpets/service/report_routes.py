"""The routes of lost and found reports."""

from typing import Annotated

from fastapi import APIRouter, Form, Header, Request
from pydantic import Json

from auxreid.lostpets.service import reports
from auxreid.lostpets.service.asking import checked_crops, uploaded
from auxreid.lostpets.service.duplicates import near_duplicates
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.messages import forward
from auxreid.lostpets.service.schemas import CloseIn, Id, MergeIn, MessageIn, ReportIn, ReportOut, ReportView
from auxreid.lostpets.service.search_routes import Photos, service_of

Token = Annotated[str | None, Header(alias="X-Report-Token", description="as the answer to posting showed it")]
routes = APIRouter(prefix="/api/reports")


@routes.post("", status_code=201)
def post(request: Request, report: Annotated[Json[ReportIn], Form()], photos: Photos) -> ReportOut:
    """Post a lost or found dog. Its photographs are searched from now on; the token is shown this once."""
    service = service_of(request)
    reports.check_date(report.date)
    new = uploaded(photos, service)
    if not new:
        raise Refused(422, "a photograph is needed", "photos")
    parts = checked_crops(report.crops, len(new), "report.crops") or (None,) * len(new)
    new, crops = zip(*dict.fromkeys(zip(new, parts, strict=True)), strict=True)  # the same one twice is one
    with service.turns.one():
        looks = service.engine.look([photo.content for photo in new], crops)
        alike = near_duplicates(service, new, crops)
    posted, token = reports.post(service, report, new, crops, looks)
    service.wake()
    same = [one for one in alike if one.kind == report.kind]
    return ReportOut(report=posted, token=token, duplicates=same, matches=[one for one in alike if one not in same])


@routes.get("/{report}")
def view(request: Request, report: Id) -> ReportView:
    """What everybody may know of a report: not the contact, and the place to a kilometre."""
    return reports.view(service_of(request), report)


@routes.post("/{report}/merge")
def merge(request: Request, report: Id, asked: MergeIn, token: Token = None) -> ReportView:
    """Its poster confirms that it is of the same dog as another one, whose photographs it adds to."""
    service = service_of(request)
    reports.merge(service, report, asked.into, token)
    return reports.view(service, report)


@routes.post("/{report}/close")
def close(request: Request, report: Id, asked: CloseIn, token: Token = None) -> ReportView:
    """The dog is home, or the search has ended: no search finds the report any more."""
    service = service_of(request)
    reports.close(service, report, asked.reason, token)
    return reports.view(service, report)


@routes.delete("/{report}", status_code=204)
def delete(request: Request, report: Id, token: Token = None) -> None:
    """Delete a report with everything that was derived from it."""
    reports.delete(service_of(request), report, token)


@routes.post("/{report}/message", status_code=204)
def message(request: Request, report: Id, said: MessageIn) -> None:
    """Forwarded to the contact of the report, which nobody is shown."""
    service = service_of(request)
    if reports.report_row(service, report)["state"] == reports.CLOSED:
        raise Refused(409, "the report is closed", "report")
    forward(service, report, said)
    service.wake()
