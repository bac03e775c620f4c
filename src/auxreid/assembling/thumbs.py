"""Small pictures for the review page."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from auxreid.assembling.items import Item
from auxreid.data.decoding import decode
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.progress import track

SIDE = 240  # pixels of the longer side
QUALITY = 82
MANY = 200


def write_thumbs(items: Sequence[Item], folder: Path) -> None:
    """One for each photograph that has none."""
    new = [item for item in items if not (folder / f"{item.photo}.jpg").exists()]
    for item in track(new, "small pictures") if len(new) >= MANY else new:
        pixels = decode(item.path.read_bytes())
        if pixels is None:
            continue  # it changed since it was looked at; the next run looks again
        scale = min(1.0, SIDE / max(pixels.shape[:2]))
        size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
        small = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        with finished_file(folder / f"{item.photo}.jpg") as unfinished:
            cv2.imwrite(str(unfinished), np.ascontiguousarray(small), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
