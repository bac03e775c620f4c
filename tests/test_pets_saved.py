"""Saved searches of the service: what waits for them, their feeds and webhooks, and where they may not lead."""

import json
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from xml.etree import ElementTree

import pytest
from pets_client import WHITE, pets
from toy_engine import photo_of
from waiting import wait_until

from auxreid.lostpets.service import webhooks
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.settings import Settings
from auxreid.lostpets.service.webhooks import NotDelivered, check_address, deliver, is_public

ATOM = "{http://www.w3.org/2005/Atom}"
OPEN = Settings(private_webhooks=True, webhook_seconds=5)


@pytest.fixture
def service(tmp_path):
    with pets(tmp_path) as one:
        yield one


@pytest.fixture
def receiver():
    """A server on this machine: `got` are the bodies, `answers` the statuses, one after the other, then 204."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            server.got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            status = server.answers.pop(0) if server.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{server.server_port}/redirected")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers = [], []
    server.address = f"http://127.0.0.1:{server.server_port}/hook?key=1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def opened(service, saved: dict) -> dict:
    return service.ask("GET", f"/api/searches/{saved['saved']}", saved["token"]).json()


def to_run(service) -> int:
    return service.service.store.row("select count(*) from to_run")[0]


def sent(service) -> bool:
    """Whether no webhook waits; wakes who sends them."""
    service.service.wake()
    return to_run(service) == 0 and not service.service.store.rows("select * from deliveries")


def test_new_candidates_wait_until_the_search_is_reopened(service):
    saved = service.save(WHITE[0])
    assert (opened(service, saved)["new"], opened(service, saved)["seen"]) == ([], [])
    looked = service.service.engine.looker.photos
    fits, other = service.post(WHITE[1], place={"name": "Riga"}), service.post(photo_of("black", 7))
    wait_until(lambda: to_run(service) == 0, 20)
    assert service.service.engine.looker.photos == looked + 2  # the saved one's photographs are not looked at again
    first = opened(service, saved)
    assert [one["report"] for one in first["new"]] == [fits["report"]] and first["name"] == "Rex"
    assert first["new"][0]["decision"] in ("match", "possible") and first["new"][0]["found"]["kind"] == "found"
    again = opened(service, saved)
    assert again["new"] == [] and [one["report"] for one in again["seen"]] == [fits["report"]]
    assert again["opened"] is not None and other["report"] not in str(again)
    service.ask("POST", f"/api/reports/{fits['report']}/close", fits["token"], {"reason": "reunited"})
    assert opened(service, saved)["seen"] == []


def test_a_saved_search_keeps_its_facts_and_what_was_stated(service):
    answers = [
        service.search(WHITE[0], kinds=["lost"]).json(),
        service.search(WHITE[0], since="2026-06-01").json(),
        service.search(text="белая", since="2026-06-01", dogs=3).json(),
    ]
    said = [{"search": one["search"], "name": "x"} for one in answers]
    saved = [service.ask("POST", "/api/searches", said=one).json() for one in said]
    service.post(WHITE[1], date="2026-05-01")
    service.post(WHITE[2], kind="lost", date="2026-05-01")
    undated = service.post(WHITE[3])
    wait_until(lambda: to_run(service) == 0, 20)
    by_kind, by_date, by_word = (opened(service, one)["new"] for one in saved)
    assert [one["found"]["kind"] for one in by_kind] == ["lost"]
    assert [(one["report"], one["found"]["lacks"]) for one in by_date] == [(undated["report"], ["date"])]
    assert [term["name"] for one in by_word for term in one["found"]["terms"]] in ([], ["coat_colour"])


def test_a_saved_search_that_cannot_be_run_stops_no_other(service):
    """As after a change of the model, whose words are others."""
    broken, saved = service.save(WHITE[0]), service.save(WHITE[0])
    query = json.dumps({"stated": {"coat_colour": {"words": ["no such word"]}}})
    service.service.store.run("update saved set query = ? where id = ?", (query, broken["saved"]))
    posted = service.post(WHITE[1])
    wait_until(lambda: to_run(service) == 0, 20)
    assert [one["report"] for one in opened(service, saved)["new"]] == [posted["report"]]
    assert opened(service, broken)["new"] == []


def test_a_saved_search_is_its_owners(service):
    saved = service.save(WHITE[0])
    address = f"/api/searches/{saved['saved']}"
    for token in (None, "wrong", ""):
        assert service.ask("GET", address, token).status_code == 403
        assert service.ask("DELETE", address, token).status_code == 403
    assert service.client.get(f"{address}/feed.atom?token=wrong").status_code == 403
    assert service.client.get(f"{address}/feed.atom").status_code == 422
    assert service.ask("DELETE", address, saved["token"]).status_code == 204
    assert service.ask("GET", address, saved["token"]).status_code == 404
    assert service.service.store.rows("select * from saved_photos") == []


def test_the_feed_is_atom_and_leaves_new_ones_new(service):
    saved = service.save(WHITE[0], name="Rex <&> \x01")
    posted = service.post(WHITE[1], date="2026-05-01", place={"name": "Rīga & more"})
    wait_until(lambda: to_run(service) == 0, 20)
    for _ in range(2):
        answer = service.client.get(saved["feed"])
        assert answer.headers["content-type"] == "application/atom+xml"
        feed = ElementTree.fromstring(answer.content)
        assert feed.tag == f"{ATOM}feed" and feed.findtext(f"{ATOM}title") == "Rex <&> "
        entry = feed.find(f"{ATOM}entry")
        assert posted["report"] in entry.findtext(f"{ATOM}id") and "Rīga & more" in entry.findtext(f"{ATOM}summary")
        for parent in (feed, entry):
            assert all(parent.findtext(f"{ATOM}{name}") for name in ("id", "title", "updated"))
        links = {link.get("rel"): link.get("href") for link in entry.findall(f"{ATOM}link")}
        picture = service.client.get(links["enclosure"])
        assert picture.headers["content-type"] == "image/jpeg"
    assert len(opened(service, saved)["new"]) == 1


def test_a_webhook_gets_each_candidate_and_is_tried_again(tmp_path, receiver):
    receiver.answers = [500, 302]
    with pets(tmp_path, private_webhooks=True, webhook_pause=0.0, webhook_tries=3) as service:
        saved = service.save(WHITE[0], webhook=receiver.address)
        posted = service.post(WHITE[1], contact="secret@example.org")
        wait_until(lambda: to_run(service) == 0, 20)
        wait_until(lambda: sent(service), 20)
        assert len(receiver.got) == 3 and {path for path, _ in receiver.got} == {
            "/hook?key=1"
        }  # not where it redirects
        body = receiver.got[-1][1]
        assert (body["saved"], body["name"]) == (saved["saved"], "Rex")
        assert body["candidate"]["report"] == posted["report"] and "secret" not in str(body)
        receiver.answers = [500] * 9
        service.post(WHITE[2])
        wait_until(lambda: to_run(service) == 0, 20)
        wait_until(lambda: sent(service), 20)
        assert len(receiver.got) == 6  # three tries, and no more
        assert len(opened(service, saved)["new"]) == 2


def test_messages_go_to_the_operators_address_and_stay_while_it_takes_none(tmp_path, receiver):
    receiver.answers = [503]
    with pets(tmp_path, messages_to=receiver.address) as service:
        (tmp_path / "outbox").mkdir(mode=0o700, exist_ok=True)
        (tmp_path / "outbox" / "!.json").write_text("no message")  # it stays, and delays nobody's
        posted = service.post(WHITE[0])
        said = {"text": "Here it is", "reply_to": "me@example.org"}
        assert service.ask("POST", f"/api/reports/{posted['report']}/message", said=said).status_code == 204
        wait_until(lambda: receiver.got, 20)
        wait_until(lambda: (service.service.wake(), len(list((tmp_path / "outbox").iterdir())) == 1)[1], 20)
        assert receiver.got[-1][1]["to"] == "finder@example.org" and receiver.got[-1][1]["text"] == "Here it is"


PRIVATE = ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "0.0.0.0", "10.0.0.1", "172.16.5.4"]
PRIVATE += ["192.168.1.1", "169.254.169.254", "100.64.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[fe80::1]"]
PRIVATE += ["[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "localhost", "a.localhost", "LOCALHOST."]
PRIVATE += ["[fec0::1]", "[::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[::ffff:0:7f00:1]"]
PRIVATE += ["printer.local", "metadata.google.internal"]


@pytest.mark.parametrize("host", PRIVATE)
def test_no_webhook_leads_to_this_machine_or_a_private_network(host):
    with pytest.raises(Refused, match="of this machine or of a private network"):
        check_address(f"http://{host}:8000/hook", Settings())


NO_ADDRESS = [
    "ftp://example.org",
    "file:///etc/passwd",
    "http://",
    "//example.org",
    "example.org",
    "javascript:alert(1)",
]
NO_ADDRESS += ["http://" + "user:word@example.org", "http://example.org:99999", "http://exa mple.org", "http://é.org"]
NO_ADDRESS += ["http://", "http://example.org/\r\nHost: x"]


@pytest.mark.parametrize("address", NO_ADDRESS)
def test_no_webhook_is_anything_but_an_address(address):
    with pytest.raises(Refused, match="address"):
        check_address(address, OPEN)


def test_a_name_that_leads_to_a_private_address_is_not_called(monkeypatch, receiver):
    def resolved(host, port, **more):
        found = {"evil.example.org": ["93.184.216.34", "127.0.0.1"]}[host]
        return [(2, 1, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(webhooks.socket, "getaddrinfo", resolved)
    with pytest.raises(NotDelivered, match="leads to this machine"):
        deliver(f"http://evil.example.org:{receiver.server_port}/", {}, Settings())
    assert receiver.got == []


def test_the_name_is_resolved_once_so_that_it_cannot_lead_elsewhere_afterwards(monkeypatch, receiver):
    asked = []

    def resolved(host, port, **more):
        asked.append(host)
        assert len(asked) == 1
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(webhooks.socket, "getaddrinfo", resolved)
    monkeypatch.setattr(webhooks.socket, "create_connection", connected_to_numbers_alone(webhooks.socket))
    deliver(f"http://once.example.org:{receiver.server_port}/", {"a": 1}, OPEN)
    assert receiver.got == [("/", {"a": 1})] and asked == ["once.example.org"]


def connected_to_numbers_alone(module):
    """`create_connection` looks names up itself; here it may not."""

    def connect(address, timeout=None, **more):
        connection = module.socket(module.AF_INET)
        connection.settimeout(timeout)
        connection.connect(address)
        return connection

    return connect


def test_who_answers_slowly_or_not_at_all_is_left(receiver):
    silent = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # listens, and never answers
    hasty = replace(OPEN, webhook_seconds=0.2)
    with pytest.raises(NotDelivered, match=r"TimeoutError|RemoteDisconnected"):
        deliver(f"http://127.0.0.1:{silent.server_port}/", {}, hasty)
    silent.server_close()
    with pytest.raises(NotDelivered, match="ConnectionRefusedError"):
        deliver(f"http://127.0.0.1:{silent.server_port}/", {}, hasty)


def test_who_sends_a_byte_now_and_then_is_cut_off():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def dripping() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                while not ended.wait(0.05):
                    connection.send(b"H")

        thread = threading.Thread(target=dripping)
        thread.start()
        with pytest.raises(NotDelivered):
            deliver(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, replace(OPEN, webhook_seconds=0.3))
        ended.set()
        thread.join()


def test_what_is_public():
    assert all(map(is_public, ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8")))
    assert not any(map(is_public, ("", "example.org", "fe80::1%eth0", "::ffff:10.0.0.1", "255.255.255.255")))


def test_private_webhooks_are_refused_when_a_search_is_saved(service):
    search = service.search(WHITE[0]).json()["search"]
    for webhook, status in (("http://127.0.0.1:1/x", 403), ("ftp://example.org", 422), ("https://example.org/x", 201)):
        said = {"search": search, "name": "x", "webhook": webhook}
        answer = service.ask("POST", "/api/searches", said=said)
        assert answer.status_code == status
        assert status == 201 or answer.json()["field"] == "webhook"
