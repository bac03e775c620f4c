"""A folder of photographs, or a list of them as CSV, as what is to be indexed."""

import csv
import datetime
import hashlib
import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.serving.photos import content_of, image_files

NEEDED = ("path", "dog")
OPTIONAL = ("sequence", "date", "place", "latitude", "longitude")


@dataclass(frozen=True)
class Photograph:
    """A file, and what its owner says of it."""

    path: Path
    dog: str
    sequence: str = ""
    date: datetime.date | None = None
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None

    def frame(self) -> str:
        """Its name in a base: the hash of the file, as stage `index` names a data set's.

        Raises:
            DataError: the file cannot be read.
        """
        return hashlib.sha256(content_of(self.path)).hexdigest()


def listed(place: Path) -> list[Photograph]:
    """The photographs below a folder, whose dogs are its subfolders, or those that a CSV file lists.

    Raises:
        DataError: there are none, a photograph lies in no subfolder, or the list is wrong; names file and line.
    """
    if place.is_dir():
        return [_in_folder(path, place) for path in image_files([place])]
    if not place.is_file():
        raise DataError(f"{place}: no such file or folder")
    found = list(_in_list(place))
    if not found:
        raise DataError(f"{place}: lists no photographs")
    return found


def _in_folder(path: Path, folder: Path) -> Photograph:
    parts = path.relative_to(folder).parts
    if len(parts) < 2:
        raise DataError(f"{path}: lies in no subfolder: those of {folder} are the dogs (or give a CSV: path,dog)")
    return Photograph(path, parts[0])


def _in_list(file: Path) -> Iterator[Photograph]:
    with io.StringIO(_text(file), newline="") as lines:
        reader = csv.DictReader(lines)
        columns = reader.fieldnames or []
        wrong = [name for name in columns if name not in NEEDED + OPTIONAL]
        if wrong or not set(NEEDED) <= set(columns) or len(set(columns)) < len(columns):
            raise DataError(
                f"{file}: its columns are {', '.join(columns) or 'none'}; needed are {', '.join(NEEDED)}, allowed "
                f"beside them {', '.join(OPTIONAL)}"
            )
        while True:
            try:
                row = next(reader, None)
                if row is None:
                    return
                yield _of_line(row, file.parent)
            except (ValueError, csv.Error) as error:
                line = reader.line_num + isinstance(error, csv.Error)  # which comes before the line is counted
                raise DataError(f"{file}, line {line}: {error}") from None


def _text(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, line {line}: is not UTF-8; save the list as CSV in UTF-8") from None


def _of_line(row: dict[str, str | None], folder: Path) -> Photograph:
    """Raises ValueError with what is wrong."""
    if None in row or None in row.values():
        raise ValueError("has another number of cells than the first line")
    path, dog = folder / row["path"], row["dog"].strip()
    if not row["path"]:
        raise ValueError("names no photograph")
    if not dog:
        raise ValueError("names no dog")
    if not os.path.isfile(path):  # also of a name that is too long
        raise ValueError(f"{str(path)[:200]}: no such file")
    date = row.get("date") or None
    degrees = [_degrees(name, row.get(name) or None, most) for name, most in (("latitude", 90), ("longitude", 180))]
    if degrees.count(None) == 1:
        raise ValueError("has one of latitude and longitude alone")
    try:
        day = None if date is None else datetime.date.fromisoformat(date)
    except ValueError:
        raise ValueError(f"date {date!r} is no day as 2024-05-17") from None
    return Photograph(path, dog, row.get("sequence") or "", day, row.get("place") or "", *degrees)


def _degrees(name: str, text: str | None, most: int) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= most:
        raise ValueError(f"{name} {text!r} is no number from -{most} to {most}")
    return value
