"""Checks of the image files themselves: do they decode, are two of them the same, is a split empty or leaking?"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from auxreid.data.decoding import Look, is_large, look, room_for
from auxreid.data.layouts.listing import MOST_NAMED, Fault, LeftOut, Source
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.progress import track

MOST_BROKEN = 0.10  # a larger share of undecodable images means that a copy or a disk went wrong
TRAINING_SPLITS = ("train", "val")


@dataclass(frozen=True)
class Checked:
    """An image that can be used: what a look at it told, and the SHA-256 of its file."""

    source: Source
    look: Look
    sha256: str


def check_images(sources: Sequence[Source], root: Path) -> tuple[list[Checked], list[LeftOut]]:
    """Decode every image in full, and give those that decode, in order, and those that do not, with the reason."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(lambda source: _check_image(source, root), sources)
        results = list(track(results, "checking images", total=len(sources)))
    return [one for one in results if isinstance(one, Checked)], [one for one in results if isinstance(one, LeftOut)]


def _check_image(source: Source, root: Path) -> Checked | LeftOut:
    large = is_large(root / source.path)
    with room_for(large):
        return _checked(source, root, large)


def _checked(source: Source, root: Path, large: bool) -> Checked | LeftOut:
    try:
        content = (root / source.path).read_bytes()
    except OSError as error:
        return LeftOut(source.path, f"cannot be read: {error.strerror}")
    if not content:
        return LeftOut(source.path, "zero bytes")
    found = look(content, large)
    if isinstance(found, str):
        return LeftOut(source.path, found)
    return Checked(source, found, hashlib.sha256(content).hexdigest())


def too_many_broken(broken: Sequence[LeftOut], total: int) -> list[Fault]:
    """A fault that names files if more than `MOST_BROKEN` of all images cannot be used."""
    if len(broken) <= MOST_BROKEN * total:
        return []
    names = few([f"{one.path} ({one.reason})" for one in broken], MOST_NAMED)
    text = f"{len(broken)} of {total} images cannot be used, at most {MOST_BROKEN:.0%} are allowed: {names}"
    return [Fault("too many broken images", text)]


def without_duplicates(images: Sequence[Checked]) -> tuple[list[Checked], list[LeftOut], list[Fault]]:
    """Leave out files of equal content, and give (kept, left out, faults).

    Copies that agree on who is seen keep the first. Copies that contradict each other (another identity, or other
    attributes) are all left out. Copies in training and in test data are a fault.
    """
    copies = defaultdict(list)
    for image in images:
        copies[image.sha256].append(image)
    kept, left_out, faults = [], [], []
    for same in copies.values():
        names = few([image.source.path for image in same])
        parts = {part_of(image.source.split) for image in same} - {""}
        if len(parts) > 1:
            faults.append(Fault("copies", f"one image in {' and '.join(sorted(parts))}: {names}"))
        elif len({_content(image.source) for image in same}) > 1:
            left_out += [LeftOut(image.source.path, f"copies that contradict each other: {names}") for image in same]
        else:
            kept.append(same[0])
            left_out += [LeftOut(image.source.path, f"a copy: equal to {same[0].source.path}") for image in same[1:]]
    return kept, left_out, faults


def leaks(sources: Iterable[Source], by_sequence: bool) -> list[Fault]:
    """A fault for each identity, and where asked each sequence, that is in more than one of train, val and test."""
    parts_of = defaultdict(set)
    for source in sources:
        part = part_of(source.split)
        if part and source.identity > 0:
            parts_of["identity", source.identity_name].add(part)
        if part and by_sequence and source.sequence:
            parts_of["sequence", source.sequence].add(part)
    return [
        Fault(f"{kind} in two parts", f"{kind} {name} is in {' and '.join(sorted(parts))}, it must be in one of them")
        for (kind, name), parts in sorted(parts_of.items())
        if len(parts) > 1
    ]


def empty_splits(splits: Iterable[str]) -> list[str]:
    """The splits that a data set must have and this one lacks: training images, and test images of some kind."""
    found = set(splits)
    needed = ("train",) if "test" in found else ("train", "gallery", "query")
    return [name for name in needed if name not in found]


def part_of(split: str) -> str:
    """train, val or test; empty for images that take part in nothing."""
    if split in TRAINING_SPLITS:
        return split
    return "test" if split in ("query", "gallery", "test") else ""


def _content(source: Source) -> tuple:
    return source.identity, tuple(sorted(source.attributes.items()))
