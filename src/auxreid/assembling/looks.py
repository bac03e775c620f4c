"""What a look at each photograph tells, kept line by line, so that a run that was stopped goes on where it was."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from auxreid.assembling.taken import time_taken
from auxreid.data.decoding import decode, fingerprint, is_large, look, room_for
from auxreid.data.layouts.listing import LeftOut
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.progress import track

SHARPNESS_SIDE = 256  # pixels of the longer side: a small copy, scaled up, is less sharp than its original
DECIMALS = 4
AT_ONCE = 64  # photographs, after which what is known is written


@dataclass(frozen=True)
class Look:
    """A photograph's content by its hash, its size and, if it can be used, what it looks like.

    Attributes:
        reason: why it cannot be used; empty where it can.
        sharpness: variance of the Laplacian.
        small: 64 numbers, the grey picture at 8 x 8 pixels, of length 1 (see `data.decoding.fingerprint`).
        taken: seconds since 1970 by the camera's clock; None where the file does not say.
    """

    path: str
    size: int
    changed: int
    photo: str = ""
    reason: str = ""
    width: int = 0
    height: int = 0
    sharpness: float = 0.0
    small: tuple[float, ...] = ()
    taken: float | None = None


def look_at(paths: Sequence[Path], store: Path) -> tuple[dict[Path, Look], list[LeftOut]]:
    """What is known of every photograph that can be used, by its path, and the others with the reasons.

    A file is looked at again when its size or its time of change is another one.
    """
    known = {(one.path, one.size, one.changed): one for one in _read(store)}
    keys, bad = {}, []
    for path in paths:
        try:
            state = path.stat()
            keys[path] = (str(path), state.st_size, state.st_mtime_ns)
        except OSError as error:
            bad.append(LeftOut(str(path), f"cannot be read: {error.strerror}"))
    new = [path for path, key in keys.items() if key not in known]
    parts = [new[start : start + AT_ONCE] for start in range(0, len(new), AT_ONCE)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for part in track(parts, f"looking at {len(new)} photographs") if len(parts) > 1 else parts:
            looks = list(pool.map(_looked_at, part, [keys[path] for path in part]))
            _append(store, looks)
            known |= {keys[path]: one for path, one in zip(part, looks, strict=True)}
    found = {path: known[key] for path, key in keys.items()}
    bad += [LeftOut(str(path), one.reason) for path, one in found.items() if one.reason]
    return {path: one for path, one in found.items() if not one.reason}, bad


def _looked_at(path: Path, key: tuple[str, int, int]) -> Look:
    large = is_large(path)
    with room_for(large):
        try:
            content = path.read_bytes()
        except OSError as error:
            return Look(*key, reason=f"cannot be read: {error.strerror}")
        found = look(content, large) if content else "zero bytes"
        if isinstance(found, str):
            return Look(*key, reason=found)
        pixels = decode(content, reduced=large)
    return Look(
        *key,
        photo=hashlib.sha256(content).hexdigest(),
        width=found.width,
        height=found.height,
        sharpness=sharpness(pixels),
        small=tuple(np.round(fingerprint(pixels), DECIMALS).tolist()),
        taken=time_taken(io.BytesIO(content)),
    )


def sharpness(pixels: np.ndarray) -> float:
    """Variance of the Laplacian of the grey picture, whose longer side is first made `SHARPNESS_SIDE` pixels."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = SHARPNESS_SIDE / max(grey.shape)
    size = tuple(max(1, round(side * scale)) for side in grey.shape[::-1])
    grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return round(float(cv2.Laplacian(grey, cv2.CV_64F).var()), DECIMALS)


def _read(store: Path) -> list[Look]:
    """The whole lines; what a kill left of a last one is cut off, so that the next one begins a line.

    Raises:
        DataError: a line before it is broken.
    """
    if not store.is_file():
        return []
    content = store.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(store, len(whole))
    try:
        looks = [json.loads(line) for line in whole.splitlines()]
        return [Look(**one | {"small": tuple(one["small"])}) for one in looks]
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{store}: broken; remove it, and the photographs are looked at again") from None


def _append(store: Path, looks: Sequence[Look]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(one)) + "\n" for one in looks)
        file.flush()
        os.fsync(file.fileno())
