"""Frames of videos at a stated rate, each video's in a folder named by its content."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from auxreid.data.layouts.listing import LeftOut
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import file_hash, finished_file, write_text
from auxreid.plumbing.base.progress import track

INDEX = "index.json"  # written last: a folder without it is of a run that was stopped
QUALITY = 95  # of the frames' JPEG


@dataclass(frozen=True)
class Frame:
    """A frame as a file, and where it is from."""

    path: Path
    video: Path
    second: float

    @property
    def name(self) -> str:
        return f"{self.video} at {self.second:.1f} s"


def frames_of(videos: Sequence[Path], rate: float, folder: Path) -> tuple[list[Frame], list[LeftOut], list[LeftOut]]:
    """The frames of all videos; those videos that cannot be read, with the reason; those that are equal to another."""
    frames, bad, twice, seen = [], [], [], {}
    for video in track(videos, "videos") if videos else ():
        try:
            key = file_hash(video)
        except OSError as error:
            bad.append(LeftOut(str(video), f"cannot be read: {error.strerror}"))
            continue
        if key in seen:
            twice.append(LeftOut(str(video), f"equal to {seen[key]}"))
            continue
        seen[key] = video
        own = folder / f"{key[:16]}-{rate:g}"
        try:
            index = _index(own) or _extract(video, rate, own)
        except DataError as error:
            bad.append(LeftOut(str(video), str(error)))
            continue
        frames += [Frame(own / name, video, second) for name, second in index.items()]
    return frames, bad, twice


def _index(own: Path) -> dict[str, float] | None:
    try:
        return json.loads((own / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _extract(video: Path, rate: float, own: Path) -> dict[str, float]:
    """Write the first frame of every interval of 1 / `rate` seconds."""
    capture = cv2.VideoCapture(str(video))
    index: dict[str, float] = {}
    try:
        fps = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0
        if not 0 < fps < 1000:
            raise DataError("does not open as a video")
        number = 0
        while capture.grab():
            second = number / fps
            number += 1
            if second + 1e-9 < len(index) / rate:
                continue
            done, pixels = capture.retrieve()
            if not done:
                break
            name = f"{len(index) + 1:06d}.jpg"
            with finished_file(own / name) as unfinished:
                cv2.imwrite(str(unfinished), pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                os.utime(unfinished, (0, 0))  # the same in each run, so that looks are told apart by content alone
            index[name] = round(second, 3)
    finally:
        capture.release()
    if not index:
        raise DataError("has no frame that decodes")
    write_text(own / INDEX, json.dumps(index) + "\n")
    return index
