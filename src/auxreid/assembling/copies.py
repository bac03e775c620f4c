"""Copies of a photograph: encoded anew, scaled, or the next frame of a dog that lies still. One of them is kept."""

from collections.abc import Collection, Sequence

import numpy as np

from auxreid.assembling.items import Item
from auxreid.assembling.thresholds import Thresholds

ROWS = 1024  # compared at a time


def copies(
    items: Sequence[Item], features: np.ndarray, known: Collection[str], thresholds: Thresholds
) -> dict[int, int]:
    """For each photograph that is a copy, by its position, the one that is kept.

    Kept is who is in the set already (`known`), then the sharpest, then the largest. A photograph is a copy of a kept
    one alone, never of another copy: a chain of small steps is not swallowed.
    """
    small = np.array([item.look.small for item in items], np.float32)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    order = sorted(range(len(items)), key=lambda place: _rank(items[place], known))
    near: dict[int, list[int]] = {}
    for start in range(0, len(items), ROWS):
        alike = small[start : start + ROWS] @ small.T >= thresholds.copy
        for row, column in zip(*np.nonzero(alike), strict=True):
            if start + row != column:
                near.setdefault(start + int(row), []).append(int(column))
    kept_for: dict[int, int] = {}
    kept: set[int] = set()
    for place in order:
        found = [one for one in near.get(place, ()) if one in kept]
        found = [one for one in found if unit[one] @ unit[place] >= thresholds.copy_features]
        if found and items[place].photo not in known:
            kept_for[place] = max(found, key=lambda one: (float(unit[one] @ unit[place]), -one))
        else:
            kept.add(place)
    return kept_for


def _rank(item: Item, known: Collection[str]) -> tuple:
    return (item.photo not in known, -item.look.sharpness, -item.look.width * item.look.height, item.photo)
