"""The lost-pet search's page in a headless Chromium: a served toy, a page that tells what went wrong, and axe."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
import uvicorn
from toy_engine import toy_engine

from auxreid.lostpets.service.app import create_app
from auxreid.lostpets.service.settings import Settings

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
KINDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"desktop": (1360, 900), "phone": (360, 740)}
WIDE = """[document.documentElement, ...document.querySelectorAll("dialog[open]")]
    .filter(one => one.scrollWidth > one.clientWidth).map(one => one.tagName)"""
SCREENSHOTS = "AUXREID_SCREENSHOTS"  # folder for a picture and axe's verdict of each state; unset: none


@contextmanager
def served_toy(home: Path) -> Iterator[str]:
    """The address of a service over the toy."""
    settings = Settings(requests_a_minute=100_000, changes_a_minute=100_000)
    app = create_app(toy_engine(home), home, settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Shown:
    """A page, with what it asked for and what went wrong on it."""

    page: object
    size: str
    address: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def open(self, where: str = "") -> None:
        """Go there, and wait until it can be used."""
        self.page.goto(f"{self.address}/{where}")
        self.page.wait_for_selector("body[data-ready]")

    def check(self, state: str) -> None:
        """Axe finds nothing, and nothing is wider than the window. With screenshots, if they are asked for."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("kinds => axe.run({runOnly: kinds, resultTypes: ['violations']})", KINDS)
        told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found["violations"]]
        self.picture(state, found)
        assert told == [], f"{state}: {told}"
        assert self.page.evaluate(WIDE) == [], state

    def picture(self, state: str, found: dict) -> None:
        """Keep how the state looks and what axe says of it, where the environment names a folder for it."""
        if not os.environ.get(SCREENSHOTS):
            return
        folder = Path(os.environ[SCREENSHOTS])
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.page.locator("dialog[open]").count() == 0
        self.page.screenshot(path=folder / f"{self.size}-{state}.png", full_page=whole)
        counts = {kind: len(found[kind]) for kind in ("violations", "passes", "incomplete")}
        with (folder / "axe.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"size": self.size, "state": state, **counts}) + "\n")


@contextmanager
def shown(browser, address: str, size: str, language: str = "en", **options) -> Iterator[Shown]:
    """A page of this size in this language; everything that it asks for must be of the server."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, locale=language, **options)
    one = Shown(context.new_page(), size, address)
    one.page.set_default_timeout(10_000)
    one.page.on("request", lambda request: one.asked.append(request.url))
    one.page.on("console", lambda message: one.said.append(message.text) if message.type == "error" else None)
    one.page.on("pageerror", lambda error: one.said.append(str(error)))
    try:
        yield one
    finally:
        context.close()
    hosts = {urlsplit(url).netloc for url in one.asked if not url.startswith(("blob:", "data:"))}
    assert hosts == {urlsplit(address).netloc}
    assert one.said == []
