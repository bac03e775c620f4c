"""One writer per output: a lock that the operating system takes back when its holder ends, however it ends."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auxreid.plumbing.base.errors import DataError

LOCK_FILE = ".lock"


@contextmanager
def output_lock(out: Path) -> Iterator[None]:
    """Holds `out`/.lock, in which the holder's process id stands.

    A record lock (POSIX) and not flock: forked loader processes would keep the latter for seconds after a kill.

    Raises:
        DataError: another process writes this output; names it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK_FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of the two depends on the system
            file.seek(0)
            raise DataError(
                f"{out}: is being written by {file.read().strip() or 'another process'}; wait for it or end it, then "
                "start this one again"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
