"""Videos of the rendered sample's dogs: each photograph seen by a hand that is not steady."""

import csv
from pathlib import Path

import cv2
import numpy as np

SAMPLE = Path("data/sample/dogs")
DOGS = 60
FPS, FRAMES, SCALE = 8, 32, 2


def write_films(folder: Path) -> dict[str, str]:
    """Write a video of each photograph of the first 60 dogs, in random order; returns the dog of each file."""
    with (SAMPLE / "frames.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dog_id"]]
    dogs = set(sorted({row["dog_id"] for row in rows})[:DOGS])
    rows = [row for row in rows if row["dog_id"] in dogs]
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    folder.mkdir(parents=True, exist_ok=True)
    dog_of = {}
    for number, at in enumerate(order):
        name = f"VID_{number:04d}.mp4"
        _write_film(folder / name, cv2.imread(str(SAMPLE / rows[at]["path"])), number)
        dog_of[name] = rows[at]["dog_id"]
    return dog_of


def _write_film(path: Path, picture: np.ndarray, number: int) -> None:
    height, width = picture.shape[:2]
    size = (width * SCALE, height * SCALE)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, size)
    for frame in range(FRAMES):
        nearer = 1 + 0.12 * np.sin(frame / 10 + number)
        moved = cv2.getRotationMatrix2D((width / 2, height / 2), 4 * np.sin(frame / 7 + number), nearer)
        moved[:, 2] += [0.08 * width * np.sin(frame / 9), 0.05 * height * np.cos(frame / 8)]
        seen = cv2.warpAffine(picture, moved, (width, height), borderMode=cv2.BORDER_REFLECT)
        light = 1 + 0.1 * np.sin(frame / 6)
        writer.write(np.clip(cv2.resize(seen, size) * light, 0, 255).astype(np.uint8))
    writer.release()
