"""Small data sets of random pictures, in the layouts in which people have them on their disks."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from scipy.io import savemat

from auxreid.data.vocabulary import PERSON_ATTRIBUTES


def picture_bytes(seed: int, suffix: str = ".jpg", size: tuple[int, int] = (16, 32)) -> bytes:
    """A noise picture of size (width, height), different for every seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def config(root: Path, layout: str, **changes) -> SimpleNamespace:
    """What the ingest reads of a data set's configuration."""
    protocol = {"prid2011": "prid2011_single_shot", "csv": "dogs"}.get(layout, layout)
    values = {
        "name": f"small_{layout}",
        "layout": layout,
        "folder": str(root),
        "protocol": protocol,
        "word": "dog" if layout == "dogs" else "person",
        "attributes": None,
        "keypoints": None,
        "splits": None,
        "shared_identities": 6,
        "min_frames": 2,
        "n_splits": 3,
        "file_name": None,
        "folders": None,
        "lists": None,
        "table": None,
        "columns": None,
        "train_identities": None,
        "trained_on": None,
    }
    return SimpleNamespace(**values | changes)


def market(root: Path) -> Path:
    """Train people 2 and 7, test people 3 and 5 over two cameras, one distractor, one junk image."""
    names = {
        "bounding_box_train": [f"{i:04d}_c{c}s1_000{k}51_01.jpg" for i in (2, 7) for c in (1, 2) for k in (1, 2, 3)],
        "query": [f"{i:04d}_c{c}s2_000301_00.jpg" for i in (3, 5) for c in (1, 2)],
        "bounding_box_test": [f"{i:04d}_c{c}s2_000{k}01_02.jpg" for i in (3, 5) for c in (1, 2) for k in (4, 5)]
        + ["0000_c1s1_000001_01.jpg", "-1_c2s3_000002_01.jpg"],
    }
    everything = [f"{folder}/{name}" for folder, some in names.items() for name in some]
    for seed, path in enumerate(everything):
        put(root / path, picture_bytes(seed))
    return root


def market_attributes(path: Path, **codes: Iterable[int]) -> Path:
    """A file built as market_attribute.mat is. Codes are 1 but for those named `<member>_<attribute>`; the members list
    their attributes in opposite orders."""
    people = {"train": ["0002", "0007"], "test": ["0003", "0005"]}
    struct = {}
    for member, identities in people.items():
        names = list(PERSON_ATTRIBUTES) if member == "train" else list(PERSON_ATTRIBUTES)[::-1]
        columns = {name: np.array(codes.get(f"{member}_{name}", [1, 1]), np.uint8) for name in names}
        struct[member] = columns | {"image_index": np.array([identities], dtype=object)}
    savemat(path, {"market_attribute": struct})
    return path


def prid_single(root: Path) -> Path:
    """People 1..6 in both cameras, 7 and 8 in camera A, 7..9 in camera B."""
    for camera, people in {"cam_a": range(1, 9), "cam_b": range(1, 10)}.items():
        for person in people:
            seed = person + (100 if camera == "cam_b" else 0)
            put(root / "single_shot" / camera / f"person_{person:04d}.png", picture_bytes(seed, ".png"))
    return root


def prid_multi(root: Path) -> Path:
    """As prid_single with three frames each, but for person 6, of whom camera B has one frame."""
    for camera, people in {"cam_a": range(1, 9), "cam_b": range(1, 10)}.items():
        for person in people:
            for frame in range(1, 2 if (camera, person) == ("cam_b", 6) else 4):
                seed = frame + 10 * person + (1000 if camera == "cam_b" else 0)
                put(
                    root / "multi_shot" / camera / f"person_{person:04d}" / f"{frame:04d}.png",
                    picture_bytes(seed, ".png"),
                )
    return root


def dog_rows() -> list[dict[str, str]]:
    """Dogs a, b (train), c (val), d, e (test) with three sequences of two frames each; and breed images of no dog."""
    rows = []
    for dog, split in {"a": "train", "b": "train", "c": "val", "d": "test", "e": "test"}.items():
        for sequence in (1, 2, 3):
            clip = {"dog_id": dog, "sequence": f"{dog}-{sequence}", "split": split}
            rows += [{"path": f"frames/{dog}{sequence}{k}.jpg"} | clip for k in (1, 2)]
    for k, split in enumerate(("train", "train", "val", "test")):
        rows.append({"path": f"frames/breed{k}.jpg", "color": "grey", "coat": "curly", "split": split})
    return rows


def dogs(root: Path, rows: list[Mapping[str, str]] | None = None, columns: Iterable[str] | None = None) -> Path:
    """A dog folder with a picture for each row; `columns` of frames.csv default to all that any row has."""
    rows = dog_rows() if rows is None else rows
    columns = list(columns or dict.fromkeys(name for row in rows for name in row))
    for seed, row in enumerate(rows):
        put(root / row["path"], picture_bytes(seed, size=(24, 24)))
    with (root / "frames.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return root


def coco(path: Path, names: Iterable[str], size: tuple[int, int] = (16, 32)) -> Path:
    """A COCO keypoint file of two joints; the n-th image has them at (n, 1) and (n, 2)."""
    images = [{"id": n, "file_name": name, "width": size[0], "height": size[1]} for n, name in enumerate(names)]
    box = [0, 0, *size]
    content = {
        "images": images,
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "keypoints": [n, 1, 2, n, 2, 1], "bbox": box}
            for n in range(len(images))
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": ["head", "foot"], "skeleton": [[1, 2]]}],
    }
    path.write_text(json.dumps(content))
    return path
