"""Rows of an index of dogs that never were, and a fusion of fixed weights, for tests of what searches them."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from auxreid.search.looks import Looks
from auxreid.search.rows import Header, IndexRows

MODEL = "0" * 64
VOCABULARY = {"size": ["small", "medium", "large"], "ears": ["erect", "drop"]}
PLACES = {"park": (55.75, 37.62), "lake": (55.95, 37.62)}  # 22 km from each other
WIDTH = 8


def dog_rows(dogs: int = 6, photos: int = 2, seed: int = 0) -> IndexRows:
    """Dogs 0, 1, ... each of an embedding and words of its own; of the last one neither date nor place is known.

    Even ones are small, odd ones large, in the park and at the lake, on the 1st, 2nd ... of May.
    """
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(dogs), photos)
    base = rng.normal(size=(dogs, WIDTH))[number] + 0.1 * rng.normal(size=(dogs * photos, WIDTH))
    embedding = (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)
    size = np.where((number % 2)[:, None], [[0.1, 0.1, 0.8]], [[0.8, 0.1, 0.1]]).astype(np.float32)
    ears = np.where((number % 3 == 0)[:, None], [[0.9, 0.1]], [[0.2, 0.8]]).astype(np.float32)
    known = number < dogs - 1
    place = np.where(known, np.where(number % 2, "lake", "park"), "")
    where = np.array([PLACES.get(name, (np.nan, np.nan)) for name in place])
    count = len(number)
    _, thumbnail = cv2.imencode(".jpg", np.full((8, 8, 3), 128, np.uint8))
    return IndexRows(
        header=Header("dogs", 0, MODEL, "some networks", WIDTH, VOCABULARY, {}),
        frame=np.array([f"photo{row:02d}" for row in range(count)]),
        dog=np.array([f"dog{one}" for one in number]),
        split=np.array(["gallery"] * count),
        sequence=np.array([f"walk{row}" for row in range(count)]),
        date=np.where(known, np.char.add("2024-05-0", (number + 1).astype(str)), ""),
        place=place,
        latitude=where[:, 0],
        longitude=where[:, 1],
        looks=Looks(embedding, {"size": size, "ears": ears}),
        thumbnail=[thumbnail.tobytes()] * count,
    )


class PlainFusion:
    """Ten times the cosine less its middle, and the plain log ratio of agreement; thresholds that are round."""

    model = MODEL

    def terms(self, query: Looks | None, gallery: Looks, stated: Mapping) -> dict[str, np.ndarray]:
        found = {"visual": np.zeros(len(gallery))}
        if query is not None:
            found["visual"] = 10.0 * (gallery.embedding @ query.embedding[0] - 0.5)
        for name, words in VOCABULARY.items():
            if name in stated:
                one = stated[name]
                asked = [
                    float((not one.words or word in one.words) and word not in one.excluded) + 0.05 for word in words
                ]
                asked = np.array(asked) / sum(asked)
            elif query is not None:
                asked = query.probabilities[name][0]
            else:
                continue
            found[name] = np.log(len(words) * gallery.probabilities[name] @ asked)
        return found

    def decide(self, score: float, searched: int, photos: int = 1, stated: int = 0) -> str:
        return "match" if score > 4 else "possible" if score > 0 else "no match"

    def to_json(self) -> str:
        return "{}"


class SeenBefore:
    """A looker that knows photographs by their content: b"3" is the third row."""

    model = MODEL

    def __init__(self, rows: IndexRows):
        self.rows = rows

    def look(self, photos, crops=()) -> Looks:
        return self.rows.looks.take([int(photo) for photo in photos])


def results_file(root: Path) -> Path:
    """Where the rows of a study lie."""
    return root / "results/index_rows/dogs/0.parquet"
