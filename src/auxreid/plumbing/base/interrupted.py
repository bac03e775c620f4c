"""Ctrl-C: one line, the exit code that shells expect, and no process left behind."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # 128 + SIGINT
GRACE_S = 10.0  # a terminal interrupts the processes too; for those that are not, this is how long they may go on


def tell_interrupted() -> None:
    """Say on a line of its own, after the terminal's ^C, that Ctrl-C was it."""
    start = "\n" if sys.stderr.isatty() else ""
    print(f"{start}stopped by Ctrl-C", file=sys.stderr, flush=True)


@contextmanager
def ending_them(processes: Iterable[subprocess.Popen]) -> Iterator[None]:
    """Waits for processes that an interrupt ends as well, and ends those that it does not, before it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        for process in list(processes):
            _end(process)
        raise


def _end(process: subprocess.Popen) -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
