"""Files that appear under their names when they are complete, their hash, and a full disk that is named."""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auxreid.plumbing.base.errors import FullDiskError

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_IN_WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|os error (28|122)\b"
)  # as Rust's libraries say


@contextmanager
def finished_file(path: str | Path) -> Iterator[Path]:
    """A path to write to instead of `path`: the file takes its name when the block ends, or is removed if it fails.

    Whoever reads `path` finds the former content or all of the new one, also after a kill or a loss of power. The other
    name has the same suffix, by which some libraries choose a format, and is the same in every run, so that what a
    killed one left is overwritten: only one process at a time may write a file.

    Raises:
        FullDiskError: names `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        with naming_full_disk(path):
            yield unfinished
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8 by :func:`finished_file`; line ends stay as they are."""
    with finished_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="")


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def naming_full_disk(path: str | Path) -> Iterator[None]:
    """Turns a library's way of saying that the disk is full into one that names the file and says what to do."""
    try:
        yield
    except Exception as error:
        if isinstance(error, FullDiskError) or not is_full_disk(error):
            raise
        raise FullDiskError(
            f"{path}: cannot be written, the disk or its quota is full; make room and start again: a training "
            "continues after the last epoch that it saved"
        ) from error


def is_full_disk(error: BaseException) -> bool:
    """Whether an exception says that there is no room left."""
    if isinstance(error, FullDiskError) or (isinstance(error, OSError) and error.errno in FULL):
        return True
    return FULL_IN_WORDS.search(str(error)) is not None
