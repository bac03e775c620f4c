"""What the user asserts of place, date and kind, applied to the facts of a base. What lacks a fact stays."""

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.base import facts as columns
from auxreid.lostpets.base.row import KINDS
from auxreid.lostpets.distance import EARTH_KM
from auxreid.lostpets.query import Facts, Near


class Asserted(Protocol):
    """What filters read of a base's facts."""

    alive: np.ndarray
    date: np.ndarray
    sphere: np.ndarray
    kind: np.ndarray


def left_by(asked: Facts, known: Asserted) -> tuple[np.ndarray, list[Filter]]:
    """Which rows are left [n, bool], and what each filter did, in the order in which they were applied."""
    left, told = known.alive, []
    before = int(np.count_nonzero(left))
    for name, passes, lacks in _filters(asked, known):
        left = left & (passes if lacks is None else passes | lacks)
        after = int(np.count_nonzero(left))
        lacking = 0 if lacks is None else int(np.count_nonzero(left & lacks))
        told.append(Filter(name=name, before=before, after=after, lacking=lacking))
        before = after
    return left, told


def _filters(asked: Facts, known: Asserted) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Of each filter the name, the rows that pass, and those that lack the fact; None: none can."""
    if asked.near is not None:
        yield "near", within(asked.near, known.sphere), np.isnan(known.sphere[0])
    for name, day in (("since", asked.since), ("until", asked.until)):
        if day is not None:
            number = (day - columns.EPOCH).days
            passes = known.date >= number if name == "since" else known.date <= number
            yield name, passes, known.date == columns.NO_DATE
    if asked.kinds:
        chosen = [KINDS.index(kind) for kind in asked.kinds]
        yield "kind", np.isin(known.kind, chosen), None


def within(near: Near, sphere: np.ndarray) -> np.ndarray:
    """Which points of the unit sphere lie in a circle, by the chord: exact to a metre, without a sine per row."""
    arc = near.km / EARTH_KM
    if arc >= math.pi:
        return ~np.isnan(sphere[0])
    centre = columns.on_sphere(near.latitude, near.longitude)
    squared = np.zeros(sphere.shape[1])
    for axis in range(3):
        away = sphere[axis] - centre[axis]
        squared += away * away
    return squared <= (2 * math.sin(arc / 2)) ** 2
