"""What reading a data set's folder yields, before any image is opened."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auxreid.data.vocabulary import Vocabulary
from auxreid.plumbing.base.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
NOT_AN_IMAGE = f"not an image (endings read: {', '.join(sorted(IMAGE_SUFFIXES))})"


@dataclass(frozen=True)
class Source:
    """One image file, and what its name, folder or table row says about it."""

    path: str  # relative to the data set's folder, with forward slashes
    split: str
    identity: int
    identity_name: str
    camera: int = 0
    sequence: str = ""
    date: str = ""
    place: str = ""
    attributes: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A file that is not packed, and why."""

    path: str
    reason: str


@dataclass
class Listing:
    """All sources of a data set, with what was found wrong on the way.

    `faults` would falsify a result: they are collected, so that one run names them all, and then stop it.
    """

    sources: list[Source] = field(default_factory=list)
    attributes: Vocabulary = field(default_factory=dict)  # those that the data set has
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def stop_on(faults: list[str], data_set: str) -> None:
    """Raise one DataError that names every fault."""
    if faults:
        shown = "\n".join(f"  - {fault}" for fault in faults)
        raise DataError(f"data set {data_set} cannot be used, {len(faults)} fault(s):\n{shown}")


def few(names: list[str], most: int = 5) -> str:
    """The first few names of a list, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def image_paths(folder: Path, root: Path, listing: Listing) -> Iterator[Path]:
    """The image files of one folder in order of their names; every other file is listed as left out.

    A folder that is not there is a fault.
    """
    if not folder.is_dir():
        listing.faults.append(f"{folder}: no such folder")
        return
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            yield path
        else:
            what = "a folder where images are expected" if path.is_dir() else NOT_AN_IMAGE
            listing.left_out.append(LeftOut(path.relative_to(root).as_posix(), what))


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The column names of a UTF-8 CSV file, and its rows with their line numbers; cells are stripped of blanks.

    Raises:
        DataError: no such file, no header, a text that is not UTF-8, or a row of another length than the header.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error})") from error
    if not header or len(set(header)) != len(header):
        raise DataError(f"{path}: the first line must name each column once, found {header}")
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}, line {line}: {len(row)} cells, the header has {len(header)}")
    return header, [(line, dict(zip(header, row, strict=True))) for line, row in rows]


def check_words(where: str, row: Mapping[str, str | None], vocabulary: Vocabulary) -> list[str]:
    """A fault for each attribute of a row whose word is not in the vocabulary; None is a missing value."""
    return [
        f"{where}, column {name}: {row[name]!r}, allowed: {', '.join(words)}"
        for name, words in vocabulary.items()
        if row.get(name) is not None and row[name] not in words
    ]
