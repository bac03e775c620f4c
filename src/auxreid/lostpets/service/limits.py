"""How much one client may ask, how much one request may hold, and how many searches run at once."""

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auxreid.lostpets.service.errors import Refused, problem
from auxreid.lostpets.service.headers import READING
from auxreid.lostpets.service.settings import MEGABYTE, Settings

MOST_CLIENTS = 10_000  # that are remembered
MINUTE = 60.0


class Rate:
    """So many a minute for each client; who has not asked for a while may ask that many at once."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic):
        self._most, self._clock, self._lock = a_minute, clock, Lock()
        self._left: dict[str, tuple[float, float]] = {}  # what is left, and when that was

    def wait(self, client: str) -> float:
        """Seconds until the client may ask; 0: now, and it is counted."""
        now, speed = self._clock(), self._most / MINUTE
        with self._lock:
            left, then = self._left.pop(client, (float(self._most), now))
            left = min(float(self._most), left + (now - then) * speed)
            allowed = left >= 1
            self._left[client] = (left - 1 if allowed else left, now)
            if len(self._left) > MOST_CLIENTS:
                del self._left[next(iter(self._left))]
        return 0.0 if allowed else (1 - left) / speed


class Limits:
    """Refuses requests that are too many or too long."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self._app, self._most_bytes = app, settings.body_bytes
        self._all, self._changes = Rate(settings.requests_a_minute), Rate(settings.changes_a_minute)
        self._salt = secrets.token_bytes(16)  # clients are known by a hash alone, until the service ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = self._client(scope)
        wait = self._all.wait(client)
        if not wait and scope["method"] not in READING:
            wait = self._changes.wait(client)
        length = Headers(scope=scope).get("content-length", "0")
        if wait:
            again = str(math.ceil(wait))
            answer = problem(429, f"too many requests; again in {again} s", None, {"Retry-After": again})
            await answer(scope, receive, send)
        elif not length.isdecimal() or int(length) > self._most_bytes:
            await self._too_long()(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _client(self, scope: Scope) -> str:
        address = (scope.get("client") or ("",))[0]
        return hashlib.blake2b(address.encode(), key=self._salt, digest_size=16).hexdigest()

    def _too_long(self):
        return problem(413, f"more than {self._most_bytes // MEGABYTE} MB in one request")

    def _counted(self, receive: Receive) -> Receive:
        """For a body whose length is not told, or told wrongly."""
        got = 0

        async def counting() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self._most_bytes:
                raise TooLong(self._most_bytes)
            return message

        return counting


class TooLong(HTTPException):
    """A body that goes on after the most that is read."""

    def __init__(self, most: int):
        super().__init__(413, f"more than {most // MEGABYTE} MB in one request")


class Turns:
    """So many searches at once, running and waiting."""

    def __init__(self, most: int):
        self._free = BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises Refused where as many are here already."""
        if not self._free.acquire(blocking=False):
            raise Refused(429, "too many searches at once; again in a few seconds", None, {"Retry-After": "5"})
        try:
            yield
        finally:
            self._free.release()
