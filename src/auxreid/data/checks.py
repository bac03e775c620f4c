"""Checks of the image files themselves: do they decode, are two of them the same, is a split empty or leaking?"""

import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from auxreid.data.layouts.listing import LeftOut, Source, few
from auxreid.plumbing.base.progress import track

MOST_BROKEN = 0.10  # a larger share of undecodable images means that a copy or a disk went wrong
TRAINING_SPLITS = ("train", "val")


@dataclass(frozen=True)
class Checked:
    """An image that decodes: its size in pixels (upright) and the SHA-256 of its file."""

    source: Source
    width: int
    height: int
    sha256: str


def check_images(sources: Sequence[Source], root: Path) -> tuple[list[Checked], list[LeftOut]]:
    """Decode every image in full, and give those that decode, in order, and those that do not, with the reason."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(lambda source: _check_image(source, root), sources)
        results = list(track(results, "checking images", total=len(sources)))
    return [one for one in results if isinstance(one, Checked)], [one for one in results if isinstance(one, LeftOut)]


def _check_image(source: Source, root: Path) -> Checked | LeftOut:
    try:
        content = (root / source.path).read_bytes()
    except OSError as error:
        return LeftOut(source.path, f"cannot be read: {error.strerror}")
    if not content:
        return LeftOut(source.path, "zero bytes")
    size = decoded_size(content)
    if isinstance(size, str):
        return LeftOut(source.path, size)
    return Checked(source, *size, hashlib.sha256(content).hexdigest())


def decoded_size(content: bytes) -> tuple[int, int] | str:
    """Width and height of an image after full decoding, or why it does not decode.

    Pillow says when data end too early, where OpenCV fills up with grey; OpenCV is what reads the image later on.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except UnidentifiedImageError:
        return "does not decode: not in any image format that is known"
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        return f"does not decode: {error}"
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return "does not decode: OpenCV cannot read it"
    return pixels.shape[1], pixels.shape[0]


def too_many_broken(broken: int, total: int) -> list[str]:
    """A fault if more than `MOST_BROKEN` of all images do not decode."""
    if broken <= MOST_BROKEN * total:
        return []
    return [f"{broken} of {total} images do not decode, at most {MOST_BROKEN:.0%} are allowed"]


def without_duplicates(images: Sequence[Checked]) -> tuple[list[Checked], list[LeftOut], list[str]]:
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
        parts = {_part(image.source.split) for image in same} - {""}
        if len(parts) > 1:
            faults.append(f"one image in {' and '.join(sorted(parts))}: {names}")
        elif len({_content(image.source) for image in same}) > 1:
            left_out += [LeftOut(image.source.path, f"copies that contradict each other: {names}") for image in same]
        else:
            kept.append(same[0])
            left_out += [LeftOut(image.source.path, f"a copy of {same[0].source.path}") for image in same[1:]]
    return kept, left_out, faults


def leaks(sources: Iterable[Source], by_sequence: bool) -> list[str]:
    """A fault for each identity, and where asked each sequence, that is in more than one of train, val and test."""
    parts_of = defaultdict(set)
    for source in sources:
        part = _part(source.split)
        if part and source.identity > 0:
            parts_of["identity", source.identity_name].add(part)
        if part and by_sequence and source.sequence:
            parts_of["sequence", source.sequence].add(part)
    return [
        f"{kind} {name} is in {' and '.join(sorted(parts))}, it must be in one of them"
        for (kind, name), parts in sorted(parts_of.items())
        if len(parts) > 1
    ]


def empty_splits(sources: Iterable[Source], layout: str) -> list[str]:
    """A fault for each part that a data set must have and does not: training images, and test images of some kind."""
    found = Counter(source.split for source in sources)
    faults = [] if "train" in found else ["split train is empty"]
    if "test" not in found:
        missing = [name for name in ("gallery", "query") if name not in found]
        faults += [f"split {name} is empty{_why_no_query(layout, found, name)}" for name in missing]
    return faults


def _why_no_query(layout: str, found: Counter, name: str) -> str:
    """A dog whose photographs are of one clip cannot be asked for."""
    if layout != "dogs" or name != "query" or not found["gallery"]:
        return ""
    return (
        f": of no test dog are there two sequences, of which one could ask for the other ({found['gallery']} images; "
        "column sequence, where an empty cell is a sequence of its own)"
    )


def _part(split: str) -> str:
    """train, val or test; empty for images that take part in nothing."""
    if split in TRAINING_SPLITS:
        return split
    return "test" if split in ("query", "gallery", "test") else ""


def _content(source: Source) -> tuple:
    return source.identity, tuple(sorted(source.attributes.items()))
