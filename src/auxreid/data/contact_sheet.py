"""A picture of a data set: individuals in rows; a column per camera, or per frame where there are no cameras."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from auxreid.data.captions import fitted, font
from auxreid.data.frames import Frames
from auxreid.plumbing.base.files import finished_file

ROWS, FRAMES_PER_ROW = 10, 6
TILE_WIDTH = 112  # pixels; the height follows the usual shape of the images
CAPTION = 18
MARGIN = 8
MAX_BYTES = 1_000_000
PAPER, INK, FAINT = "white", "black", "#777777"


def write_contact_sheet(frames: Frames, path: Path) -> None:
    """Draw some individuals, evenly chosen among those with the most cameras (or frames), as a JPEG of at most 1 MB.

    Where no image has a known identity, the first images are drawn.
    """
    grid = _grid(frames)
    columns = max(len(row) for row in grid)
    shape = float(np.median(frames.size[:, 1] / frames.size[:, 0]))
    tile = (TILE_WIDTH, round(TILE_WIDTH * min(max(shape, 0.5), 2.0)))
    step = (tile[0] + MARGIN, tile[1] + CAPTION + MARGIN)
    sheet = Image.new("RGB", (MARGIN + columns * step[0], MARGIN + len(grid) * step[1]), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(grid):
        for column, index in enumerate(row):
            corner = (MARGIN + column * step[0], MARGIN + number * step[1])
            if index is None:
                centre = (corner[0] + tile[0] / 2, corner[1] + tile[1] / 2)
                draw.text(centre, "no image", fill=FAINT, font=font(), anchor="mm")
            else:
                sheet.paste(_fitted(frames.preview(index), tile), corner)
                below = (corner[0] + tile[0] / 2, corner[1] + tile[1] + 2)
                draw.text(below, fitted(_caption(frames, index), tile[0]), fill=INK, font=font(), anchor="ma")
    with finished_file(path) as unfinished:
        unfinished.write_bytes(_jpeg(sheet))


def _grid(frames: Frames) -> list[list[int | None]]:
    """Rows of positions in `frames`; None where an individual has no image for a column."""
    known = frames.identity > 0
    if not known.any():
        some = list(range(min(len(frames), ROWS * FRAMES_PER_ROW)))
        return [some[start : start + FRAMES_PER_ROW] for start in range(0, len(some), FRAMES_PER_ROW)]
    cameras = sorted({int(camera) for camera in frames.camera[known]} - {0})
    rows = {int(who): _row(frames, int(who), cameras) for who in np.unique(frames.identity[known])}
    richest = max(_filled(row) for row in rows.values())
    full = [row for row in rows.values() if _filled(row) == richest] if cameras else list(rows.values())
    chosen = np.linspace(0, len(full) - 1, min(ROWS, len(full))).round().astype(int)
    return [full[i] for i in chosen]


def _row(frames: Frames, identity: int, cameras: Sequence[int]) -> list[int | None]:
    own = np.flatnonzero(frames.identity == identity)
    if not cameras:
        return own[np.linspace(0, len(own) - 1, min(FRAMES_PER_ROW, len(own))).round().astype(int)].tolist()
    first = {int(frames.camera[i]): int(i) for i in own[::-1]}
    return [first.get(camera) for camera in cameras]


def _filled(row: Sequence[int | None]) -> int:
    return sum(index is not None for index in row)


def _fitted(pixels: np.ndarray, tile: tuple[int, int]) -> Image.Image:
    """The image [h, w, 3] scaled into the middle of a tile."""
    return ImageOps.pad(Image.fromarray(pixels), tile, color=PAPER)


def _caption(frames: Frames, index: int) -> str:
    camera = f" c{frames.camera[index]}" if frames.camera[index] else ""
    return f"{frames.identity_name[index] or 'unknown'}{camera} {frames.split[index]}"


def _jpeg(sheet: Image.Image) -> bytes:
    """The sheet as JPEG, at the best of some qualities that keeps it small."""
    for quality in (88, 75, 60, 40):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()
