"""Joints as a COCO keypoint file, written so that equal joints give equal bytes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auxreid.sample.canvas import OVERSAMPLING, Canvas
from auxreid.sample.geometry import Point

Joints = Mapping[str, tuple[Point, tuple[int, ...]]]  # name -> canvas pixel, parts that show it


@dataclass(frozen=True)
class Annotation:
    """One body in one image, in pixels of the image."""

    file_name: str
    width: int
    height: int
    box: tuple[float, float, float, float]  # x, y, width, height
    area: float  # pixels of the body before anything hides it
    keypoints: tuple[tuple[float, float, int], ...]  # x, y, v


@dataclass(frozen=True)
class Body:
    """Box and area of a body as drawn, before something is put in front of it."""

    box: tuple[int, int, int, int]
    pixels: int


def measure(canvas: Canvas) -> Body:
    """Box and area of the body on the canvas."""
    nothing = canvas.label.histogram()[0]
    return Body(canvas.body_box(), canvas.label.width * canvas.label.height - nothing)


def annotate(file_name: str, canvas: Canvas, body: Body, joints: Joints) -> Annotation:
    """Scale joints to the image: v is 2 where the joint's own part can be seen, 1 where not, 0 outside the image."""
    width, height = canvas.label.width // OVERSAMPLING, canvas.label.height // OVERSAMPLING
    left, top, right, bottom = (round(edge / OVERSAMPLING, 2) for edge in body.box)
    points = []
    for point, parts in joints.values():
        x, y = (round(coordinate / OVERSAMPLING, 2) for coordinate in point)
        inside = 0 <= x <= width - 1 and 0 <= y <= height - 1
        points.append((x, y, 2 if canvas.shows(point, parts) else 1) if inside else (0.0, 0.0, 0))
    area = round(body.pixels / OVERSAMPLING**2, 2)
    return Annotation(file_name, width, height, (left, top, right - left, bottom - top), area, tuple(points))


def write_coco(
    path: Path,
    annotations: Iterable[Annotation],
    category: str,
    joints: Sequence[str],
    skeleton: Sequence[Sequence[int]],
) -> None:
    """Write images and annotations in the order of their file names; ids start at 1."""
    images, bodies = [], []
    for number, item in enumerate(sorted(annotations, key=lambda a: a.file_name), start=1):
        images.append({"id": number, "file_name": item.file_name, "width": item.width, "height": item.height})
        bodies.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": list(item.box),
                "area": item.area,
                "num_keypoints": sum(v > 0 for _, _, v in item.keypoints),
                "keypoints": [value for point in item.keypoints for value in point],
            }
        )
    kind = {"id": 1, "name": category, "supercategory": category, "keypoints": list(joints)}
    kind["skeleton"] = [list(pair) for pair in skeleton]
    content = {
        "info": {"description": "rendered sample"},
        "categories": [kind],
        "images": images,
        "annotations": bodies,
    }
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
