"""The review on 127.0.0.1: the page, its pictures, and decisions that are in decisions.csv before the page says so."""

import json
import mimetypes
import re
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from auxreid.assembling.decisions import Decision, add_decisions, fault_of, read_decisions
from auxreid.assembling.page import page_text
from auxreid.assembling.workplace import Workplace
from auxreid.plumbing.base.errors import ConfigError

HOST = "127.0.0.1"
MOST_BYTES = 2**24  # of one request
PICTURE = re.compile(r"/((?:\.assemble/thumbs|photos)/[0-9a-f]+\.[a-z]+)")


class ReviewServer(ThreadingHTTPServer):
    """Serves one set. `token` is known to its page alone: another site's page cannot send decisions."""

    daemon_threads = True

    def __init__(self, work: Workplace, data: dict[str, object], port: int):
        self.work, self.data, self.token, self.writing = work, data, secrets.token_hex(16), Lock()
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    def page(self) -> str:
        """With the decisions that are in the files now."""
        return page_text(self.data, read_decisions(self.work.out), self.token)

    def add(self, content: bytes) -> str | None:
        """Write decisions; returns what is wrong with them, and then writes none."""
        try:
            lines = [Decision(*map(str, line)) for line in json.loads(content)]
        except (ValueError, TypeError):
            return "a list of lines of step, action, photo, other is needed"
        if faults := [fault for one in lines if (fault := fault_of(one))]:
            return faults[0]
        with self.writing:
            add_decisions(self.work.decisions, lines)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer

    def do_GET(self) -> None:
        if not self._is_asked_here():
            self._answer(403, b"only " + HOST.encode())
        elif self.path == "/":
            self._answer(200, self.server.page().encode(), "text/html; charset=utf-8")
        elif match := PICTURE.fullmatch(self.path):
            self._send_picture(self.server.work.out / match[1])
        else:
            self._answer(404, b"no such page")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        token = self.headers.get("X-Review-Token", "")
        if not self._is_asked_here() or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._answer(403, b"not of this page; load it again")
        elif self.path != "/decisions":
            self._answer(404, b"no such page")
        elif not length.isdecimal() or int(length) > MOST_BYTES:
            self._answer(413, f"Content-Length up to {MOST_BYTES} is needed".encode())
        elif fault := self.server.add(self.rfile.read(int(length))):
            self._answer(400, fault.encode())
        else:
            self._answer(200, b"written")

    def _is_asked_here(self) -> bool:
        """By this address, and not by another name that leads here."""
        return self.headers.get("Host") == self.server.address.removeprefix("http://")

    def _send_picture(self, path: Path) -> None:
        try:
            self._answer(200, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")
        except OSError:
            self._answer(404, b"no such picture")

    def _answer(self, status: int, content: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=3600" if kind.startswith("image/") else "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the page says what is saved."""


def open_review(work: Workplace, data: dict[str, object], port: int) -> ReviewServer:
    """A server that is bound to its port. Raises ConfigError if the port is taken."""
    try:
        return ReviewServer(work, data, port)
    except OSError as error:
        raise ConfigError(f"--port {port}: cannot be opened on {HOST} ({error.strerror}); name another one") from None
