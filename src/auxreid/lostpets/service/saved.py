"""Saved searches: what was asked and seen is kept, and compared with each new report; what fits waits."""

import sqlite3
from collections.abc import Sequence

from auxreid.lostpets.answer import Found
from auxreid.lostpets.service.asking import named, query_of
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.kept_looks import from_bytes, to_bytes
from auxreid.lostpets.service.log import LOG, told_place
from auxreid.lostpets.service.recent import query_and_looks, recent_search
from auxreid.lostpets.service.reports import OPEN, frames_of
from auxreid.lostpets.service.schemas import Candidate, SavedView, SaveIn, SearchIn, StatedIn
from auxreid.lostpets.service.state import Service, now
from auxreid.lostpets.service.tokens import fits, hashed, new_id, new_token
from auxreid.lostpets.service.webhooks import check_address
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks

HEADER = "X-Report-Token"  # as of a report, so that a client has one name for both


def save(service: Service, asked: SaveIn) -> tuple[str, str]:
    """Returns the id and the token of a search that is kept. Raises Refused."""
    if service.store.row("select count(*) from saved")[0] >= service.settings.saved_searches:
        raise Refused(409, "as many searches are saved as this service keeps")
    if asked.webhook is not None:
        check_address(asked.webhook, service.settings)
    recent = recent_search(service, asked.search)
    if recent.similar_to is not None:
        raise Refused(409, "a search for similar dogs is not saved; search by photographs", "search")
    _, looks = query_and_looks(service, recent)
    unknown = {name: one for name, one in recent.asked.stated.items() if not one.words and not one.excluded}
    stated = {name: StatedIn(words=words) for name, words in recent.answer.stated.items()}  # the description's as well
    stated |= unknown
    kept = recent.asked.model_copy(update={"stated": stated, "text": ""})
    saved, token = new_id(), new_token()
    with service.writer.turn(), service.store.change():
        service.store.put(
            "saved",
            id=saved,
            name=asked.name,
            token=hashed(token),
            created=now(),
            query=kept.model_dump_json(),
            searched=max(1, recent.answer.searched),
            model=service.model,
            looks=None if looks is None else to_bytes(looks),
            webhook=asked.webhook,
        )
        for photo in dict.fromkeys(recent.asked.photos):
            service.store.put("saved_photos", saved=saved, photo=photo)
    return saved, token


def saved_row(service: Service, saved: str, token: str | None) -> sqlite3.Row:
    """The saved search, for whoever saved it. Raises Refused: 404, or 403 of another token."""
    row = service.store.row("select * from saved where id = ?", (saved,))
    if row is None:
        raise Refused(404, "no such saved search", "saved")
    if not fits(token, row["token"]):
        raise Refused(403, "that is not this saved search's token", HEADER)
    return row


def open_saved(service: Service, saved: str, token: str | None) -> SavedView:
    """Its candidates, the new ones apart, which are not new afterwards. Raises Refused."""
    with service.store.change():
        row = saved_row(service, saved, token)
        waiting = candidates(service, saved, opened=0)
        before = candidates(service, saved, opened=1)
        service.store.run("update candidates set opened = 1 where saved = ?", (saved,))
        service.store.run("update saved set opened = ? where id = ?", (now(), saved))
    view = {name: row[name] for name in ("name", "created", "opened")}
    return SavedView(saved=saved, new=waiting, seen=before, **view)


def candidates(service: Service, saved: str, opened: int | None = None) -> list[Candidate]:
    """Those whose reports are still open, the newest first; new ones alone, opened ones alone, or all."""
    rows = service.store.rows(
        "select c.* from candidates c join reports r on r.id = c.report where c.saved = ? and r.state = 'open' "
        "order by c.created desc, c.report",
        (saved,),
    )
    return [candidate(row) for row in rows if opened in (None, row["opened"])]


def candidate(row: sqlite3.Row) -> Candidate:
    """From the table's row."""
    found = Found.model_validate_json(row["found"])
    return Candidate(report=row["report"], decision=row["decision"], found=found, created=row["created"])


def remove(service: Service, saved: str, token: str | None) -> None:
    """With its candidates and, if nothing else has them, its photographs. Raises Refused."""
    with service.writer.turn():
        saved_row(service, saved, token)
        with service.store.change():
            service.store.run("delete from saved where id = ?", (saved,))
            for table in ("saved_photos", "candidates", "deliveries"):
                service.store.run(f"delete from {table} where saved = ?", (saved,))
        service.store.forget_deleted()


def run_on(service: Service, report: str) -> None:
    """Compare a new report with every saved search; what fits is kept, and told to its webhook."""
    row = service.store.row("select state from reports where id = ?", (report,))
    frames = frames_of(service, report) if row and row["state"] == OPEN else []
    for saved in service.store.rows("select * from saved") if frames else ():
        try:
            _compare(service, saved, report, frames)
        except (Refused, DataError) as error:  # another model has not its words, or its photographs are gone
            LOG.warning("a saved search cannot be run: %s", told_place(error))
    with service.store.change():
        service.store.run("delete from to_run where report = ?", (report,))


def _compare(service: Service, saved: sqlite3.Row, report: str, frames: Sequence[str]) -> None:
    asked = SearchIn.model_validate_json(saved["query"])
    query = query_of(asked, (), service.engine.vocabulary, empty=True)
    answer = service.engine.among(query, _looks(service, saved, asked), frames)
    for found in answer.dogs[:1]:
        # As the search itself would decide: among few photographs less would be a match.
        known = (saved["searched"], len(asked.photos), sum(one.says for one in query.stated.values()))
        decision = service.engine.fusion.decide(found.score, *known)
        if decision != "no match":
            _keep(service, saved, report, found.model_copy(update={"decision": decision}))


def _looks(service: Service, saved: sqlite3.Row, asked: SearchIn) -> Looks | None:
    """What was seen on its photographs; looked at again where another model did."""
    if saved["looks"] is None:
        return None
    if saved["model"] == service.model:
        return from_bytes(saved["looks"])
    looks = service.engine.look(named(asked.photos, service), tuple(asked.crops))
    with service.store.change():
        values = (service.model, to_bytes(looks), saved["id"])
        service.store.run("update saved set model = ?, looks = ? where id = ?", values)
    return looks


def _keep(service: Service, saved: sqlite3.Row, report: str, found: Found) -> None:
    with service.store.change():
        still = service.store.row("select state from reports where id = ?", (report,))
        known = service.store.row("select 1 from candidates where saved = ? and report = ?", (saved["id"], report))
        wanted = service.store.row("select 1 from saved where id = ?", (saved["id"],))  # not deleted meanwhile
        if still is None or still["state"] != OPEN or known or wanted is None:
            return
        values = {"saved": saved["id"], "report": report, "created": now(), "decision": found.decision}
        service.store.put("candidates", **values, found=found.model_dump_json())
        if saved["webhook"] is not None:
            service.store.put("deliveries", id=new_id(), saved=saved["id"], report=report, tries=0, next=0.0)
