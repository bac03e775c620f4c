"""Waiting for what another process does."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], object], seconds: float = 300, pause: float = 0.02) -> None:
    """Returns when the condition, asked for after each pause, is true; fails the test if it is not so in time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"{condition} did not come true in {seconds} s"
        time.sleep(pause)


def gone(pid: int) -> bool:
    """Whether a process has ended, waited for by its parent or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second where it ends between the opening and the reading
        return True
