"""Which files are read: photographs and videos below folders, and the crops that are of one photograph."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auxreid.data.layouts.listing import IMAGE_SUFFIXES
from auxreid.data.tables import read_table
from auxreid.plumbing.base.errors import DataError
from auxreid.serving.photos import files_below

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv"})
READ = ", ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
CROP = re.compile(r"(?P<photo>.+?)[ _-]*(?:crop|dog|box|head|det)[ _-]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Files:
    """Files by kind, sorted by their paths, and how many of other endings there were."""

    images: tuple[Path, ...]
    videos: tuple[Path, ...]
    others: dict[str, int]


def list_files(places: Sequence[Path]) -> Files:
    """The files that are named, and those below the folders that are.

    Raises:
        DataError: a place is not there, or there is nothing to be read in any.
    """
    found: set[Path] = set()
    for place in places:
        if not place.exists():
            raise DataError(f"{place}: no such file or folder")
        found |= set(files_below(place)) if place.is_dir() else {place}
    kinds = {path: path.suffix.lower() for path in sorted(found)}
    images = tuple(path for path, kind in kinds.items() if kind in IMAGE_SUFFIXES)
    videos = tuple(path for path, kind in kinds.items() if kind in VIDEO_SUFFIXES)
    others = Counter(kind or "none" for kind in kinds.values() if kind not in IMAGE_SUFFIXES | VIDEO_SUFFIXES)
    if not images and not videos:
        raise DataError(f"{', '.join(map(str, places))}: no photographs and no videos (endings read: {READ})")
    return Files(images, videos, dict(sorted(others.items())))


def photo_of_crop(path: Path) -> str | None:
    """The photograph that a crop is of, by its name: `walk_crop2.jpg` is of `walk`; None for a name of another kind."""
    match = CROP.fullmatch(path.stem)
    return str(path.with_name(match["photo"])) if match else None


def read_crops(table: Path) -> dict[Path, str]:
    """From a table with the columns `path` (below the table's folder) and `photo`: the photograph of each crop.

    Raises:
        DataError: no such table, or without these columns.
    """
    rows = read_table(table)
    missing = [name for name in ("path", "photo") if name not in rows]
    if missing:
        raise DataError(f"{table}: missing column {', '.join(missing)}, found: {', '.join(rows)}; needed: path, photo")
    paths = [(table.parent / path).resolve() for path in rows["path"]]
    return {path: photo for path, photo in zip(paths, rows["photo"], strict=True) if photo}
