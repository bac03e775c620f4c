"""A note in a file that is locked while its writer lives: by it the next command knows what a killed one left."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.errors import DataError


@contextmanager
def held_note(path: Path, busy: str) -> Iterator[int]:
    """The open file, locked while the block runs, or longer if a process inherits it. It is not removed.

    Raises:
        DataError: it is held already; `busy` says by whom.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{path}: {busy}; wait for it") from None
        yield number
    finally:
        os.close(number)


def write_note(number: int, said: Any) -> None:
    """What the note says, in the place of what it said."""
    os.truncate(number, 0)
    os.write(number, json.dumps(said).encode())


@contextmanager
def left_note(path: Path) -> Iterator[Any]:
    """What the note of a killed command says, held while the block runs; None: there is no such note, its writer is at
    work, or was killed before it had begun. It goes with the block unless that fails."""
    if not path.is_file():
        yield None
        return
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        try:
            said = json.loads(file.read())
        except ValueError:
            said = None
        yield said
        path.unlink(missing_ok=True)
