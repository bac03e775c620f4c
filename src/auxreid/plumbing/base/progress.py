"""Progress of long work: a bar on a terminal, a plain line every ten seconds in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LINE_EVERY_S = 10.0


def track(iterable: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield from `iterable` while showing how far it is; `total` defaults to its length where it has one."""
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(iterable, description, total=total, console=Console(stderr=True), transient=True)
    else:
        yield from _track_lines(iterable, description, total)


def _track_lines(iterable: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    started = said = time.monotonic()
    for done, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - said >= LINE_EVERY_S:
            said = now
            of = f" of {total}" if total is not None else ""
            print(f"  {description}: {done}{of}, {now - started:.0f} s", file=sys.stderr, flush=True)
