"""Pictures of ranked lists: the query at the left, then the gallery's first ten, framed green if true, else red."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from auxreid.data.frames import Frames
from auxreid.evaluation.protocols import Entities
from auxreid.evaluation.ranking import RankedQueries, nearest

Reader = Callable[[int], np.ndarray]  # position of a frame -> uint8 RGB [h, w, 3]

LIST_LENGTH = 10
CELL = 112  # longest side of an image, pixels
BORDER = 4
GAP = 6
LINE = 14  # height of a line of text
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
    """Two lines per frame: the identity's name, and the camera or else the sequence."""
    names = [name or f"id {identity}" for name, identity in zip(frames.identity_name, frames.identity, strict=True)]
    places = [
        f"cam {camera}" if camera else sequence for camera, sequence in zip(frames.camera, frames.sequence, strict=True)
    ]
    return [f"{_shortened(name)}\n{_shortened(place)}" for name, place in zip(names, places, strict=True)]


def ranked_list(
    position: int,
    query: Entities,
    gallery: Entities,
    distances: np.ndarray,
    ranked: RankedQueries,
    captions: Sequence[str],
) -> list[Entry]:
    """One query and its first ten places; distances [q, g], captions one per frame that the entities point into."""
    frame = int(query.representative[position])
    head = f"{captions[frame]}\nAP {ranked.average_precision[position]:.3f}"
    found, is_true = nearest(
        distances[position],
        query.identity[position],
        query.group[position],
        gallery.identity,
        gallery.group,
        LIST_LENGTH,
    )
    shown = gallery.representative[found]
    return [Entry(frame, head, is_true=None)] + [
        Entry(int(frame), captions[frame], bool(true)) for frame, true in zip(shown, is_true, strict=True)
    ]


def draw_lists(lists: Sequence[Sequence[Entry]], read: Reader) -> Image.Image:
    """One line per ranked list, its first entry the query, set off from the rest.

    Raises:
        ValueError: no list, or an empty one.
    """
    if not lists or not all(lists):
        raise ValueError("a picture of ranked lists needs at least one list, each with its query")
    cells = [[_cell(read(entry.frame), entry) for entry in one] for one in lists]
    width = max(cell.width for one in cells for cell in one)
    height = max(cell.height for one in cells for cell in one)
    columns = max(len(one) for one in cells)
    size = (2 * MARGIN + columns * (width + GAP) + GAP, 2 * MARGIN + len(cells) * (height + GAP) - GAP)
    picture = Image.new("RGB", size, "white")
    for line, one in enumerate(cells):
        for column, cell in enumerate(one):
            left = MARGIN + column * (width + GAP) + (2 * GAP if column else 0)
            picture.paste(cell, (left, MARGIN + line * (height + GAP)))
    return picture


def save_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a JPEG of at most MAX_BYTES where that is possible at all; equal pictures give equal bytes."""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    Path(path).write_bytes(buffer.getvalue())


def _shortened(text: str) -> str:
    """At most 16 characters, the end kept: names of images and sequences differ there."""
    return text if len(text) <= 16 else "…" + text[-15:]


def _cell(pixels: np.ndarray, entry: Entry) -> Image.Image:
    """A framed image with its caption."""
    image = Image.fromarray(pixels)
    scale = CELL / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
    font = ImageFont.load_default(size=11)
    lines = entry.caption.split("\n")
    width = max(image.width + 2 * BORDER, *(round(font.getlength(line)) for line in lines))
    cell = Image.new("RGB", (width, image.height + 2 * BORDER + LINE * len(lines) + 2), "white")
    draw = ImageDraw.Draw(cell)
    colour = QUERY if entry.is_true is None else TRUE if entry.is_true else WRONG
    left = (cell.width - image.width) // 2
    draw.rectangle((left - BORDER, 0, left + image.width + BORDER - 1, image.height + 2 * BORDER - 1), fill=colour)
    cell.paste(image, (left, BORDER))
    draw.multiline_text((cell.width / 2, image.height + 2 * BORDER + 2), entry.caption, colour, font, "ma", 2, "center")
    return cell
