"""What guards the lost-pet service: names, origins, headers, limits, the log, times after which things are deleted."""

import io
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from pets_client import WHITE, files, pets
from PIL import Image
from toy_engine import VOCABULARY, ToyLooker, photo_of, toy_engine
from waiting import wait_until

from auxreid.lostpets.service import limits
from auxreid.lostpets.service.app import create_app
from auxreid.lostpets.service.feedback import append
from auxreid.lostpets.service.headers import HEADERS, host_name
from auxreid.lostpets.service.limits import Rate
from auxreid.lostpets.service.page_routes import page_files
from auxreid.lostpets.service.serve import names_of
from auxreid.lostpets.service.settings import Settings
from auxreid.lostpets.service.tokens import fits, hashed, new_token
from auxreid.lostpets.service.worker import forget_old
from auxreid.plumbing.base.errors import ConfigError
from auxreid.search.feedback import read_feedback


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with pets(tmp_path_factory.mktemp("pets")) as one:
        yield one


def test_every_answer_has_the_headers_and_no_inline_script_is_allowed(service):
    for address in ("/", "/api/about", "/nothing", "/api/photos/none", "/openapi.json", "/healthz"):
        answer = service.client.get(address)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in str(policy) and "http" not in str(policy) and "*" not in str(policy)


class Inline(HTMLParser):
    """What a page has that the policy forbids."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        if (tag == "script" and "src" not in names) or tag == "style" or "style" in names:
            self.found.append(tag)
        self.found += [name for name in names if name.startswith("on")]


def test_the_page_has_nothing_that_the_policy_forbids(service):
    shown = page_files()
    if not shown:
        pytest.skip("no page yet")
    inline = Inline()
    inline.feed(service.client.get("/").text)
    assert inline.found == []
    for name in shown:
        answer = service.client.get(f"/static/{name}")
        assert answer.status_code == 200 and answer.content == shown[name]
        assert answer.headers["content-type"] != "application/octet-stream", name


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e/app.py", "__init__.py", "index.html%00", "/etc/passwd"])
def test_no_other_file_is_served(service, name):
    assert service.client.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example", "[::1].evil"])
def test_another_name_is_refused(service, host):
    answer = service.client.get("/api/about", headers={"Host": host})
    assert (answer.status_code, answer.json()["field"]) == (400, "Host")
    assert answer.headers["Content-Security-Policy"]


def test_names_are_those_of_this_machine_and_what_was_allowed(tmp_path):
    assert names_of("127.0.0.1", ()) == ("127.0.0.1", "localhost", "[::1]")
    assert names_of("10.0.0.5", ("pets.example.org",)) == (*Settings.hosts, "10.0.0.5", "pets.example.org")
    assert names_of("::", ("pets.example.org",)) == (*Settings.hosts, "pets.example.org")
    with pytest.raises(ConfigError, match=r"--host 0.0.0.0: name what it is to answer under"):
        names_of("0.0.0.0", ())
    assert [host_name(host) for host in ("A.b:80", "[::1]:80", "[::1]", "a.b")] == ["a.b", "[::1]", "[::1]", "a.b"]
    with pets(tmp_path, hosts=("127.0.0.1", "Pets.example.org")) as service:
        for host, status in (("pets.example.org:8000", 200), ("127.0.0.1:1", 200), ("testserver", 400)):
            assert service.client.get("/healthz", headers={"Host": host}).status_code == status


def test_another_sites_page_changes_nothing(service):
    for origin, status in (("http://evil.example", 403), ("null", 403), ("http://testserver", 200)):
        answer = service.client.post("/api/look", files=files(WHITE[0]), headers={"Origin": origin})
        assert answer.status_code == status
    assert service.client.get("/api/about", headers={"Origin": "http://evil.example"}).status_code == 200


def test_errors_are_json_with_a_reason(service):
    asked = [("GET", "/nothing"), ("PUT", "/api/search"), ("GET", "/api/search"), ("GET", "/api/reports/x")]
    asked += [("POST", "/api/feedback"), ("GET", "/api/similar/none"), ("GET", "/static/none")]
    for method, address in asked:
        answer = service.client.request(method, address)
        assert answer.status_code in (404, 405, 422) and set(answer.json()) == {"error", "field"}, address
        assert answer.json()["error"]
    assert service.client.put("/api/search").headers["allow"] == "POST"
    answer = service.client.post(
        "/api/search", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code in (400, 422) and answer.json()["error"]
    answer = service.search(WHITE[0], stated={"size": {"words": ["huge"]}})
    assert answer.json() == {
        "error": "no such word of size; there are: small, medium, large",
        "field": "query.stated.size",
    }
    assert service.search().json()["error"].startswith("nothing to search by")
    assert service.search(text="qwerty").json()["field"] == "query"
    assert (
        service.search(WHITE[0], since="2026-02-02", until="2026-01-01").json()["error"] == "since is later than until"
    )
    assert service.search(photos=["0" * 64]).status_code == 404


def test_a_fault_is_told_without_what_it_says(service, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("auxreid.lostpets"), "propagate", True)

    def broken(*_):
        raise RuntimeError("secret@example.org")

    monkeypatch.setattr(ToyLooker, "look", broken)
    answer = service.look(photo_of("pink", 7))
    assert (answer.status_code, answer.json()["error"]) == (500, "a fault of the service; it is in its log")
    assert "RuntimeError at test_pets_guards.py" in caplog.text and "secret" not in caplog.text
    assert "Content-Security-Policy" in answer.headers


def test_the_log_has_nothing_personal(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("auxreid.lostpets"), "propagate", True)
    caplog.set_level(logging.INFO)
    with pets(tmp_path) as service:
        saved = service.save(WHITE[0], webhook="http://hooks.example.org/secret-path")
        posted = service.post(WHITE[1], text="by the mill", contact="secret@example.org", place={"name": "Riga"})
        service.search(WHITE[0], text="белая small")
        said = {"text": "I saw it", "reply_to": "me@example.org"}
        service.ask("POST", f"/api/reports/{posted['report']}/message", said=said)
        service.client.get(saved["feed"])
        service.ask("GET", f"/api/reports/{posted['report']}", posted["token"])
        service.client.get("/api/reports/secret-path?x=secret")
    told = " ".join(record.getMessage() for record in caplog.records if record.name == "auxreid.lostpets")
    assert "GET /api/reports/{report} 200" in told and "POST /api/search 200" in told
    private = ["mill", "example.org", "Riga", "белая", "saw", "secret", "testclient", "127.0.0.1", saved["token"]]
    for part in [*private, posted["token"], posted["report"], saved["saved"]]:
        assert part not in told, part


def test_who_asks_too_often_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "Rate", lambda most: Rate(most, lambda: 0.0))
    with pets(tmp_path, requests_a_minute=5, changes_a_minute=2) as service:
        changes = [service.look(WHITE[0]) for _ in range(3)]
        assert [answer.status_code for answer in changes] == [200, 200, 429]
        assert int(changes[-1].headers["Retry-After"]) == 30 and "too many" in changes[-1].json()["error"]
        assert [service.client.get("/healthz").status_code for _ in range(3)] == [200, 200, 429]


def test_a_rate_is_of_each_client_and_forgives_with_time():
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    assert [rate.wait("a") for _ in range(61)] == [0.0] * 60 + [1.0]
    assert rate.wait("b") == 0
    now[0] = 1.5
    assert rate.wait("a") == 0 and rate.wait("a") == pytest.approx(0.5)


def test_a_body_that_is_too_long_is_refused_also_where_it_does_not_say_so(tmp_path):
    with pets(tmp_path, upload_bytes=100_000, photos=1) as service:
        long = b"x" * 2_000_000
        answer = service.client.post("/api/look", files=files(long))
        assert answer.status_code == 413 and answer.json()["error"] == "more than 1 MB in one request"

        def in_parts():
            for _ in range(2000):
                yield b"x" * 1000

        kind = {"Content-Type": "application/json"}
        answer = service.client.post("/api/feedback", content=in_parts(), headers=kind)
        assert answer.status_code == 413 and answer.json()["error"] == "more than 1 MB in one request"
        head = b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = service.client.post("/api/look", content=(part for part in (head, *in_parts())), headers=kind)
        assert answer.status_code == 413


def test_more_searches_than_are_taken_at_once_are_told_to_come_back(tmp_path, monkeypatch):
    started, may_end, plain = threading.Semaphore(0), threading.Event(), ToyLooker.look

    def slow(*parts):
        started.release()
        may_end.wait(20)
        return plain(*parts)

    with pets(tmp_path, searches_at_once=2) as service, ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(ToyLooker, "look", slow)
        two = [pool.submit(service.look, photo_of("pink", 9 + number)) for number in range(2)]
        started.acquire()
        wait_until(lambda: service.look(photo_of("blue", 9)).status_code == 429 or may_end.is_set(), 20)
        may_end.set()
        assert [one.result().status_code for one in two] == [200, 200]


def test_eight_clients_at_once_have_their_own_answers(service):
    looker = service.service.engine.looker
    photos = [(dog, photo_of(dog, 2)) for dog in ("red", "green", "blue", "yellow", "cyan", "pink", "black")]

    def ask(number: int) -> bool:
        dog, photo = photos[number % len(photos)]
        return service.found(photo)[0] == f"dog-{dog}"

    before = looker.photos
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(56)))
    assert len(photos) <= looker.photos - before <= 8 * len(photos)  # seen once each, but for those at the same time


def test_what_nothing_keeps_is_deleted_after_its_time(tmp_path):
    with pets(tmp_path) as service:
        shared, alone, kept = (photo_of("white", view) for view in (11, 12, 13))
        service.post(shared)
        service.save(kept)
        search = service.search(alone).json()
        name = search["photos"][0]
        assert service.found(photos=[name])
        assert service.service.photos.get(name)
        with service.service.store.change():
            service.service.store.run("update photos set created = created - 3590")
            service.service.store.run("update searches set created = created - 3590")
        assert service.found(photos=[name])  # which keeps it for another hour
        with service.service.store.change():
            service.service.store.run("update photos set created = created - 20")
            service.service.store.run("update searches set created = created - 20")
        forget_old(service.service)
        assert len(list(service.service.photos.names())) == 3
        with service.service.store.change():
            service.service.store.run("update photos set created = created - 3590")
        forget_old(service.service)
        assert len(list(service.service.photos.names())) == 2 and service.service.photos.get(name) is None
        assert service.search(photos=[name]).status_code == 404
        said = {"search": search["search"], "dog": None, "verdict": "none"}
        assert service.ask("POST", "/api/feedback", said=said).status_code == 404
        assert service.ask("POST", "/api/searches", said={"search": search["search"], "name": "x"}).status_code == 404


def test_a_token_is_256_random_bits():
    one, other = new_token(), new_token()
    assert one != other and len(one) == 43
    assert fits(one, hashed(one)) and not fits(other, hashed(one)) and not fits(None, hashed(one))
    assert not fits("\ud800", hashed(one))


def test_feedback_keeps_the_raw_evidence(tmp_path):
    with pets(tmp_path) as service:
        answer = service.search(photo_of("red", 5), stated={"size": {"words": ["small"]}}).json()
        dogs = [dog["dog"] for dog in answer["answer"]["dogs"]]
        for dog, verdict, status in (
            (dogs[0], "same", 204),
            (dogs[1], "different", 204),
            (None, "none", 204),
            ("dog-none", "same", 404),
            (None, "same", 422),
            (dogs[0], "none", 422),
        ):
            said = {"search": answer["search"], "dog": dog, "verdict": verdict}
            assert service.ask("POST", "/api/feedback", said=said).status_code == status
        lines = [json.loads(line) for line in (service.home / "feedback.jsonl").read_text().splitlines()]
        assert [line["verdict"] for line in lines] == ["same", "different"] + ["none"] * len(dogs)
        first = lines[0]
        assert first["dog"] == dogs[0] == "dog-red" and 0.5 < first["similarity"] <= 1
        assert first["stated"] == {"size": ["small"]} and first["model"] == answer["answer"]["model"]
        assert sum(first["query"]["coat_colour"]) == pytest.approx(1, abs=1e-4) and len(first["found"]["ears"]) == 2
        with (service.home / "feedback.jsonl").open("a") as file:
            file.write('{"cut o')
        assert service.ask(
            "POST", "/api/feedback", said={"search": answer["search"], "dog": dogs[0], "verdict": "same"}
        )
        said = (service.home / "feedback.jsonl").read_text().splitlines()
        assert len(said) == len(lines) + 1 and json.loads(said[-1])["verdict"] == "same"
        words = {name: len(words) for name, words in VOCABULARY.items()}
        known = SimpleNamespace(
            vocabulary=VOCABULARY,
            priors={name: np.ones(size) / size for name, size in words.items()},
            confusions={name: np.eye(size) for name, size in words.items()},
        )
        pairs = read_feedback(service.home / "feedback.jsonl", known, service.service.model)
        assert pairs.same.tolist() == [True, *[False] * (len(dogs) - 1)] and pairs.stated["size"].all()
        assert pairs.raw["visual"][0] == pytest.approx(first["similarity"])


def test_a_similar_dog_is_another_one(service):
    photo = service.search(photo_of("red", 0)).json()["answer"]["dogs"][0]["photo"]
    answer = service.client.get(f"/api/similar/{photo}")
    assert answer.status_code == 200
    assert "dog-red" not in [dog["dog"] for dog in answer.json()["answer"]["dogs"]]
    said = {"search": answer.json()["search"], "dog": answer.json()["answer"]["dogs"][0]["dog"], "verdict": "different"}
    assert service.ask("POST", "/api/feedback", said=said).status_code == 204


def test_who_was_searched_by_and_is_closed_since_is_told_as_gone(service):
    posted = service.post(WHITE[0])
    photo = service.ask("GET", f"/api/reports/{posted['report']}").json()["photos"][0]
    search = service.client.get(f"/api/similar/{photo}").json()
    said = {"search": search["search"], "verdict": "none", "dog": None}
    assert service.ask("POST", "/api/feedback", said=said).status_code == 204
    service.ask("POST", f"/api/reports/{posted['report']}/close", posted["token"], {"reason": "other"})
    assert service.ask("POST", "/api/feedback", said=said).status_code == 404
    for address in (f"/api/similar/{photo}", f"/api/photos/{photo}", f"/api/photos/{photo}/large"):
        assert service.client.get(address).status_code == 404


def test_a_disk_that_is_nearly_full_takes_no_photographs_and_what_is_there_is_searched(tmp_path):
    with pets(tmp_path, free_bytes=2**62) as service:
        for answer in (service.look(WHITE[0]), service.search(WHITE[0]), service.post_raw(WHITE[0])):
            assert (answer.status_code, answer.json()["field"], answer.headers["Retry-After"]) == (
                503,
                "photos",
                "3600",
            )
        assert service.search(stated={"coat_colour": {"words": ["white"]}}).status_code == 200
        assert list(service.service.photos.names()) == []


def test_a_crop_is_what_is_looked_at(service):
    file = io.BytesIO()
    both = [np.asarray(Image.open(io.BytesIO(photo_of(dog, 0)))) for dog in ("red", "blue")]
    Image.fromarray(np.concatenate(both, axis=1)).save(file, "PNG")
    assert service.found(file.getvalue(), crops=[[0, 0, 0.5, 1]])[0] == "dog-red"
    assert service.found(file.getvalue(), crops=[[0.5, 0, 0.5, 1]])[0] == "dog-blue"
    looked = service.client.post("/api/look", files=files(file.getvalue()), data={"crops": "[[0.5, 0, 0.5, 1]]"})
    colours = looked.json()["together"]["coat_colour"]
    assert max(colours, key=colours.get) == "blue"


def test_what_is_begun_when_the_service_ends_is_done_after_the_next_start(tmp_path):
    with pets(tmp_path) as service:
        saved = service.save(WHITE[0])
    app = create_app(toy_engine(tmp_path), tmp_path, Settings(hosts=("testserver",)))  # its worker is not started
    from pets_client import Pets, TestClient

    idle = Pets(TestClient(app), tmp_path)
    idle.post(WHITE[1])
    app.state.service.store.close()
    with pets(tmp_path) as service:
        opened = lambda: service.ask("GET", f"/api/searches/{saved['saved']}", saved["token"]).json()  # noqa: E731
        wait_until(lambda: any(opened()[part] for part in ("new", "seen")), 20)


@pytest.mark.parametrize("before", [0, 1, 3000])
@pytest.mark.parametrize("cut", [0, 5, 70_000, 200_000])
def test_a_line_that_was_cut_off_is_taken_away_whatever_its_length(tmp_path, before, cut):
    path = tmp_path / "feedback.jsonl"
    whole = b'{"verdict": "same", "pad": "xxxxxxxxxxxxxxxxxxxxxxxxx"}\n' * before
    path.write_bytes(whole + b"x" * cut)
    append(path, [{"a": 1}])
    assert path.read_bytes() == whole + b'{"a": 1}\n'
