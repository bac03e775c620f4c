"""Points of a body in three dimensions, and the outlines they have in a picture.

Everything drawn ends in rounded pixel positions, and sine and cosine are rounded to nine digits: the last bit of a
libm's result differs between CPUs, a sample that is compared by its bytes must not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Point3 = tuple[float, float, float]


def sin(angle: float) -> float:
    """Sine of an angle in degrees, equal on every machine."""
    return round(math.sin(angle * math.pi / 180), 9)


def cos(angle: float) -> float:
    """Cosine of an angle in degrees, equal on every machine."""
    return round(math.cos(angle * math.pi / 180), 9)


CAP = [(cos(a), sin(a)) for a in (0, 30, 60, 90, 120, 150, 180)]
CIRCLE = [(cos(a), sin(a)) for a in range(0, 360, 20)]


@dataclass(frozen=True)
class View:
    """Where the camera stands: a parallel projection of body coordinates into pixels of the canvas.

    Body coordinates: x to the body's own left, y down with 0 on the ground, z forward. At yaw 0 the body faces the
    camera, at 90 it faces the right edge of the picture, at 180 it turns its back.
    """

    yaw: float  # degrees
    pitch: float  # degrees the camera looks down
    scale: float  # pixels per unit of length
    origin: Point  # pixel of the point on the ground below the body's middle

    def depth(self, point: Point3) -> float:
        """How far towards the camera a point is."""
        x, _, z = point
        return z * cos(self.yaw) - x * sin(self.yaw)

    def project(self, point: Point3) -> Point:
        x, y, z = point
        across = x * cos(self.yaw) + z * sin(self.yaw)
        down = y * cos(self.pitch) + self.depth(point) * sin(self.pitch)
        return self.origin[0] + self.scale * across, self.origin[1] + self.scale * down


def lerp(a: Sequence[float], b: Sequence[float], t: float) -> tuple[float, ...]:
    """The point at share t of the way from a to b."""
    return tuple(p + t * (q - p) for p, q in zip(a, b, strict=True))


def tube(points: Sequence[Point], radii: Sequence[float]) -> tuple[list[Point], list[Point]]:
    """The outline of a bent limb with round ends, and for each of its vertices the nearest point of the middle line."""
    directions = [_direction(points[max(i - 1, 0)], points[min(i + 1, len(points) - 1)]) for i in range(len(points))]
    outline: list[Point] = []
    spine: list[Point] = []

    def add(centre: Point, radius: float, across: Point) -> None:
        outline.append((centre[0] + radius * across[0], centre[1] + radius * across[1]))
        spine.append(centre)

    for end in (-1, 0):
        (dx, dy), centre, radius = directions[end], points[end], radii[end]
        if end == 0:
            dx, dy = -dx, -dy
        for c, s in CAP:  # half a circle from one side of the limb over its end to the other
            add(centre, radius, (-dy * c + dx * s, dx * c + dy * s))
        inner = range(len(points) - 2, 0, -1) if end == -1 else range(1, len(points) - 1)
        for i in inner:
            (ex, ey), side = directions[i], 1 if end == -1 else -1
            add(points[i], radii[i], (side * ey, -side * ex))
    return outline, spine


def ellipse(centre: Point, radii: Point, degrees: float = 0.0) -> tuple[list[Point], list[Point]]:
    """The outline of a turned ellipse, and its centre once per vertex."""
    c, s = cos(degrees), sin(degrees)
    outline = []
    for u, v in CIRCLE:
        x, y = u * radii[0], v * radii[1]
        outline.append((centre[0] + x * c - y * s, centre[1] + x * s + y * c))
    return outline, [centre] * len(outline)


def _direction(a: Point, b: Point) -> Point:
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.sqrt(dx * dx + dy * dy)
    return (dx / length, dy / length) if length > 1e-6 else (0.0, 1.0)


@dataclass(frozen=True)
class Ring:
    """A level cut through an upright body: an ellipse of half-widths rx (left-right) and rz (front-back)."""

    y: float
    rx: float
    rz: float
    z: float = 0.0


class Trunk:
    """An upright body part of stacked rings (a torso, a skirt), on whose surface patterns can be laid."""

    def __init__(self, rings: Sequence[Ring], view: View) -> None:
        self.rings = list(rings)
        self.view = view

    def outline(self) -> tuple[list[Point], list[Point]]:
        """Silhouette and, per vertex, the point of the middle line beside it."""
        centres = [self.view.project((0.0, ring.y, ring.z)) for ring in self.rings]
        widths = [self._half_width(ring) for ring in self.rings]
        left = [(x - w, y) for (x, y), w in zip(centres, widths, strict=True)]
        right = [(x + w, y) for (x, y), w in zip(centres, widths, strict=True)]
        return left + right[::-1], centres + centres[::-1]

    def patch(self, low: float, high: float, start: float, stop: float) -> list[Point] | None:
        """The visible part of a surface patch, or None where it faces away.

        `low` and `high` are shares of the height from the top; `start` and `stop` are degrees around the body, 0 the
        front and 90 its own left.
        """
        middle = (start + stop) / 2 + self.view.yaw
        shift = -360 * round(middle / 360)
        first = max(start + self.view.yaw + shift, -90.0)
        last = min(stop + self.view.yaw + shift, 90.0)
        if last - first < 4:
            return None
        angles = [lerp((first,), (last,), i / 6)[0] - self.view.yaw for i in range(7)]
        upper = [self.surface(low, angle) for angle in angles]
        lower = [self.surface(high, angle) for angle in angles]
        return upper + lower[::-1]

    def surface(self, height: float, angle: float) -> Point:
        """The pixel of a point on the surface, at a share of the height and degrees around the body."""
        place = height * (len(self.rings) - 1)
        index = min(int(place), len(self.rings) - 2)
        a, b = self.rings[index], self.rings[index + 1]
        y, rx, rz, z = lerp((a.y, a.rx, a.rz, a.z), (b.y, b.rx, b.rz, b.z), place - index)
        x_pixel, _ = self.view.project((rx * sin(angle), y, z + rz * cos(angle)))
        return x_pixel, self.view.project((0.0, y, z))[1]

    def _half_width(self, ring: Ring) -> float:
        a, b = ring.rx * cos(self.view.yaw), ring.rz * sin(self.view.yaw)
        return self.view.scale * math.sqrt(a * a + b * b)
