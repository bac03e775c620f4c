"""The lost-pet service with a study's own networks under eight clients for two minutes.

    python benchmarks/pet_load.py [--clients 8] [--seconds 120] [--reports 10]

Run in a repository whose results have a search. Each client does what the page does: looks at a photograph that nobody
has looked at before, searches by it with a description, fetches the first pictures of the answer; each tenth time
(`--reports`) it posts the photograph as a report and deletes it again. The service is a process of its own. The
reference is its networks alone, on the same photographs one after the other, before any client comes.
"""

import http.client
import io
import itertools
import json
import multiprocessing
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from result import Asked, Row, finish
from sizes import read_sizes

CLIENTS, SECONDS, REPORTS = 8, 120, 10
ALONE = 30  # photographs that the networks look at alone
PICTURES = 3  # of an answer, which a client fetches
SIDE = 480  # pixels of an uploaded photograph
TEXTS = ("маленькая белая собака", "a large black dog with a long coat", "brown dog, ears erect", "")


@dataclass
class Seen:
    """What clients have measured: seconds by kind of request, and what was not answered as it should be."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)


def service(pipe, home: str) -> None:
    """In a process of its own: sends the port and the networks' seconds a photograph alone; at the end their share."""
    import uvicorn

    from auxreid.lostpets.service.app import create_app
    from auxreid.lostpets.service.opening import open_study
    from auxreid.lostpets.service.serve import bound
    from auxreid.lostpets.service.settings import Settings

    opened = open_study(Path(home), None)
    looker = opened.engine.looker
    contents = pipe.recv()
    looker.look(contents[:1])
    began = time.perf_counter()
    for content in contents[1:]:
        looker.look([content])
    alone = (time.perf_counter() - began) / (len(contents) - 1)
    settings = Settings(requests_a_minute=10**6, changes_a_minute=10**6)
    with bound("127.0.0.1", 0) as taken:
        taken.listen(128)
        app = create_app(opened.engine, Path(home), settings, opened.larger)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        pipe.send((taken.getsockname()[1], alone))
        before = looker.seconds, looker.photos
        thread.start()
        pipe.recv()
        pipe.send((looker.seconds - before[0], looker.photos - before[1]))
        server.should_exit = True
        thread.join()


class Client:
    """One who looks for a dog, again and again, over one connection."""

    def __init__(self, port: int, photos: list[bytes], number: int, reports: int, seen: Seen):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self.rng, self.photos, self.seen, self.reports = np.random.default_rng(number), photos, seen, reports

    def run(self, until: float) -> None:
        for turn in itertools.count():
            if time.perf_counter() >= until:
                return
            try:
                self.once(turn)
            except Exception as error:
                self.seen.faults.append(f"{type(error).__name__}: {error}")
                self.connection.close()

    def once(self, turn: int) -> None:
        """As the page does it."""
        photo = new_photo(self.photos[self.rng.integers(len(self.photos))], self.rng)
        looked = self.ask("look", "POST", "/api/look", photo, {})
        query = {"photos": looked["photos"], "text": TEXTS[turn % len(TEXTS)]}
        answer = self.ask("search", "POST", "/api/search", None, {"query": query})["answer"]
        for dog in answer["dogs"][:PICTURES]:
            self.ask("picture", "GET", f"/api/photos/{dog['photo']}")
        if turn % self.reports == self.reports - 1:
            said = {"kind": "found", "contact": "nobody@example.org", "date": "2026-01-01"}
            posted = self.ask("report", "POST", "/api/reports", photo, {"report": said})
            token = {"X-Report-Token": posted["token"]}
            self.ask("deletion", "DELETE", f"/api/reports/{posted['report']}", headers=token)

    def ask(self, kind: str, method: str, path: str, photo: bytes | None = None, parts=None, headers=None):
        body, headers = None, headers or {}
        if parts is not None:
            body, boundary = form(photo, parts)
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        began = time.perf_counter()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.seen.seconds[kind].append(time.perf_counter() - began)
        if not 200 <= answer.status < 300:
            raise ValueError(f"{method} {path} {answer.status} {content[:200]!r}")
        return json.loads(content) if answer.getheader("Content-Type") == "application/json" and content else None


def form(photo: bytes | None, parts: dict) -> tuple[bytes, str]:
    """A form of a photograph and of parts in JSON, and its boundary."""
    boundary, lines = uuid.uuid4().hex, []
    for name, content in parts.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        lines += [head.encode(), json.dumps(content).encode(), b"\r\n"]
    if photo is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
        lines += [head.encode(), photo, b"\r\n"]
    return b"".join([*lines, f"--{boundary}--\r\n".encode()]), boundary


def new_photo(content: bytes, rng: np.random.Generator) -> bytes:
    """A photograph that nobody has seen: a part of another one."""
    with Image.open(io.BytesIO(content)) as image:
        left, top = rng.uniform(0, 0.1, 2) * image.size
        right, bottom = image.size - rng.uniform(0, 0.1, 2) * image.size
        part, file = image.convert("RGB").resize((SIDE, SIDE), box=(left, top, right, bottom)), io.BytesIO()
    part.save(file, "JPEG")
    return file.getvalue()


def base_photos() -> list[bytes]:
    """Of the data set whose search is served."""
    from auxreid.data.frames import open_frames
    from auxreid.lostpets.study import RESULTS, open_made

    frames = open_frames(RESULTS / "ingest" / open_made().dataset / "frames.arrow")
    return [bytes(frames.image_bytes(place)) for place in range(0, len(frames), max(1, len(frames) // 200))]


def rows(clients: int = CLIENTS, seconds: int = SECONDS, reports: int = REPORTS) -> list[Row]:
    """One row for what a client waits for, and one for what the networks do."""
    photos, rng = base_photos(), np.random.default_rng(CLIENTS)
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as home:
        process = multiprocessing.get_context("spawn").Process(target=service, args=(there, home))
        process.start()
        here.send([new_photo(photos[place % len(photos)], rng) for place in range(ALONE + 1)])
        port, alone = here.recv()
        seen, until = Seen(), time.perf_counter() + seconds
        asking = [Client(port, photos, number, reports, seen) for number in range(clients)]
        threads = [threading.Thread(target=one.run, args=(until,)) for one in asking]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        here.send("end")
        busy, looked = here.recv()
        process.join()
    return told(seen, took, alone, busy, looked, clients)


def told(seen: Seen, took: float, alone: float, busy: float, looked: int, clients: int) -> list[Row]:
    """The rows of the table."""
    for fault in sorted(set(seen.faults)):
        print(fault)
    times = {kind: np.percentile(found, (50, 95)) * 1000 for kind, found in seen.seconds.items()}
    kinds = "; ".join(f"{kind} {p50:.0f} / {p95:.0f} ms" for kind, (p50, p95) in times.items())
    asked = Asked("requests that failed", len(seen.faults), most=0)
    number = sum(map(len, seen.seconds.values()))
    size = f"the lost-pet service, {clients} clients for {took:.0f} s"
    reference = f"{1 / alone:.1f} photographs/s"
    figures = reference, f"{looked / took:.1f} photographs/s", f"{looked / took * alone:.2f} x"
    share = f"{number} requests; the networks are at work {100 * busy / took:.0f} % of the time; median / 95 %: {kinds}"
    return [Row(size, "its networks alone", *figures, (asked,), share)]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, clients=CLIENTS, seconds=SECONDS, reports=REPORTS)))
