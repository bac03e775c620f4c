"""Pictures of ranked lists: the query at the left, then the gallery's first ten, framed green if true, else red."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from auxreid.data.captions import fitted, font
from auxreid.data.frames import Frames
from auxreid.evaluation.protocols import Entities
from auxreid.evaluation.ranking import RankedQueries, nearest
from auxreid.plumbing.base.files import finished_file

Reader = Callable[[int], np.ndarray]  # position of a frame -> uint8 RGB [h, w, 3]

LIST_LENGTH = 10
CELL = 112  # longest side of an image, pixels
CAPTION_WIDTH = 88  # pixels; eleven cells of this width can be read at 800 pixels
BORDER = 4
GAP = 6
LINE = 16  # height of a line of text
MARGIN = 10
QUERY, TRUE, WRONG = (70, 70, 70), (30, 150, 60), (205, 45, 40)
MAX_BYTES = 400_000
QUALITIES = (90, 80, 65, 50)  # JPEG; the best that keeps a picture within MAX_BYTES


@dataclass(frozen=True)
class Entry:
    """One image of a list: which frame, what is written under it, and whether it matches (None for the query)."""

    frame: int
    caption: str
    is_true: bool | None


def chosen_queries(ranked: RankedQueries, count: int, seed: int) -> dict[str, np.ndarray]:
    """Positions of the `count` best and worst queries by average precision, and of as many random ones.

    Equal average precisions come in query order; queries without a true match are left out.
    """
    valid = np.flatnonzero(ranked.valid)
    precision = ranked.average_precision[valid]
    drawn = np.random.default_rng(seed).permutation(valid)[:count]
    return {
        "best": valid[np.argsort(-precision, kind="stable")][:count],
        "worst": valid[np.argsort(precision, kind="stable")][:count],
        "random": np.sort(drawn),
    }


def frame_captions(frames: Frames) -> list[str]:
    """Two lines per frame: the identity's name, and the camera or else the sequence.

    They are CAPTION_WIDTH wide at most, the ends kept: names of images and sequences differ there.
    """
    names = [name or f"id {identity}" for name, identity in zip(frames.identity_name, frames.identity, strict=True)]
    places = [
        f"cam {camera}" if camera else sequence for camera, sequence in zip(frames.camera, frames.sequence, strict=True)
    ]
    return ["\n".join(fitted(line, CAPTION_WIDTH) for line in lines) for lines in zip(names, places, strict=True)]


def first_places(distances: np.ndarray, query: Entities, gallery: Entities) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first ten places of each of q queries, by distances [q, g].

    Returns:
        q times the frames that stand for the places, int64 [k] (positions in the frames that the entities point into),
        and whether each is a true match, bool [k].
    """
    found = (
        nearest(row, identity, group, gallery.identity, gallery.group, LIST_LENGTH)
        for row, identity, group in zip(distances, query.identity, query.group, strict=True)
    )
    return [(gallery.representative[places], is_true) for places, is_true in found]


def query_entry(frame: int, captions: Sequence[str], below: str) -> Entry:
    """The query of a list; what is to stand below its caption may be several lines."""
    return Entry(frame, f"{captions[frame]}\n{below}", is_true=None)


def place_entries(frames: np.ndarray, is_true: np.ndarray, captions: Sequence[str]) -> list[Entry]:
    """The places of a list: frames int64 [k], is_true bool [k]; captions one per frame."""
    return [Entry(int(frame), captions[frame], bool(true)) for frame, true in zip(frames, is_true, strict=True)]


def ranked_list(
    position: int,
    query: Entities,
    places: Sequence[tuple[np.ndarray, np.ndarray]],
    ranked: RankedQueries,
    captions: Sequence[str],
) -> list[Entry]:
    """One query and its first places (as :func:`first_places` gives them for all q queries)."""
    head = query_entry(int(query.representative[position]), captions, f"AP {ranked.average_precision[position]:.3f}")
    return [head, *place_entries(*places[position], captions)]


def draw_lists(lists: Sequence[Sequence[Entry | None]], read: Reader, titles: Sequence[str] = ()) -> Image.Image:
    """One line per ranked list, its first entry the query, set off from the others; nothing is drawn for None.

    Args:
        titles: what is written above each list, if anything.

    Raises:
        ValueError: no list, or an empty one.
    """
    if not lists or not all(lists):
        raise ValueError("a picture of ranked lists needs at least one list, each with its query")
    cells = [[entry and _cell(read(entry.frame), entry) for entry in one] for one in lists]
    width = max(cell.width for one in cells for cell in one if cell)
    height = max(cell.height for one in cells for cell in one if cell)
    columns = np.arange(max(len(one) for one in cells))
    lefts = (MARGIN + columns * (width + GAP) + 2 * GAP * (columns > 0)).tolist()
    heading = LINE + GAP if titles else 0
    step = heading + height + GAP
    picture = Image.new("RGB", (lefts[-1] + width + MARGIN, MARGIN + len(cells) * step - GAP + MARGIN), "white")
    for line, one in enumerate(cells):
        top = MARGIN + line * step
        if titles:
            title = fitted(titles[line], picture.width - 2 * MARGIN, keep_end=False)
            ImageDraw.Draw(picture).text((MARGIN, top), title, QUERY, font())
        for left, cell in zip(lefts, one, strict=False):
            if cell:
                picture.paste(cell, (left + (width - cell.width) // 2, top + heading))
    return picture


def save_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a JPEG of at most MAX_BYTES where that is possible at all; equal pictures give equal bytes."""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    with finished_file(path) as unfinished:
        unfinished.write_bytes(buffer.getvalue())


def _cell(pixels: np.ndarray, entry: Entry) -> Image.Image:
    """A framed image with its caption."""
    image = Image.fromarray(pixels)
    scale = CELL / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    lines = entry.caption.split("\n")
    width = max(image.width + 2 * BORDER, *(math.ceil(font().getlength(line)) + 2 for line in lines))
    cell = Image.new("RGB", (width, image.height + 2 * BORDER + LINE * len(lines) + 2), "white")
    draw = ImageDraw.Draw(cell)
    colour = QUERY if entry.is_true is None else TRUE if entry.is_true else WRONG
    left = (cell.width - image.width) // 2
    draw.rectangle((left - BORDER, 0, left + image.width + BORDER - 1, image.height + 2 * BORDER - 1), fill=colour)
    cell.paste(image, (left, BORDER))
    draw.multiline_text(
        (cell.width / 2, image.height + 2 * BORDER + 2), entry.caption, colour, font(), "ma", 2, "center"
    )
    return cell
