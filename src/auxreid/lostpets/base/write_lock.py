"""One writer at a time, of all processes and threads: a lock that the system takes back however its holder ends."""

import fcntl
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from auxreid.plumbing.base.errors import DataError

WAIT = 20.0  # seconds: a writer holds the lock for one batch, or while it tidies up
PAUSE = 0.02  # seconds between two attempts
_of_threads: dict[str, threading.Lock] = defaultdict(threading.Lock)  # a record lock (POSIX) is a process's


class BusyError(DataError):
    """Another writer holds the lock."""


@contextmanager
def write_lock(path: Path, wait: float = WAIT) -> Iterator[None]:
    """Holds the lock file, in which the holder's process id stands. It cannot be taken twice by one thread.

    Raises:
        BusyError: another process or thread holds it, still after `wait` seconds; names it.
    """
    until = time.monotonic() + wait
    threads = _of_threads[str(path.resolve())]
    if not threads.acquire(timeout=wait):
        raise BusyError(f"{path.parent}: is being written by another thread of this process; try again when it is done")
    try:
        with path.open("a+", encoding="utf-8") as file:
            _take(file, path, until)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield
    finally:
        threads.release()


def _take(file: TextIO, path: Path, until: float) -> None:
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except (BlockingIOError, PermissionError):  # which of the two depends on the system
            if time.monotonic() >= until:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise BusyError(f"{path.parent}: is being written by {holder}; try again when it is done") from None
        time.sleep(PAUSE)
