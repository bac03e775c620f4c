"""Reading a COCO keypoint file for images of one individual each."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

from auxreid.plumbing.base.errors import DataError


@dataclass(frozen=True)
class KeypointTable:
    """Keypoints by image path. Each entry has 3 numbers per joint: x, y in pixels and COCO visibility (0, 1, 2)."""

    joints: list[str]
    skeleton: list[list[int]]  # pairs of joint numbers, from 0
    points: dict[str, list[float]]
    sizes: dict[str, tuple[int, int]]  # width and height, for which the annotator drew them
    crowded: int  # images with several annotations, of which the one with the largest box is taken

    def named_as(self, files: Iterable[str]) -> "KeypointTable":
        """The same under the names that the files have, where these differ in their Unicode form."""
        names = {normalize("NFC", path): path for path in files}
        points, sizes = (
            {names.get(normalize("NFC", name), name): value for name, value in table.items()}
            for table in (self.points, self.sizes)
        )
        return replace(self, points=points, sizes=sizes)


def read_coco(path: Path, images: str = ".") -> KeypointTable:
    """Read a COCO keypoint file; `images` is the folder, in the data set's, that its file names are relative to.

    Raises:
        DataError: no such file, not JSON, a part of the format missing, categories with different joints, or an
            annotation with another number of keypoints than the joints, or of an image that the file does not list.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        joints, skeleton = _joints(content["categories"], path)
        pictures = {picture["id"]: picture for picture in content["images"]}
        annotations = _largest(content["annotations"])
        for image_id, (annotation, _) in annotations.items():
            _check(annotation, len(joints), image_id in pictures, path)
        names = {key: _path(images, picture["file_name"]) for key, picture in pictures.items()}
        sizes = {names[key]: (int(picture["width"]), int(picture["height"])) for key, picture in pictures.items()}
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not in COCO's keypoint format ({type(error).__name__}: {error})") from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    return KeypointTable(
        joints=joints,
        skeleton=skeleton,
        points={
            names[key]: [float(x) for x in annotation["keypoints"]] for key, (annotation, _) in annotations.items()
        },
        sizes=sizes,
        crowded=sum(count > 1 for _, count in annotations.values()),
    )


def _path(folder: str, name: str) -> str:
    return (PurePosixPath(folder) / name.replace("\\", "/")).as_posix()


def _joints(categories: list[dict[str, Any]], path: Path) -> tuple[list[str], list[list[int]]]:
    with_joints = [category for category in categories if category.get("keypoints")]
    if not with_joints:
        raise DataError(f"{path}: no category names its keypoints")
    joints = with_joints[0]["keypoints"]
    for category in with_joints[1:]:
        if category["keypoints"] != joints:
            raise DataError(f"{path}: categories with different keypoints ({category.get('name')}); one set is allowed")
    return list(joints), [[a - 1, b - 1] for a, b in with_joints[0].get("skeleton", [])]


def _largest(annotations: list[dict[str, Any]]) -> dict[Any, tuple[dict[str, Any], int]]:
    """Per image, the annotation with the largest box that has any keypoint, and how many there are."""
    per_image = defaultdict(list)
    for annotation in annotations:
        if any(annotation["keypoints"][2::3]):
            per_image[annotation["image_id"]].append(annotation)
    return {key: (max(several, key=_box_area), len(several)) for key, several in per_image.items()}


def _box_area(annotation: dict[str, Any]) -> float:
    _, _, width, height = annotation.get("bbox", (0, 0, 0, 0))
    return width * height


def _check(annotation: dict[str, Any], n_joints: int, listed: bool, path: Path) -> None:
    where = f"{path}, annotation {annotation.get('id')}"
    if not listed:
        raise DataError(f"{where}: image {annotation['image_id']} is not in the file's list of images")
    if len(annotation["keypoints"]) != 3 * n_joints:
        raise DataError(f"{where}: {len(annotation['keypoints'])} numbers, expected 3 x {n_joints} joints")
