"""Lost and found reports: in the tables first, then in the base, then acknowledged; `repair` mends what a kill left."""

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta

from auxreid.lostpets.answer import Place
from auxreid.lostpets.base.row import Row
from auxreid.lostpets.query import Crop
from auxreid.lostpets.service.coarse import coarse_or_none
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.feedback import FILE as FEEDBACK
from auxreid.lostpets.service.feedback import forget
from auxreid.lostpets.service.kept_looks import from_bytes, to_bytes
from auxreid.lostpets.service.messages import forget_messages
from auxreid.lostpets.service.schemas import ReportIn, ReportView
from auxreid.lostpets.service.state import Service, now
from auxreid.lostpets.service.tokens import fits, hashed, new_id, new_token
from auxreid.lostpets.service.uploads import Photo
from auxreid.search.looks import Looks

OPEN, CLOSED, MERGED = "open", "closed", "merged"
PENDING, DELETING = "pending", "deleting"  # not acknowledged; asked to be deleted
SOURCE = "reports"  # of their rows in the base
SHOWN = (OPEN, CLOSED, MERGED)


def check_date(day: date | None) -> None:
    """Raises Refused of a day that is yet to come, anywhere on the earth."""
    if day is not None and day > date.today() + timedelta(days=1):
        raise Refused(422, "a date that is yet to come", "report.date")


def post(service: Service, asked: ReportIn, photos: Sequence[Photo], crops: Sequence[Crop | None], looks: Looks):
    """Keep a report; its photographs are searched when this returns. Returns its id and its token."""
    report, token = new_id(), new_token()
    with service.whole():
        service.keep(photos)
        with service.store.change():
            _put(service, report, token, asked)
            for place, photo in enumerate(photos):
                crop = None if not crops or crops[place] is None else ",".join(map(str, crops[place]))
                service.store.put(
                    "report_photos",
                    report=report,
                    position=place,
                    photo=photo.name,
                    frame=f"{report}-{photo.name[:16]}-{place}",
                    crop=crop,
                    model=service.model,
                    looks=to_bytes(looks.take([place])),
                )
        service.engine.base.add(rows_of(service, report))
        with service.store.change():
            service.store.run("update reports set state = ? where id = ?", (OPEN, report))
            service.store.put("to_run", report=report)
    return report, token


def _put(service: Service, report: str, token: str, asked: ReportIn) -> None:
    place = asked.place
    at = coarse_or_none(place.latitude, place.longitude)
    service.store.put(
        "reports",
        id=report,
        state=PENDING,
        kind=asked.kind,
        date=asked.date and asked.date.isoformat(),
        place=place.name,
        latitude=at[0],
        longitude=at[1],
        text=asked.text,
        name=asked.name,
        token=hashed(token),
        created=now(),
    )
    service.store.put("contacts", report=report, contact=asked.contact)


def rows_of(service: Service, report: str) -> list[Row]:
    """What the base holds of a report; of one that was merged, as the dog that it was merged into."""
    found = service.store.row("select * from reports where id = ?", (report,))
    shown = root(service, report)
    photos = service.store.rows("select * from report_photos where report = ? order by position", (report,))
    return [_row(service, found, shown, photo) for photo in photos]


def _row(service: Service, report: sqlite3.Row, shown: str, photo: sqlite3.Row) -> Row:
    looks = from_bytes(photo["looks"])
    kept = service.store.row("select thumbnail from photos where name = ?", (photo["photo"],))
    return Row(
        frame=photo["frame"],
        dog=f"report-{shown}",
        sequence=report["id"],
        date=report["date"] and date.fromisoformat(report["date"]),
        place=report["place"],
        latitude=report["latitude"],
        longitude=report["longitude"],
        kind=report["kind"],
        report=shown,
        embedding=looks.embedding[0],
        probabilities={name: values[0] for name, values in looks.probabilities.items()},
        thumbnail=kept["thumbnail"],
        source=SOURCE,
    )


def frames_of(service: Service, report: str) -> list[str]:
    """Of its photographs."""
    rows = service.store.rows("select frame from report_photos where report = ? order by position", (report,))
    return [row["frame"] for row in rows]


def root(service: Service, report: str) -> str:
    """The report that this one was merged into, at the end of the chain; itself if it was not."""
    seen = {report}
    while True:
        row = service.store.row("select merged_into from reports where id = ?", (report,))
        into = row and row["merged_into"]
        if into is None or into in seen:
            return report
        seen.add(into)
        report = into


def merged_into(service: Service, report: str) -> list[str]:
    """Those that stand for the same dog as this one: itself, and all that were merged into it."""
    found = [report]
    for one in found:
        rows = service.store.rows("select id from reports where merged_into = ?", (one,))
        found += [row["id"] for row in rows if row["id"] not in found]
    return found


def report_row(service: Service, report: str) -> sqlite3.Row:
    """Raises Refused if there is none, or none any more."""
    row = service.store.row("select * from reports where id = ?", (report,))
    if row is None or row["state"] not in SHOWN:
        raise Refused(404, "no such report", "report")
    return row


def view(service: Service, report: str) -> ReportView:
    """What everybody may know of it. Raises Refused."""
    row = report_row(service, report)
    return ReportView(
        report=report,
        kind=row["kind"],
        state=row["state"],
        reason=row["reason"],
        into=row["merged_into"],
        date=row["date"],
        place=Place(name=row["place"], latitude=row["latitude"], longitude=row["longitude"]),
        text=row["text"],
        name=row["name"],
        photos=frames_of(service, report) if row["state"] != CLOSED else [],
        created=row["created"],
    )


def owned(service: Service, report: str, token: str | None) -> sqlite3.Row:
    """The report, for whoever posted it. Raises Refused: 404, or 403 of another token."""
    row = report_row(service, report)
    if not fits(token, row["token"]):
        raise Refused(403, "the header X-Report-Token has not this report's token", "X-Report-Token")
    return row


def merge(service: Service, report: str, into: str, token: str | None) -> None:
    """What its poster confirms: both are of one dog. Raises Refused."""
    with service.whole():
        row, other = owned(service, report, token), report_row(service, into)
        if row["state"] != OPEN or other["state"] != OPEN:
            raise Refused(409, "only open reports are merged", "into")
        if report == into:
            raise Refused(409, "a report is not merged into itself", "into")
        if row["kind"] != other["kind"]:
            raise Refused(409, "a lost and a found report are not merged; close them as reunited", "into")
        with service.store.change():
            values = (MERGED, into, report)
            service.store.run("update reports set state = ?, merged_into = ? where id = ?", values)
        for one in merged_into(service, report):
            renew_rows(service, one)


def close(service: Service, report: str, reason: str, token: str | None) -> None:
    """From now on no search finds it, nor those that were merged into it. Raises Refused."""
    with service.whole():
        row = owned(service, report, token)
        if row["state"] == CLOSED:
            raise Refused(409, "it is closed already", "report")
        with service.store.change():
            for one in merged_into(service, report):
                values = (CLOSED, reason, one)
                service.store.run("update reports set state = ?, reason = ? where id = ?", values)
        for one in merged_into(service, report):
            service.engine.base.remove(frames=frames_of(service, one))


def renew_rows(service: Service, report: str) -> None:
    """Bring the base to what the tables say of a report."""
    service.engine.base.remove(frames=frames_of(service, report))
    service.engine.base.add(rows_of(service, report))


def delete(service: Service, report: str, token: str | None) -> None:
    """With everything that was derived from it. Raises Refused."""
    with service.whole():
        owned(service, report, token)
        with service.store.change():
            service.store.run("update reports set state = ? where id = ?", (DELETING, report))
        finish_deletion(service, report)


def finish_deletion(service: Service, report: str) -> None:
    """Also of what a kill left half deleted; every step may be done again. The caller has the writer's turn."""
    service.engine.base.remove(frames=frames_of(service, report))
    freed = service.store.rows("select id from reports where merged_into = ? and state != ?", (report, DELETING))
    forget(service.home / FEEDBACK, report)
    forget_messages(service.home, report)
    photos = [row["photo"] for row in service.store.rows("select photo from report_photos where report = ?", (report,))]
    alone = [photo for photo in photos if not used_elsewhere(service, photo, report)]
    for photo in alone:
        service.photos.remove(photo)
    with service.store.change():
        for row in freed:  # they stand for themselves again
            values = (row["id"],)
            service.store.run("update reports set merged_into = null where id = ?", values)
            service.store.run("update reports set state = 'open' where id = ? and state = 'merged'", values)
        service.store.run("delete from reports where id = ?", (report,))
        for table in ("contacts", "report_photos", "candidates", "to_run", "deliveries"):
            service.store.run(f"delete from {table} where report = ?", (report,))
        for photo in alone:
            service.store.run("delete from photos where name = ?", (photo,))
        pattern = f"%{report}%"
        service.store.run("delete from searches where answer like ? or query like ?", (pattern, pattern))
    service.engine.looker.forget(photos)
    service.store.forget_deleted()
    for row in freed:
        if service.store.row("select state from reports where id = ?", (row["id"],))["state"] == OPEN:
            renew_rows(service, row["id"])


def used_elsewhere(service: Service, photo: str, report: str) -> bool:
    """Whether another report or a saved search has the same photograph."""
    other = service.store.row("select 1 from report_photos where photo = ? and report != ?", (photo, report))
    return bool(other or service.store.row("select 1 from saved_photos where photo = ?", (photo,)))
