"""One writer of the home folder at a time: among the threads of the service, and beside a backup."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

FILE = ".writing"


class Writer:
    """Whoever changes photographs, tables and the base together holds :meth:`turn`."""

    def __init__(self, home: Path):
        self._path, self._lock, self._depth = home / FILE, RLock(), 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for another thread, and for a backup that another process makes."""
        with self._lock:
            if self._depth:
                yield
                return
            with self._path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
