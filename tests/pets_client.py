"""The lost-pet service with the engine of colours, to be asked without a network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi.testclient import TestClient
from toy_engine import photo_of, toy_engine

from auxreid.lostpets.service.app import create_app
from auxreid.lostpets.service.settings import Settings

GENEROUS = {"hosts": ("testserver", "localhost"), "requests_a_minute": 100_000, "changes_a_minute": 100_000}


def files(*contents: bytes, name: str = "photo.jpg", kind: str = "image/jpeg") -> list:
    """Photographs as a form sends them."""
    return [("photos", (name, content, kind)) for content in contents]


class Pets:
    """A client of the service; `app` is the application, `home` its folder."""

    def __init__(self, client: TestClient, home: Path):
        self.client, self.home, self.app = client, home, client.app
        self.service = client.app.state.service

    def look(self, *photos: bytes, **more):
        return self.client.post("/api/look", files=files(*photos), **more)

    def search(self, *photos: bytes, **query):
        return self.client.post("/api/search", files=files(*photos) or None, data={"query": json.dumps(query)})

    def post(self, *photos: bytes, **report) -> dict:
        """A report that is expected to be taken."""
        answer = self.post_raw(*photos, **report)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def post_raw(self, *photos: bytes, **report):
        said = {"kind": "found", "contact": "finder@example.org"} | report
        return self.client.post("/api/reports", files=files(*photos), data={"report": json.dumps(said)})

    def ask(self, method: str, address: str, token: str | None = None, said: object = None):
        headers = {} if token is None else {"X-Report-Token": token}
        return self.client.request(method, address, headers=headers, **({} if said is None else {"json": said}))

    def found(self, *photos: bytes, **query) -> list[str]:
        """The dogs of a search's answer."""
        answer = self.search(*photos, **query)
        assert answer.status_code == 200, answer.text
        return [dog["dog"] for dog in answer.json()["answer"]["dogs"]]

    def save(self, *photos: bytes, **more) -> dict:
        """A saved search by these photographs."""
        search = self.search(*photos).json()["search"]
        answer = self.ask("POST", "/api/searches", said={"search": search, "name": "Rex"} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()


@contextmanager
def pets(home: Path, engine=None, **settings) -> Iterator[Pets]:
    """The service in a folder, until the block ends; what a former one left is repaired."""
    app = create_app(engine or toy_engine(home), home, Settings(**GENEROUS | settings))
    with TestClient(app) as client:
        yield Pets(client, home)


WHITE = [photo_of("white", view) for view in range(4)]
