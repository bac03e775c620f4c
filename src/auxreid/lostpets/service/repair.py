"""At the start: what a kill left between two steps is undone if it was not acknowledged, and finished if it was."""

from auxreid.lostpets.query import Crop
from auxreid.lostpets.service.kept_looks import to_bytes
from auxreid.lostpets.service.reports import (
    CLOSED,
    DELETING,
    MERGED,
    OPEN,
    PENDING,
    finish_deletion,
    frames_of,
    renew_rows,
    root,
)
from auxreid.lostpets.service.state import Service
from auxreid.plumbing.base.errors import DataError


def repair(service: Service) -> None:
    """Bring tables, photographs and base to what was acknowledged.

    Raises:
        DataError: another model has to look at a photograph that is lost.
    """
    with service.writer.turn():
        for row in service.store.rows("select id, state from reports"):
            if row["state"] in (PENDING, DELETING):  # of a pending one nobody was told the token
                finish_deletion(service, row["id"])
        for row in service.store.rows("select distinct report from report_photos where model != ?", (service.model,)):
            _look_again(service, row["report"])
        for row in service.store.rows("select id, state from reports"):
            _repair_rows(service, row["id"], row["state"])
        known = {row["name"] for row in service.store.rows("select name from photos")}
        for name in service.photos.names():
            if name not in known:
                service.photos.remove(name)


def _repair_rows(service: Service, report: str, state: str) -> None:
    """The base has all photographs of an open report, as the dog that it stands for, and none of a closed one."""
    frames = frames_of(service, report)
    records = [service.record(frame) for frame in frames]
    if state == CLOSED and any(record is not None for record in records):
        service.engine.base.remove(frames=frames)
    if state in (OPEN, MERGED):
        shown = root(service, report)
        if any(record is None or record.report != shown for record in records):
            renew_rows(service, report)


def _look_again(service: Service, report: str) -> None:
    """Another model looks at the photographs of a report."""
    rows = service.store.rows("select * from report_photos where report = ? order by position", (report,))
    contents = [service.photos.get(row["photo"]) for row in rows]
    if None in contents:
        raise DataError(
            f"{service.photos.folder}: a photograph of report {report} is not there, and the present model has to look "
            "at it; put the folder back from a backup"
        )
    looks = service.engine.look(contents, tuple(_crop(row["crop"]) for row in rows))
    with service.store.change():
        for place, row in enumerate(rows):
            values = (service.model, to_bytes(looks.take([place])), row["frame"])
            service.store.run("update report_photos set model = ?, looks = ? where frame = ?", values)
    service.engine.base.remove(frames=[row["frame"] for row in rows])


def _crop(kept: str | None) -> Crop | None:
    return None if kept is None else tuple(map(float, kept.split(",")))
