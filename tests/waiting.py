"""Waiting for what another process does."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], seconds: float = 300) -> None:
    """Returns when the condition is true; fails the test if it does not come true in time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"{condition} did not come true in {seconds} s"
        time.sleep(0.02)
