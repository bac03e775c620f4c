"""Small frames files for tests of training: a picture per row, with the attributes that a test asks for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from auxreid.data.frames import Frames, FramesMeta, open_frames, write_frames

Words = Mapping[int, Mapping[str, str | None]]  # identity -> attribute -> word


def noise(number: int, width: int, height: int) -> np.ndarray:
    """A noise picture, uint8 RGB [h, w, 3], different for every number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def small_frames(
    path: Path,
    identities: Sequence[int],
    *,
    size: tuple[int, int] = (16, 32),
    vocabulary: Mapping[str, Sequence[str]] | None = None,
    words: Words | None = None,
    picture: Callable[[int, int, int], np.ndarray] = noise,
    name: str = "small",
    word: str = "person",
    cameras: Sequence[int] | None = None,
) -> Frames:
    """Write and open training frames of these identities [n], of size (width, height), losslessly packed."""
    width, height = size
    rows = []
    for number, identity in enumerate(identities):
        pixels = picture(number, width, height)
        row = {"path": f"{number}.png", "split": "train", "identity": identity, "width": width, "height": height}
        row["image"] = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
        if cameras is not None:
            row["camera"] = cameras[number]
        for attribute in vocabulary or {}:
            row[f"attr_{attribute}"] = ((words or {}).get(identity) or {}).get(attribute)
        rows.append(row)
    attributes = {attribute: list(allowed) for attribute, allowed in (vocabulary or {}).items()}
    write_frames(path, rows, FramesMeta(name, "market1501", "market1501", word, attributes=attributes))
    return open_frames(path)
