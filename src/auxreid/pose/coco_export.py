"""Annotated frames as a folder of images and a COCO keypoint file, the form that mmpose's data sets read."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from auxreid.data.frames import Frames
from auxreid.plumbing.base.errors import DataError

ANNOTATIONS = "annotations.json"
IMAGES = "images"


def export_coco(frames: Frames, folder: Path) -> None:
    """Write `folder`/annotations.json and `folder`/images/ for frames that are all annotated.

    The image files keep their bytes and are named by frame id, so that equal names in two folders of the data set do
    not collide. The box of a body is its whole image: a crop is what the network sees, here as in `predict`.

    Raises:
        DataError: no frames, or one that has no keypoints, by its path.
    """
    points, annotated = frames.keypoints()
    if not len(frames):
        raise DataError(f"data set {frames.meta.dataset!r}: no frames to export")
    if not annotated.all():
        raise DataError(f"{frames.path[np.flatnonzero(~annotated)[0]]}: has no keypoints and cannot be exported")
    (folder / IMAGES).mkdir(parents=True)
    images, annotations = [], []
    for index, frame_id in enumerate(frames.frame_id.tolist()):
        width, height = frames.size[index].tolist()
        name = f"{frame_id:08d}{Path(frames.path[index]).suffix.lower()}"
        (folder / IMAGES / name).write_bytes(frames.image_bytes(index))
        images.append({"id": frame_id, "file_name": name, "width": width, "height": height})
        annotations.append(_annotation(frame_id, points[index], width, height))
    category = {"id": 1, "name": frames.meta.word, "keypoints": list(frames.meta.joints)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / ANNOTATIONS).write_text(json.dumps(content), encoding="utf-8")


def _annotation(frame_id: int, points: np.ndarray, width: int, height: int) -> dict[str, Any]:
    return {
        "id": frame_id,
        "image_id": frame_id,
        "category_id": 1,
        "bbox": [0, 0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "keypoints": [float(value) for value in points.reshape(-1)],
        "num_keypoints": int((points[:, 2] > 0).sum()),
    }
