"""Photographs that belong to no data set, as frames: checked as an ingest checks them, and decoded in the same way."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from auxreid.data.decoding import decode, is_large, look, room_for
from auxreid.data.layouts.listing import IMAGE_SUFFIXES, MOST_NAMED, LeftOut, is_litter
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.progress import track

Image = str | Path | bytes
MANY = 500  # images, from which on a progress of the checks is worth its line


@dataclass(frozen=True)
class Photo:
    """An image that decodes: its name, its upright size in pixels, and the file or bytes that it is read from."""

    name: str
    source: Path | bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True)
class Name:
    """What an error calls the photographs, in the place of a data set's name."""

    dataset: str = "the photographs"


class Photos:
    """Photographs as encoders read frames: images by their positions, and the few columns that they may ask for.

    Args:
        cameras: the number of the camera of each, from 1 on; None where nothing needs it.

    Raises:
        DataError: cameras are no such numbers, or not one each.
    """

    meta = Name()

    def __init__(self, photos: Sequence[Photo], cameras: Sequence[int] | None = None):
        self._photos = tuple(photos)
        self.has_cameras = cameras is not None
        self.camera = np.zeros(len(photos), np.int32) if cameras is None else _camera_numbers(cameras)
        if len(self.camera) != len(photos):
            raise DataError(f"{len(self.camera)} cameras for {len(photos)} photographs; one each is needed")

    def __len__(self) -> int:
        return len(self._photos)

    def __iter__(self) -> Iterator[Photo]:
        return iter(self._photos)

    @property
    def frame_id(self) -> np.ndarray:
        """int64 [n], their positions: the rows of a table of keypoints that is given beside them."""
        return np.arange(len(self))

    @property
    def path(self) -> list[str]:
        return [photo.name for photo in self._photos]

    @property
    def size(self) -> np.ndarray:
        """int32 [n, 2]: width and height in pixels."""
        return np.array([(photo.width, photo.height) for photo in self._photos], np.int32).reshape(-1, 2)

    def image(self, index: int) -> np.ndarray:
        """uint8 RGB [h, w, 3], turned upright if the file says how.

        Raises:
            DataError: the file is gone, or another one since it was looked at.
        """
        photo = self._photos[index]
        pixels = decode(content_of(photo.source))
        if pixels is None:
            raise DataError(f"{photo.name}: no image any more; it was one a moment ago")
        return pixels


def _camera_numbers(cameras: Sequence[int]) -> np.ndarray:
    """int32 [n]"""
    numbers = [one.item() if isinstance(one, np.generic) else one for one in cameras]
    bad = [one for one in numbers if not _is_camera(one)]
    if bad:
        raise DataError(f"cameras: {bad[0]!r} is none; whole numbers from 1 on are needed, one for each photograph")
    return np.array(numbers, np.int32)


def _is_camera(number: object) -> bool:
    """A table with an empty cell has its whole numbers as floats; True and False are no numbers here."""
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return is_number and 1 <= number < 2**31 and number == int(number)


def look_at(images: Sequence[Image]) -> tuple[list[Photo | None], list[LeftOut]]:
    """Read every image in full, as an ingest does.

    Args:
        images: files by their paths, or the bytes of files, which are called "image 0", "image 1" ...

    Returns:
        A photo for each image, in order, None where it cannot be used; and the names of these with the reasons.
    """
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = pool.map(_looked_at, range(len(images)), images)
        looked = list(track(found, "checking images", total=len(images)) if len(images) >= MANY else found)
    photos = [one if isinstance(one, Photo) else None for one in looked]
    return photos, [one for one in looked if isinstance(one, LeftOut)]


def open_photos(images: Sequence[Image], cameras: Sequence[int] | None = None) -> Photos:
    """Photographs of which every one can be used.

    Raises:
        DataError: there is none, or one cannot be used; names the first ones, with the reasons.
    """
    photos, bad = look_at(images)
    if bad:
        raise DataError(f"{len(bad)} of {len(images)} images cannot be used: {told(bad)}")
    if not photos:
        raise DataError("no images were given")
    return Photos([photo for photo in photos if photo is not None], cameras)


def told(bad: Sequence[LeftOut]) -> str:
    """The first of the images that cannot be used, each with the reason, in one line."""
    return few([f"{one.path} ({one.reason})" for one in bad], MOST_NAMED)


def image_files(places: Iterable[str | Path]) -> list[Path]:
    """The files that are named, and the images below the folders that are, those of a folder sorted by their paths.

    Raises:
        DataError: a place is not there, or a folder has no image in it.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            found += _images_below(place)
        elif place.exists():
            found.append(place)
        else:
            raise DataError(f"{place}: no such file or folder")
    return found


def files_below(folder: Path) -> list[Path]:
    """The files below a folder, sorted by their paths, without what systems leave there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if not any(map(is_litter, path.relative_to(folder).parts))]


def _images_below(folder: Path) -> list[Path]:
    kept = [path for path in files_below(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not kept:
        raise DataError(f"{folder}: no images in this folder (endings read: {', '.join(sorted(IMAGE_SUFFIXES))})")
    return kept


def _looked_at(position: int, image: Image) -> Photo | LeftOut:
    source, name = (image, f"image {position}") if isinstance(image, bytes) else (Path(image), str(image))
    large = is_large(io.BytesIO(source) if isinstance(source, bytes) else source)
    with room_for(large):
        try:
            content = content_of(source)
        except DataError as error:
            return LeftOut(name, str(error).removeprefix(f"{name}: "))
        found = look(content, large) if content else "zero bytes"
    return LeftOut(name, found) if isinstance(found, str) else Photo(name, source, found.width, found.height)


def content_of(source: Path | bytes) -> bytes:
    """The bytes of an image file. Raises DataError for one that cannot be read."""
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
