"""Ctrl-C: one line, the exit code that shells expect, and no process left behind."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import uuid4

INTERRUPTED = 130  # 128 + SIGINT
GRACE_S = 10.0  # a terminal interrupts the processes too; for those that are not, this is how long they may go on
MARK = "AUXREID_STARTED_BY"  # the variable by which the processes that one command started are known


def tell_interrupted() -> None:
    """Say on a line of its own, after the terminal's ^C, that Ctrl-C was it."""
    start = "\n" if sys.stderr.isatty() else ""
    print(f"{start}stopped by Ctrl-C", file=sys.stderr, flush=True)


def new_mark() -> dict[str, str]:
    """What the environment of started processes is to hold, so that :func:`ending_them` knows all that they start."""
    return {MARK: uuid4().hex}


@contextmanager
def ending_them(processes: Iterable[subprocess.Popen], mark: dict[str, str]) -> Iterator[None]:
    """Waits for processes that an interrupt ends as well, and ends those that it does not, before it goes on.

    Args:
        mark: of :func:`new_mark`. What they started and left behind is ended too: a DVC that is interrupted while it
            starts a stage's command goes without it, and the command may not have heard of the interrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        for process in list(processes):
            _end(process)
        _end_left_behind(mark)
        raise


def _end(process: subprocess.Popen) -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def _end_left_behind(mark: dict[str, str]) -> None:
    import psutil

    for process in psutil.process_iter():
        try:
            if mark.items() <= process.environ().items():
                process.terminate()
        except (psutil.Error, OSError):  # gone, or another user's
            continue
