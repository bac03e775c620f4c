"""Lost and found reports: searched at once, merged, closed and deleted with all that was derived, and kill-safe."""

import itertools
import json
import multiprocessing
import os
import shutil
import sqlite3
import threading

import pytest
from pets_client import WHITE, Pets, pets
from toy_engine import ToyBase, photo_of, toy_engine
from waiting import wait_until

from auxreid.lostpets.base.write_lock import BusyError
from auxreid.lostpets.service.photo_files import PhotoFiles
from auxreid.lostpets.service.repair import repair
from auxreid.lostpets.service.store import Store
from auxreid.lostpets.service.worker import mend
from auxreid.plumbing.base.errors import DataError

RIGA = {"name": "Riga, by the river", "latitude": 56.9512345, "longitude": 24.1098765}


@pytest.fixture
def service(tmp_path):
    with pets(tmp_path) as one:
        yield one


def bytes_below(folder) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_report_is_searched_at_once_and_shows_no_contact_and_a_coarse_place(service):
    posted = service.post(WHITE[0], WHITE[1], place=RIGA, date="2026-05-03", text="white dog", name="Rex")
    dog = f"report-{posted['report']}"
    answer = service.search(WHITE[2]).json()["answer"]
    assert answer["dogs"][0]["dog"] == dog and answer["decision"] == "match"
    found = answer["dogs"][0]
    assert (found["kind"], found["report"], len(found["photos"])) == ("found", posted["report"], 2)
    shown = service.ask("GET", f"/api/reports/{posted['report']}")
    assert "finder@example.org" not in shown.text and "token" not in shown.text
    place = shown.json()["place"]
    assert place["latitude"] == 56.95 and abs(place["longitude"] - 24.11) < 0.02
    assert "56.9512" not in str(found) and b"56.9512" not in bytes_below(service.home)
    for photo in found["photos"]:
        assert service.client.get(f"/api/photos/{photo}").content[:2] == b"\xff\xd8"
        assert service.client.get(f"/api/photos/{photo}/large").headers["content-type"] == "image/jpeg"
    assert service.found(WHITE[2], kinds=["lost"]) == []
    assert service.client.get("/api/about").json()["counts"] == {"photographs": 23, "reports": 1}


def test_near_duplicates_are_told_and_merged_by_whoever_posted(service):
    first = service.post(WHITE[0])
    smaller = photo_of("white", 0, quality=60)
    same, alike, other = service.post(WHITE[0]), service.post(smaller), service.post(WHITE[2], kind="lost")
    assert same["duplicates"][0] == {"report": first["report"], "kind": "found", "why": "same photograph"}
    assert {one["why"] for one in alike["duplicates"]} == {"alike photograph"} and len(alike["duplicates"]) == 2
    assert other["duplicates"] == [] and {one["why"] for one in other["matches"]} == {"match"}
    address = f"/api/reports/{same['report']}/merge"
    into = {"into": first["report"]}
    assert service.ask("POST", address, None, into).status_code == 403
    assert service.ask("POST", address, first["token"], into).status_code == 403  # the other one's
    merged = service.ask("POST", address, same["token"], into).json()
    assert (merged["state"], merged["into"]) == ("merged", first["report"])
    assert service.ask("POST", address, same["token"], into).status_code == 409
    assert (
        service.ask("POST", address.replace(same["report"], other["report"]), other["token"], into).status_code == 409
    )
    dogs = {dog["dog"]: dog for dog in service.search(WHITE[1]).json()["answer"]["dogs"]}
    assert f"report-{same['report']}" not in dogs and len(dogs[f"report-{first['report']}"]["photos"]) == 2
    # The one that it stands for is deleted: it stands for itself again.
    assert service.ask("DELETE", f"/api/reports/{first['report']}", first["token"]).status_code == 204
    assert service.ask("GET", f"/api/reports/{same['report']}").json()["state"] == "open"
    assert f"report-{same['report']}" in service.found(WHITE[1])


def test_the_same_photograph_twice_is_one_unless_another_part_of_it_is_meant(service):
    same = service.post(WHITE[0], WHITE[0])
    parts = service.post(WHITE[1], WHITE[1], crops=[[0, 0, 0.5, 1], [0.5, 0, 0.5, 1]])
    shown = [service.ask("GET", f"/api/reports/{one['report']}").json()["photos"] for one in (same, parts)]
    assert list(map(len, shown)) == [1, 2]


def test_a_closed_report_is_found_no_more(service):
    posted = service.post(WHITE[0])
    address = f"/api/reports/{posted['report']}/close"
    assert service.ask("POST", address, None, {"reason": "reunited"}).status_code == 403
    closed = service.ask("POST", address, posted["token"], {"reason": "reunited"}).json()
    assert (closed["state"], closed["reason"], closed["photos"]) == ("closed", "reunited", [])
    assert f"report-{posted['report']}" not in service.found(WHITE[0])
    assert service.ask("POST", address, posted["token"], {"reason": "reunited"}).status_code == 409
    message = {"text": "hello", "reply_to": "me@example.org"}
    assert service.ask("POST", f"/api/reports/{posted['report']}/message", None, message).status_code == 409


def test_a_deleted_report_leaves_nothing(service):
    saved = service.save(WHITE[1])
    posted = service.post(WHITE[0], text="by the old mill", contact="secret@example.org")
    report = posted["report"]
    search = service.search(WHITE[2]).json()
    dog = search["answer"]["dogs"][0]["dog"]
    said = {"search": search["search"], "dog": dog, "verdict": "same"}
    assert service.ask("POST", "/api/feedback", said=said).status_code == 204
    said = {"text": "I have seen it", "reply_to": "me@example.org"}
    assert service.ask("POST", f"/api/reports/{report}/message", said=said).status_code == 204
    opened = lambda: service.ask("GET", f"/api/searches/{saved['saved']}", saved["token"]).json()  # noqa: E731
    wait_until(lambda: opened()["seen"] != [])
    photo = service.ask("GET", f"/api/reports/{report}").json()["photos"][0]
    assert report.encode() in bytes_below(service.home)
    assert service.ask("DELETE", f"/api/reports/{report}", "wrong").status_code == 403
    assert service.ask("DELETE", f"/api/reports/{report}", posted["token"]).status_code == 204
    left = bytes_below(service.home)
    for part in (report, "by the old mill", "secret@example.org", "I have seen it"):
        assert part.encode() not in left, part
    kept = service.service.store.rows("select name from photos")
    assert set(service.service.photos.names()) == {row["name"] for row in kept}
    assert opened()["seen"] == opened()["new"] == []
    for address in (f"/api/reports/{report}", f"/api/photos/{photo}", f"/api/photos/{photo}/large"):
        assert service.ask("GET", address).status_code == 404
    assert service.ask("DELETE", f"/api/reports/{report}", posted["token"]).status_code == 404
    assert dog not in service.found(WHITE[0])


def test_of_a_merged_report_the_feedback_goes_with_it(service):
    first, second = service.post(photo_of("black", 7)), service.post(WHITE[1])
    into = {"into": first["report"]}
    assert service.ask("POST", f"/api/reports/{second['report']}/merge", second["token"], into).status_code == 200
    search = service.search(WHITE[1]).json()
    found = search["answer"]["dogs"][0]
    assert (found["report"], found["photo"].startswith(second["report"])) == (first["report"], True)
    said = {"search": search["search"], "dog": found["dog"], "verdict": "same"}
    assert service.ask("POST", "/api/feedback", said=said).status_code == 204
    assert service.ask("DELETE", f"/api/reports/{second['report']}", second["token"]).status_code == 204
    assert second["report"].encode() not in bytes_below(service.home)


def test_an_answer_s_address_is_one_line(service):
    report = service.post(WHITE[0])["report"]
    for reply_to in ("me@example.org\r\nBcc: all@example.org", "a\u2028bcd"):
        said = {"text": "Two\nlines", "reply_to": reply_to}
        answer = service.ask("POST", f"/api/reports/{report}/message", said=said)
        assert (answer.status_code, answer.json()["field"]) == (422, "reply_to")


def test_a_message_reaches_the_contact_of_its_report_alone_and_nobody_is_shown_it(service):
    """Whoever merges a report of his own into another's reads nothing that is meant for that one."""
    first, second = service.post(WHITE[0], contact="one@example.org"), service.post(WHITE[1], contact="two@example.org")
    service.ask("POST", f"/api/reports/{second['report']}/merge", second["token"], {"into": first["report"]})
    said = {"text": "It sits at my door", "reply_to": "three@example.org"}
    answer = service.ask("POST", f"/api/reports/{first['report']}/message", said=said)
    assert (answer.status_code, answer.content) == (204, b"")
    sent = [json.loads(path.read_text()) for path in (service.home / "outbox").iterdir()]
    assert {one["to"] for one in sent} == {"one@example.org"}
    assert {(one["text"], one["reply_to"]) for one in sent} == {tuple(said.values())}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (service.home / "outbox").iterdir())


def test_nobody_is_flooded_with_messages(tmp_path):
    with pets(tmp_path, waiting_messages=2) as service:
        reports = [service.post(WHITE[0])["report"], service.post(WHITE[1])["report"]]
        said = {"text": "hello", "reply_to": "me@example.org"}
        sent = [service.ask("POST", f"/api/reports/{reports[0]}/message", said=said).status_code for _ in range(3)]
        assert sent == [204, 204, 429]
        assert service.ask("POST", f"/api/reports/{reports[1]}/message", said=said).status_code == 204


def test_of_a_report_that_is_deleted_while_it_is_searched_nothing_is_kept(service, monkeypatch):
    posted, engine = service.post(WHITE[0]), service.service.engine
    plain = engine.search

    def slow(query):
        answer = plain(query)
        assert service.ask("DELETE", f"/api/reports/{posted['report']}", posted["token"]).status_code == 204
        return answer

    monkeypatch.setattr(engine, "search", slow)
    answer = service.search(WHITE[1])
    assert answer.status_code == 200 and posted["report"] in answer.text
    assert posted["report"].encode() not in bytes_below(service.home)
    said = {"search": answer.json()["search"], "dog": f"report-{posted['report']}", "verdict": "same"}
    assert service.ask("POST", "/api/feedback", said=said).status_code == 404


def test_a_lost_photograph_that_another_model_needs_is_named(service):
    posted = service.post(WHITE[0])
    service.service.store.run("update report_photos set model = 'another'")
    for path in (service.home / "photos").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=f"a photograph of report {posted['report']} is not there"):
        repair(service.service)


def test_tokens_are_hashed_at_rest(service):
    saved, posted = service.save(WHITE[0]), service.post(WHITE[0])
    everything = bytes_below(service.home)
    assert posted["token"] != saved["token"] and len(posted["token"]) == 43
    assert posted["token"].encode() not in everything and saved["token"].encode() not in everything


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"kind": "seen"}, "report.kind"),
        ({"contact": "  "}, "report.contact"),
        ({"contact": "me@example.org\nBcc: all@example.org"}, "report.contact"),
        ({"date": "2999-01-01"}, "report.date"),
        ({"place": {"latitude": 91, "longitude": 0}}, "report.place.latitude"),
        ({"place": {"latitude": 1}}, "report.place"),
        ({"text": "x" * 4001}, "report.text"),
        ({"crops": [[0, 0, 1, 1], None]}, "report.crops"),
        ({"crops": [[0.5, 0, 0.6, 1]]}, "report.crops.0"),
        ({"colour": "red"}, "report.colour"),
    ],
)
def test_a_wrong_report_names_the_field_and_repeats_nothing(service, more, field):
    answer = service.post_raw(WHITE[0], **more)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert "x" * 40 not in answer.text and "finder@" not in answer.text


# At each of these calls, before and after it, the process is killed: by what is asked, and the number of the call.
CALLS = {
    "post": [
        *[(PhotoFiles, "put", number) for number in (1, 2)],
        *[(Store, "put", number) for number in (1, 3, 6, 7)],
        *[(ToyBase, "add", 1), (Store, "run", 1)],
    ],
    "close": [(Store, "run", 1), (ToyBase, "remove", 1)],
    "merge": [(Store, "run", 1), (ToyBase, "remove", 1), (ToyBase, "add", 1)],
    "delete": [
        *[(Store, "run", number) for number in (1, 2, 8)],
        *[(ToyBase, "remove", 1), (PhotoFiles, "remove", 1), (Store, "forget_deleted", 1)],
    ],
}


def killed(home, place: type, name: str, number: int, before: bool, what: str, report: dict) -> None:
    """In a process of its own: ends in the middle of posting, closing, merging or deleting."""
    with pets(home, toy_engine(home)) as service:
        plain, left = getattr(place, name), [number]

        def dying(*parts, **more):
            if threading.current_thread().name == "lostpets-worker":
                return plain(*parts, **more)
            left[0] -= 1
            if before and not left[0]:
                os._exit(9)
            done = plain(*parts, **more)
            if not left[0]:
                os._exit(9)
            return done

        setattr(place, name, dying)
        do(service, what, report)
    os._exit(0)


def do(service: Pets, what: str, report: dict):
    address, token = f"/api/reports/{report['report']}", report["token"]
    if what == "post":
        return service.post_raw(WHITE[2], WHITE[3], contact="new@example.org")
    if what == "close":
        return service.ask("POST", f"{address}/close", token, {"reason": "other"})
    if what == "merge":
        return service.ask("POST", f"{address}/merge", token, {"into": report["into"]})
    return service.ask("DELETE", address, token)


@pytest.mark.parametrize("what", ["post", "close", "merge", "delete"])
def test_killed_at_any_step_what_was_acknowledged_is_there_and_the_rest_is_not(tmp_path, what):
    before_all = tmp_path / "before"
    with pets(before_all) as service:
        stays, goes = service.post(WHITE[0]), service.post(WHITE[1])
    report, fork = goes | {"into": stays["report"]}, multiprocessing.get_context("fork")
    for number, (call, before) in enumerate(itertools.product(CALLS[what], (True, False))):
        home = tmp_path / str(number)
        shutil.copytree(before_all, home)
        process = fork.Process(target=killed, args=(home, *call, before, what, report))
        process.start()
        process.join()
        assert process.exitcode == 9, call
        with pets(home) as service:
            check_whole(service, stays, goes, what)
            assert what != "post" or len(service.service.store.rows("select id from reports")) == 2  # no third one
            assert do(service, what, report).status_code in (200, 201, 204, 404, 409)  # now, or before the kill
            check_whole(service, stays, goes, what)


def check_whole(service: Pets, stays: dict, goes: dict, what: str) -> None:
    """Tables, photographs and base say the same; nothing of what was not acknowledged is there."""
    store, base = service.service.store, service.service.engine.base
    states = {row["id"]: row["state"] for row in store.rows("select id, state from reports")}
    assert states[stays["report"]] == "open"
    assert what == "delete" or goes["report"] in states
    assert set(states.values()) <= {"open", "closed", "merged"} and len(states) <= 2 + 2 * (what == "post")
    rows = store.rows("select x.frame, r.state, r.id, x.photo from report_photos x join reports r on r.id = x.report")
    shown = {row["frame"] for row in rows if row["state"] != "closed"}
    assert {row.frame for row in base.rows.values() if row.report} == shown
    for row in base.rows.values():
        into = stays["report"] if states.get(goes["report"]) == "merged" else None
        assert row.report is None or row.report == (into if into and row.sequence == goes["report"] else row.sequence)
    names = {row["name"] for row in store.rows("select name from photos")}
    assert set(service.service.photos.names()) == names >= {row["photo"] for row in rows}
    contacts = {row["report"] for row in store.rows("select report from contacts")}
    assert contacts == set(states)


def test_a_base_that_another_process_writes_is_a_matter_of_waiting(service, monkeypatch):
    def busy(*parts):
        raise BusyError("pets/base: is being written by process 1")

    monkeypatch.setattr(ToyBase, "add", busy)
    answer = service.post_raw(WHITE[0])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60") and "pets" not in answer.text
    monkeypatch.undo()
    mend(service.service)
    assert service.service.store.rows("select * from reports") == []


@pytest.mark.parametrize("what", ["close", "merge", "delete"])
def test_what_fails_half_way_is_finished_later(service, monkeypatch, what):
    stays, goes = service.post(WHITE[0]), service.post(WHITE[1])

    def busy(*parts, **more):
        raise BusyError("is being written by process 1")

    monkeypatch.setattr(ToyBase, "remove", busy)
    assert do(service, what, goes | {"into": stays["report"]}).status_code == 503
    monkeypatch.undo()
    mend(service.service)
    check_whole(service, stays, goes, what)
    assert service.ask("GET", f"/api/reports/{goes['report']}").json().get("state") in ("closed", "merged", None)


def test_a_base_that_takes_no_rows_leaves_no_report(service, monkeypatch):
    def full(*parts):
        raise sqlite3.OperationalError("disk full: finder@example.org")

    monkeypatch.setattr(ToyBase, "add", full)
    answer = service.post_raw(WHITE[0])
    assert (answer.status_code, answer.json()["error"]) == (500, "a fault of the service; it is in its log")
    monkeypatch.undo()
    mend(service.service)
    for table in ("reports", "contacts", "report_photos", "photos"):
        assert service.service.store.rows(f"select * from {table}") == []
