"""The photographs of a set: files and frames of videos, each content once, in the order of their names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auxreid.assembling.looks import Look
from auxreid.assembling.sources import photo_of_crop
from auxreid.assembling.videos import Frame
from auxreid.data.layouts.listing import LeftOut

ID_LENGTH = 16  # hexadecimal digits of SHA-256 that name a photograph


@dataclass(frozen=True)
class Item:
    """A photograph.

    Attributes:
        photo: its name by its content, the same wherever the file lies.
        path: the file that it is read from.
        name: what a person knows it by.
        look: see `looks.py`.
        stream: the video, or the folder, in whose order it stands; photographs with a time stand in one order.
        place: where in this order.
        whole: the photograph that it is a crop of; None for one that is none.
        second: of a video, where in it.
    """

    photo: str
    path: Path
    name: str
    look: Look
    stream: str
    place: tuple
    whole: str | None = None
    second: float | None = None

    @property
    def is_frame(self) -> bool:
        """Whether it is of a video."""
        return self.second is not None


def make_items(
    images: Iterable[Path], frames: Iterable[Frame], looks: Mapping[Path, Look], crops: Mapping[Path, str]
) -> tuple[list[Item], list[LeftOut]]:
    """The photographs that can be used, sorted by their streams and places, and files of equal bytes, left out."""
    found = [_of_image(path, looks[path], crops) for path in images if path in looks]
    found += [_of_frame(frame, looks[frame.path]) for frame in frames if frame.path in looks]
    found.sort(key=lambda item: (item.stream, item.place))
    first: dict[str, Item] = {}
    for item in found:
        first.setdefault(item.photo, item)
    twice = [
        LeftOut(item.name, f"equal to {first[item.photo].name}") for item in found if first[item.photo] is not item
    ]
    return list(first.values()), twice


def _of_image(path: Path, look: Look, crops: Mapping[Path, str]) -> Item:
    whole = crops.get(path.resolve()) or photo_of_crop(path)
    return Item(look.photo[:ID_LENGTH], path, str(path), look, str(path.parent), in_words_and_numbers(path.name), whole)


def _of_frame(frame: Frame, look: Look) -> Item:
    place = (("", frame.second, ""),)
    return Item(look.photo[:ID_LENGTH], frame.path, frame.name, look, str(frame.video), place, second=frame.second)


def in_words_and_numbers(name: str) -> tuple:
    """A key by which `img_2` comes before `img_10`."""
    parts = re.findall(r"(\D*)(\d*)", name)
    return tuple((word.casefold(), int(number or -1), number) for word, number in parts)


def same_photograph(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Pairs of positions that are crops of one photograph: two dogs in one photograph are two."""
    of: dict[str, list[int]] = {}
    for position, item in enumerate(items):
        if item.whole is not None:
            of.setdefault(item.whole, []).append(position)
    return [(one, other) for some in of.values() for place, one in enumerate(some) for other in some[place + 1 :]]
