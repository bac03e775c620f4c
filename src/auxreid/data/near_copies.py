"""Copies of an image that are not equal in bytes: encoded anew, scaled. They are found by the images' fingerprints."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

# Correlation of fingerprints (see decoding.py). Copies at JPEG qualities from 30, scaled by .5 to 2 or brightened by a
# tenth, had at least .994. Of different pictures, train against test, the closest two had .969 among rendered dogs,
# .958 in 16 million pairs of Market-1501, .946 in a million of CUHK01 and .907 among photographs of dogs. With 64 bits
# (signs of differences, or of a cosine transform) the ranges overlap: copies differed in up to 9, some others in 4.
LEAST = 0.99
ROWS = 1024  # compared at a time


def near_copies(fingerprints: np.ndarray, parts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of images in different parts that look the same, some of them twice.

    For each image that has copies in another part there is the closest one, so that many equal images give few pairs.

    All pairs of 25,000 and 25,000 images take 2.5 s of a CPU core.

    Args:
        fingerprints: float32 [n, 64].
        parts: object [n], train, val or test; images with an empty one are not compared.
    """
    for one, other in combinations(("train", "val", "test"), 2):
        left, right = np.flatnonzero(parts == one), np.flatnonzero(parts == other)
        for start in range(0, len(left) if len(right) else 0, ROWS):
            rows = left[start : start + ROWS]
            alike = fingerprints[rows] @ fingerprints[right].T
            closest = (np.arange(len(rows)), alike.argmax(axis=1)), (alike.argmax(axis=0), np.arange(len(right)))
            for i, j in closest:
                found = alike[i, j] >= LEAST
                yield from zip(rows[i[found]].tolist(), right[j[found]].tolist(), strict=True)
