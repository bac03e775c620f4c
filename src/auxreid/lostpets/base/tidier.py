"""Tidies a base in the background, at moments when nobody searches or adds."""

import threading
from contextlib import suppress

from auxreid.lostpets.base.base import Base
from auxreid.lostpets.base.write_lock import BusyError

EVERY = 60.0  # seconds
QUIET = 5.0  # seconds without a search


class Tidier:
    """A thread that joins a base's small files and makes its index, from `start` to `stop`."""

    def __init__(self, base: Base, every: float = EVERY, quiet: float = QUIET) -> None:
        self.base, self.every, self.quiet = base, every, quiet
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidier", daemon=True)

    def start(self) -> "Tidier":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Returns when it is through with what it was at."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self.every):
            if self.base.quiet_for() >= self.quiet:
                with suppress(BusyError):  # then another time
                    self.base.tidy()
