"""The service's log: which kind of request was answered how and how fast, and nothing of who asked what."""

import logging
import sys
import time
import traceback
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("auxreid.lostpets")
UNKNOWN = "(no such address)"


def log_to_stderr() -> None:
    """With the time, one line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # tells of each form that is broken


def told_place(error: BaseException) -> str:
    """An exception's kind and where it arose, without its message: that may quote what a user sent."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return f"{type(error).__name__} at " + " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


class RequestLog:
    """One line for each request: the method, the route's pattern, the status and the milliseconds."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", UNKNOWN)
            method = scope["method"] if scope["method"].isalpha() and len(scope["method"]) < 8 else "?"
            LOG.info("%s %s %d %.0f ms", method, route, status, 1000 * (time.perf_counter() - began))
