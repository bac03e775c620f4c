"""Keypoints in the body's own frame (THESIS section 6, keypoints for animals, whose size and shape vary more).

Where a body stands in its image, how large it is and how it leans then say nothing: a joint is told by its place along
and across the trunk, in trunk lengths.
"""

from collections.abc import Sequence

import numpy as np

from auxreid.plumbing.base.errors import DataError

FRONT, REAR = ("neck", "withers", "shoulder"), ("tail", "hip")  # the trunk's ends; of names with several, the first
LEAST_TRUNK = 0.1  # of the diagonal of the joints' box: a trunk seen from its end is a point, and no measure of size


def trunk_ends(joints: Sequence[str]) -> tuple[list[int], list[int]]:
    """The joints whose mean is the trunk's front end, and those of its rear end.

    Raises:
        DataError: no joint is named after either.
    """
    found = [_first_named(joints, words) for words in (FRONT, REAR)]
    if not all(found):
        wanted = " and one of ".join(", ".join(words) for words in (FRONT, REAR))
        raise DataError(f"joints {', '.join(joints)}: no trunk to measure by; one of {wanted} must be in the names")
    return found[0], found[1]


def _first_named(joints: Sequence[str], words: Sequence[str]) -> list[int]:
    for word in words:
        if named := [number for number, name in enumerate(joints) if word in name.lower()]:
            return named
    return []


def body_coordinates(points: np.ndarray, joints: Sequence[str]) -> np.ndarray:
    """Points [n, J, 2], pixels with y downwards, in the frame of each body's trunk; float64 [n, J, 2].

    The origin is the trunk's middle, the unit its length from the rear end to the front end, and the first axis points
    to the front. A trunk that lies rather than stands and points to the left is mirrored before it is turned, so that
    an animal's legs are on one side of it whichever way it walks.

    Raises:
        DataError: as :func:`trunk_ends`.
    """
    front, rear = trunk_ends(joints)
    points = points.astype(np.float64)
    facing = points[:, front].mean(axis=1) - points[:, rear].mean(axis=1)  # [n, 2]
    to_the_left = (facing[:, 0] < 0) & (abs(facing[:, 0]) > abs(facing[:, 1]))
    points[to_the_left, :, 0] *= -1
    start, end = points[:, rear].mean(axis=1), points[:, front].mean(axis=1)
    along = end - start
    length = np.linalg.norm(along, axis=1)  # [n]
    cos, sin = np.where(length > 0, along.T / np.where(length > 0, length, 1.0), [[1.0], [0.0]])
    x, y = np.moveaxis(points - (start + end)[:, None] / 2, 2, 0)  # [n, J] each
    turned = np.stack([x * cos[:, None] + y * sin[:, None], y * cos[:, None] - x * sin[:, None]], axis=2)
    diagonal = np.linalg.norm(points.max(axis=1) - points.min(axis=1), axis=1)
    unit = np.maximum(length, LEAST_TRUNK * diagonal)
    return turned / np.where(unit > 0, unit, 1.0)[:, None, None]
