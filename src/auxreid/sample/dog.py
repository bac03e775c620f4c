"""One dog on a canvas, from the side or at an angle, and where AP-10K's 17 joints are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from auxreid.sample.canvas import Canvas, Colour, blended, tinted
from auxreid.sample.geometry import Point, Point3, View, cos, ellipse, lerp, sin, tube
from auxreid.sample.world import LEGS, DogLook, between, chance, stripes_colour

JOINTS = [
    "left_eye",
    "right_eye",
    "nose",
    "neck",
    "root_of_tail",
    "left_shoulder",
    "left_elbow",
    "left_front_paw",
    "right_shoulder",
    "right_elbow",
    "right_front_paw",
    "left_hip",
    "left_knee",
    "left_back_paw",
    "right_hip",
    "right_knee",
    "right_back_paw",
]
SKELETON = (  # pairs of 1-based joints: AP-10K's limbs
    *((1, 2), (1, 3), (2, 3), (3, 4), (4, 5), (4, 6), (6, 7), (7, 8), (4, 9)),
    *((9, 10), (10, 11), (5, 12), (12, 13), (13, 14), (5, 15), (15, 16), (16, 17)),
)
HEAD, BODY, TAIL = 1, 2, 3
LEG = {name: number for number, name in enumerate(LEGS, start=4)}

BODY_LENGTH = {"small": 0.36, "medium": 0.47, "large": 0.58}  # metres from chest to rump
LEG_SHARE = {"short": 0.26, "medium": 0.52, "long": 0.78}  # of the body's length, ground to elbow and belly
MUZZLE_SHARE = {"short": -0.02, "medium": 0.1, "long": 0.25}  # of the body's length, beyond the skull
MUZZLE_WIDTH = {"short": 1.3, "medium": 1.0, "long": 0.6}
HEAD_SIZE = 1.8  # times a real dog's: at some 90 pixels, ears and muzzle would be two or three of them
FUR_LENGTH = {"short": 0.0, "medium": 0.05, "long": 0.16, "wire": 0.08, "curly": 0.09}


@dataclass(frozen=True)
class Pose:
    """One moment of standing or walking; angles in degrees."""

    phase: float
    stride: float
    head: float  # of the neck: 0 level, 90 straight up
    turn: float  # of the head to the dog's left
    wag: float


@dataclass
class Figure:
    """A look, seen in a view at a moment, being drawn on a canvas. Lengths are metres."""

    canvas: Canvas
    view: View
    look: DogLook
    pose: Pose
    rng: np.random.Generator

    @property
    def length(self) -> float:
        return BODY_LENGTH[self.look.attributes["size"]] * self.look.scale

    @property
    def leg(self) -> float:
        return LEG_SHARE[self.look.attributes["leg_length"]] * self.length

    @property
    def fur(self) -> float:
        return FUR_LENGTH[self.look.attributes["coat"]] * self.length

    @property
    def back(self) -> float:
        """Height of the middle line of the trunk, negative as y points down."""
        return -self.leg - 0.17 * self.length

    def place(self, x: float, y: float, z: float) -> Point3:
        """A point given in body lengths around the middle of the trunk."""
        return x * self.length, self.back + y * self.length, z * self.length

    def limb(
        self, points: Sequence[Point3], radii: Sequence[float], colour: Colour, part: int, light: float = 1.0
    ) -> tuple[list[Point], list[Point]]:
        """Draw a tube of fur; radii in body lengths."""
        shape = tube(
            [self.view.project(p) for p in points], [self.view.scale * self.length * radius for radius in radii]
        )
        self.canvas.solid(shape, colour, part, light)
        return shape


def draw_dog(
    canvas: Canvas, view: View, look: DogLook, pose: Pose, rng: np.random.Generator
) -> dict[str, tuple[Point, tuple[int, ...]]]:
    """Draw from the far side to the near one; return per joint its pixel and the parts that may show there."""
    figure = Figure(canvas, view, look, pose, rng)
    _ground_shadow(figure)
    legs = {name: _leg(figure, name) for name in LEGS}
    left_is_near = view.depth((1.0, 0.0, 0.0)) > 0
    near = "left" if left_is_near else "right"
    away = view.depth((0.0, 0.0, 1.0)) < -0.25
    head = _head_frame(figure)
    if away:
        _draw_head(figure, head)
    else:
        _draw_tail(figure)
    for name in sorted(LEGS, key=lambda leg: view.depth(legs[leg][0])):
        if not name.startswith(near):
            _draw_leg(figure, name, legs[name], 0.66)
    _draw_trunk(figure, left_is_near)
    for name in sorted(LEGS, key=lambda leg: view.depth(legs[leg][0])):
        if name.startswith(near):
            _draw_leg(figure, name, legs[name], 1.0)
    if away:
        _draw_tail(figure)
    else:
        _draw_head(figure, head)
    return _joints(figure, head, legs, near)


# -------------------------------------------------------------------------------------------------------------- joints


def _leg(figure: Figure, name: str) -> tuple[Point3, Point3, Point3]:
    """Shoulder or hip, elbow or knee, and paw; diagonal legs step together."""
    side, end = name.split("_")
    phase = figure.pose.phase + (180 if name in ("right_front", "left_back") else 0)
    swing, lift = figure.pose.stride * sin(phase), max(0.0, cos(phase)) * 0.12 * figure.leg * (figure.pose.stride / 25)
    x, sign = 0.105 * (1 if side == "left" else -1), 1 if end == "front" else -1
    top = figure.place(x, 0.0, 0.34 if end == "front" else -0.36)
    joint = figure.place(x, 0.19, 0.29 if end == "front" else -0.27)
    reach = -joint[1]
    paw = (joint[0], -0.02 * figure.length - lift, joint[2] + reach * sin(swing) + 0.03 * sign * figure.length)
    return top, joint, paw


@dataclass(frozen=True)
class HeadFrame:
    """Where the skull is, and how its own directions lie in body coordinates."""

    skull: Point3
    forward: Point3
    left: Point3
    up: Point3
    length: float  # of a body that it would be in proportion with

    def at(self, left: float, up: float, forward: float) -> Point3:
        """A point in body lengths from the middle of the skull."""
        x, y, z = (
            self.length * (left * a + up * b + forward * c)
            for a, b, c in zip(self.left, self.up, self.forward, strict=True)
        )
        return self.skull[0] + x, self.skull[1] + y, self.skull[2] + z


def _head_frame(figure: Figure) -> HeadFrame:
    neck, reach = figure.place(0.0, -0.1, 0.38), 0.29 * figure.length
    raised, turn = figure.pose.head, figure.pose.turn
    skull = (neck[0], neck[1] - reach * sin(raised), neck[2] + reach * cos(raised))
    nod = -14.0
    forward = (sin(turn) * cos(nod), -sin(nod), cos(turn) * cos(nod))
    up = (sin(turn) * sin(nod), -cos(nod), cos(turn) * sin(nod))
    return HeadFrame(skull, forward, (cos(turn), 0.0, -sin(turn)), up, HEAD_SIZE * figure.length)


def _joints(
    figure: Figure, head: HeadFrame, legs: dict[str, tuple[Point3, ...]], near: str
) -> dict[str, tuple[Point, tuple[int, ...]]]:
    view = figure.view
    found: dict[str, tuple[Point3, tuple[int, ...]]] = {}
    for side, sign in (("left", 1), ("right", -1)):
        found[f"{side}_eye"] = _eye(head, sign), (HEAD,) if _eye_seen(figure, head, sign) else ()
        for end, names in (("front", "shoulder elbow front_paw"), ("back", "hip knee back_paw")):
            for name, joint in zip(names.split(), legs[f"{side}_{end}"], strict=True):
                own = LEG[f"{side}_{end}"]
                found[f"{side}_{name}"] = joint, (own, BODY) if name in ("shoulder", "hip") and side == near else (own,)
    found["nose"] = head.at(0.0, -0.035, _nose_reach(figure)), (HEAD,) if view.depth(head.forward) > -0.7 else ()
    found["neck"] = figure.place(0.0, -0.16, 0.34), (BODY, HEAD)
    found["root_of_tail"] = figure.place(0.0, -0.12, -0.44), (BODY, TAIL)
    return {name: (view.project(found[name][0]), found[name][1]) for name in JOINTS}


def _eye(head: HeadFrame, sign: int) -> Point3:
    return head.at(sign * 0.062, 0.03, 0.095)


def _eye_seen(figure: Figure, head: HeadFrame, sign: int) -> bool:
    outward = tuple(0.75 * sign * a + 0.65 * b for a, b in zip(head.left, head.forward, strict=True))
    return figure.view.depth(outward) > 0.05


def _nose_reach(figure: Figure) -> float:
    return 0.125 + MUZZLE_SHARE[figure.look.attributes["muzzle"]]


# --------------------------------------------------------------------------------------------------------------- parts


def _ground_shadow(figure: Figure) -> None:
    for share, brightness in ((1.0, 195), (0.75, 160), (0.5, 125)):
        spots = [figure.view.project((0.0, 0.0, z * figure.length)) for z in (-0.35, 0.35)]
        radius = 0.2 * share * figure.length * figure.view.scale
        outline, spine = tube(spots, [radius, radius])
        flat = [(x, cy + 0.35 * (y - cy)) for (x, y), (_, cy) in zip(outline, spine, strict=True)]
        figure.canvas.shadow(flat, brightness)


def _points_colour(figure: Figure) -> Colour:
    """The colour of legs and muzzle."""
    look = figure.look
    if look.attributes["color"] in ("black_and_tan", "red_golden"):
        return look.second
    if look.attributes["color"] == "brindle_fawn":
        return blended(look.main, look.second, 0.35)
    return look.main


def _draw_leg(figure: Figure, name: str, joints: tuple[Point3, Point3, Point3], light: float) -> None:
    look, part, front = figure.look, LEG[name], name.endswith("front")
    top, joint, paw = joints
    colour = _points_colour(figure)
    thick = 1.0 + 1.8 * figure.fur / figure.length
    toe = (paw[0], paw[1] + 0.004, paw[2] + 0.045 * figure.length)
    upper = [0.095 * thick, 0.062 * thick] if front else [0.125 * thick, 0.075 * thick]
    hock = lerp(joint, paw, 0.62)
    hock = (hock[0], hock[1], hock[2] - (0.0 if front else 0.08 * figure.length))
    shank = figure.limb([joint, hock, paw], [upper[1] * 0.96, 0.042 * thick, 0.034 * thick], colour, part, light)
    _ruffle(figure, shank, colour, part, light, hanging=0.5)
    figure.limb([paw, toe], [0.042, 0.034], colour, part, light)
    if look.markings.socks[LEGS.index(name)]:
        sock = [lerp(hock, paw, 0.2), paw]
        figure.limb(sock, [0.043 * thick, 0.039 * thick], look.mark, part, light)
        figure.limb([paw, toe], [0.044, 0.036], look.mark, part, light)
    thigh = figure.limb([top, joint], upper, look.main, part, light)
    _ruffle(figure, thigh, look.main, part, light, hanging=0.3)


def _trunk_line(figure: Figure) -> tuple[list[Point3], list[float]]:
    slim = 0.9 if figure.look.attributes["leg_length"] == "long" else 1.0
    zs, radii = (-0.37, -0.2, 0.04, 0.24, 0.36), (0.165, 0.16, 0.185, 0.2, 0.165)
    lift = (0.0, -0.02, 0.015, 0.025, 0.0)
    return [figure.place(0.0, up, z) for z, up in zip(zs, lift, strict=True)], [slim * radius for radius in radii]


def _draw_trunk(figure: Figure, left_is_near: bool) -> None:
    look, canvas = figure.look, figure.canvas
    line, radii = _trunk_line(figure)
    shape = figure.limb(line, [radius + 0.3 * figure.fur / figure.length for radius in radii], look.main, BODY)
    if look.attributes["color"] == "multicolor" and look.markings.saddle:
        _paint_on_trunk(figure, 0.4, 0.65, 1.5, look.second)
    elif look.markings.saddle:
        saddle = tinted(look.main, 0.5) if sum(look.main) > 240 else look.mark
        _paint_on_trunk(figure, 0.45, 0.7, 1.25, saddle)
    if look.attributes["color"] == "brindle_fawn":
        _draw_stripes(figure)
    for spot in look.markings.spots:
        if spot.left == left_is_near:
            _paint_on_trunk(figure, spot.along, spot.around, spot.size, _spot_colour(look, spot.dark))
    if look.markings.chest:
        middle = figure.view.project(figure.place(0.0, 0.06, 0.47))
        radius = 0.1 * figure.length * figure.view.scale
        canvas.paint(_ragged(figure, middle, radius, 1.25 * radius), look.mark)
    _texture(figure, shape)
    _ruffle(figure, shape, look.main, BODY, 1.0, hanging=1.0)


def _spot_colour(look: DogLook, dark: bool) -> Colour:
    if look.attributes["color"] == "multicolor":
        return look.second if dark else (58, 50, 48)
    if look.attributes["color"] == "white":
        return look.second
    return tinted(look.main, 0.62 if dark else 1.3)


def _paint_on_trunk(figure: Figure, along: float, around: float, size: float, colour: Colour) -> None:
    """A ragged patch on the visible flank, cut off where the body ends."""
    line, radii = _trunk_line(figure)
    x, y, z = lerp(line[0], line[-1], along)
    radius = 0.18 * figure.length
    sideways = (1 if figure.view.depth((1.0, 0.0, 0.0)) > 0 else -1) * 0.8 * radius
    centre = figure.view.project((x + sideways, y - around * 0.75 * radius, z))
    pixels = size * 0.62 * radius * figure.view.scale
    outline, _ = tube([figure.view.project(p) for p in line], [r * figure.length * figure.view.scale for r in radii])
    figure.canvas.paint_within(_ragged(figure, centre, 1.2 * pixels, pixels), outline, colour)


def _ragged(figure: Figure, centre: Point, rx: float, ry: float) -> list[Point]:
    """An ellipse with an edge like fur; the raggedness belongs to the picture, not to the dog."""
    outline, _ = ellipse(centre, (rx, ry))
    jagged = []
    for x, y in outline:
        grow = between(figure.rng, 0.88, 1.12)
        jagged.append((centre[0] + grow * (x - centre[0]), centre[1] + grow * (y - centre[1])))
    return jagged


def _draw_stripes(figure: Figure) -> None:
    """A brindle's dark stripes run down from the back."""
    line, _ = _trunk_line(figure)
    colour, step = stripes_colour(figure.look), 11
    for i in range(step):
        t = (i + 0.5) / step
        x, y, z = lerp(line[0], line[-1], t)
        radius = 0.15 * figure.length
        stripe = [
            figure.view.project((x, y + d * radius, z + 0.02 * figure.length * (i % 3 - 1))) for d in (-0.95, -0.2, 0.5)
        ]
        figure.canvas.stroke(stripe, colour, max(3, int(0.022 * figure.length * figure.view.scale)))


def _draw_tail(figure: Figure) -> None:
    look, pose = figure.look, figure.pose
    root = figure.place(0.0, -0.1, -0.43)
    angle, length = look.tail_up, 0.4 * figure.length
    middle = (root[0], root[1] - 0.5 * length * sin(angle), root[2] - 0.5 * length * cos(angle))
    end_angle = angle + 45
    end = (
        middle[0] + 0.5 * length * sin(pose.wag),
        middle[1] - 0.5 * length * sin(end_angle),
        middle[2] - 0.5 * length * cos(end_angle),
    )
    thick = 1.0 + 5.0 * figure.fur / figure.length
    tail = figure.limb([root, middle, end], [0.045 * thick, 0.04 * thick, 0.022 * thick], look.main, TAIL, 0.9)
    _ruffle(figure, tail, look.main, TAIL, 0.9, hanging=0.8)
    if look.markings.tail_tip:
        figure.limb([lerp(middle, end, 0.5), end], [0.034 * thick, 0.024 * thick], look.mark, TAIL, 0.95)


# ---------------------------------------------------------------------------------------------------------------- head


def _draw_head(figure: Figure, head: HeadFrame) -> None:
    look = figure.look
    neck = [figure.place(0.0, -0.04, 0.33), lerp(figure.place(0.0, -0.04, 0.36), head.skull, 0.85)]
    thick = 1.0 + 2.0 * figure.fur / figure.length
    throat = figure.limb(neck, [0.15 * thick, 0.1 * thick], look.main, BODY)
    _texture(figure, throat)
    _ruffle(figure, throat, look.main, BODY, 1.0, hanging=0.6)
    if look.markings.collar:
        _draw_collar(figure, neck, thick)
    far_first = sorted((1, -1), key=lambda sign: figure.view.depth(tuple(sign * a for a in head.left)))
    _draw_ear(figure, head, far_first[0], 0.72)
    skull = figure.limb([head.at(0, 0, -0.02), head.at(0, 0, 0.02)], _head_radii(0.118, 0.112), look.main, HEAD)
    _ruffle(figure, skull, look.main, HEAD, 1.0, hanging=0.25)
    _draw_face(figure, head)
    _draw_ear(figure, head, far_first[1], 1.0)


def _head_radii(*radii: float) -> list[float]:
    """Of a tube of the head: as of a body in proportion with it."""
    return [HEAD_SIZE * radius for radius in radii]


def _draw_collar(figure: Figure, neck: list[Point3], thick: float) -> None:
    a, b = (figure.view.project(lerp(neck[0], neck[1], t)) for t in (0.42, 0.62))
    outline, _ = tube([a, b], [figure.view.scale * figure.length * r * thick for r in (0.127, 0.12)])
    left, right = outline[0], outline[6]  # the ends of the first cap: the collar's lower edge
    up = (a[0] - b[0], a[1] - b[1])
    band = [
        left,
        right,
        (right[0] + 0.9 * up[0], right[1] + 0.9 * up[1]),
        (left[0] + 0.9 * up[0], left[1] + 0.9 * up[1]),
    ]
    figure.canvas.paint(band, figure.look.markings.collar)
    x, y = lerp(left, right, 0.5)
    figure.canvas.paint(ellipse((x, y + 4), (5, 6))[0], (236, 214, 120))


def _draw_face(figure: Figure, head: HeadFrame) -> None:
    look, canvas, view = figure.look, figure.canvas, figure.view
    marks, reach = look.markings, _nose_reach(figure)
    points = _points_colour(figure)
    mask = tinted(points, 0.6) if sum(points) > 200 else tinted(points, 2.0)  # or it could not be told from the skull
    muzzle_colour = look.mark if marks.blaze and look.attributes["color"] not in ("white", "multicolor") else mask
    unit = head.length * view.scale
    for side, sign in (("left", 1), ("right", -1)):
        if marks.eye_patch in (side, "both") and _eye_seen(figure, head, sign):
            x, y = view.project(head.at(sign * 0.055, 0.03, 0.06))
            canvas.paint(_ragged(figure, (x, y), 0.065 * unit, 0.065 * unit), _patch_colour(look))
    if marks.blaze:
        line = [view.project(head.at(0, up, forward)) for up, forward in ((0.1, 0.02), (0.06, 0.1), (0.0, 0.14))]
        canvas.stroke(line, look.mark, max(3, int(marks.blaze * 0.16 * unit)))
    width = MUZZLE_WIDTH[look.attributes["muzzle"]]
    muzzle = [head.at(0, -0.035, 0.06), head.at(0, -0.05, reach - 0.015)]
    shape = figure.limb(muzzle, _head_radii(0.082, 0.056 * width), muzzle_colour, HEAD)
    if look.attributes["coat"] in ("wire", "long", "curly"):  # a beard
        _ruffle(figure, shape, muzzle_colour, HEAD, 1.0, hanging=0.6)
    jaw = [view.project(head.at(0, -0.075, f)) for f in (0.08, reach - 0.02)]
    canvas.crease(jaw, 120, 3)
    canvas.paint(ellipse(view.project(head.at(0, -0.025, reach + 0.02)), (0.032 * unit, 0.026 * unit))[0], (26, 22, 24))
    for sign in (1, -1):
        if _eye_seen(figure, head, sign):
            x, y = view.project(_eye(head, sign))
            if sum(look.main) < 200:
                canvas.paint(ellipse((x, y), (0.026 * unit, 0.022 * unit))[0], (120, 84, 48))
            canvas.paint(ellipse((x, y), (0.018 * unit, 0.018 * unit))[0], (24, 18, 16))
            canvas.shadow(ellipse((x, y), (0.02 * unit, 0.02 * unit))[0], 255)
            if look.attributes["color"] == "black_and_tan":
                canvas.paint(ellipse((x, y - 0.05 * unit), (0.02 * unit, 0.014 * unit))[0], look.second)


def _patch_colour(look: DogLook) -> Colour:
    """A patch is dark on a light dog and light on a dark one."""
    if look.attributes["color"] in ("white", "multicolor"):
        return look.second
    return tinted(look.main, 0.45) if sum(look.main) > 300 else tinted(look.main, 2.2)


def _draw_ear(figure: Figure, head: HeadFrame, sign: int, light: float) -> None:
    look = figure.look
    side = "left" if sign > 0 else "right"
    patched = look.markings.ear_patch in (side, "both")
    colour = _patch_colour(look) if patched else tinted(look.main, 0.86)
    base_front, base_back = head.at(sign * 0.07, 0.075, 0.045), head.at(sign * 0.085, 0.06, -0.065)
    if look.attributes["ears"] == "drop":
        tip = head.at(sign * 0.13, -0.22, 0.0)
        ear = figure.limb(
            [head.at(sign * 0.085, 0.06, -0.01), tip], _head_radii(0.048, 0.08), colour, HEAD, 0.85 * light
        )
        _ruffle(figure, ear, colour, HEAD, light, hanging=0.6)
        return
    tip = head.at(sign * 0.11, 0.32, -0.02)
    corners = [figure.view.project(p) for p in (base_front, tip, base_back)]
    middle = lerp(corners[0], corners[2], 0.5)
    if look.attributes["ears"] == "erect":
        figure.canvas.solid((corners, [lerp(middle, corners[1], 0.35)] * 3), colour, HEAD, 0.9 * light)
        if figure.view.depth(tuple(0.6 * sign * a + 0.8 * b for a, b in zip(head.left, head.forward, strict=True))) > 0:
            inner = [lerp(p, lerp(middle, corners[1], 0.3), 0.42) for p in corners]
            figure.canvas.paint(inner, blended(colour, (206, 150, 140), 0.55))
        return
    half = [corners[0], lerp(corners[0], corners[1], 0.5), lerp(corners[2], corners[1], 0.5), corners[2]]
    figure.canvas.solid((half, [middle] * 4), colour, HEAD, 0.85 * light)
    folded = figure.view.project(head.at(sign * 0.12, 0.045, 0.1))
    flap = [half[1], half[2], folded]
    figure.canvas.solid((flap, [lerp(half[1], folded, 0.4)] * 3), tinted(colour, 0.8), HEAD, light)


# ---------------------------------------------------------------------------------------------------------------- coat


def _ruffle(
    figure: Figure, shape: tuple[list[Point], list[Point]], colour: Colour, part: int, light: float, hanging: float
) -> None:
    """The edge of the coat along an outline: fringes, bristles or curls, by the kind of coat.

    `hanging` scales the fringe where the outline looks down; around a short coat there is nothing to draw.
    """
    coat, rng, canvas = figure.look.attributes["coat"], figure.rng, figure.canvas
    reach = figure.fur * figure.view.scale
    if reach == 0:
        return
    for (x, y), (ox, oy) in _edge(shape, (0.2 if coat == "wire" else 0.55) * reach + 4):
        hue = tinted(colour, between(rng, 0.84, 1.14))
        if coat == "curly":
            radius = between(rng, 0.55, 0.95) * reach
            canvas.solid(ellipse((x, y), (radius, radius)), hue, part, between(rng, 0.78, 1.0) * light, flat=True)
            canvas.crease([(x + 0.5 * radius, y), (x + 0.2 * radius, y + 0.6 * radius)], int(165 * light))
        elif coat == "wire":
            way = ox + between(rng, -0.7, 0.7), oy + between(rng, -0.7, 0.7)
            _tuft(canvas, (x, y), way, reach, 0.35, hue, part, light)
        else:
            way = 0.35 * ox + between(rng, -0.15, 0.15), 0.2 * oy + 0.8
            _tuft(canvas, (x, y), way, 1.5 * reach * (max(0.0, oy) * hanging + 0.22), 0.5, hue, part, light)


def _edge(shape: tuple[list[Point], list[Point]], apart: float) -> Iterator[tuple[Point, Point]]:
    """Points along an outline, some `apart` pixels from each other, each with the direction outwards."""
    outline, spine = shape
    for i, a in enumerate(outline):
        b, (cx, cy) = outline[(i + 1) % len(outline)], spine[i]
        steps = max(1, int((abs(b[0] - a[0]) + abs(b[1] - a[1])) / apart))
        for k in range(steps):
            x, y = lerp(a, b, k / steps)
            norm = abs(x - cx) + abs(y - cy) + 1e-6
            yield (x, y), ((x - cx) / norm, (y - cy) / norm)


def _tuft(
    canvas: Canvas, root: Point, way: Point, length: float, width: float, colour: Colour, part: int, light: float
) -> None:
    """A pointed lock of hair."""
    (x, y), (dx, dy) = root, way
    half = max(2.0, width * length * 0.5)
    points = [(x - half, y - 0.3 * length), (x + half, y - 0.3 * length), (x + dx * length, y + dy * length)]
    canvas.solid((points, points), colour, part, 0.9 * light, flat=True)


def _texture(figure: Figure, shape: tuple[list[Point], list[Point]]) -> None:
    """Hair inside an outline: smooth, in locks, bristly or in rings."""
    coat, rng, canvas = figure.look.attributes["coat"], figure.rng, figure.canvas
    if coat == "short":
        return
    outline, spine = shape
    unit = figure.length * figure.view.scale
    for _ in range({"medium": 26, "long": 55, "wire": 90, "curly": 60}[coat]):
        i = int(rng.integers(len(outline)))
        x, y = lerp(spine[i], outline[i], between(rng, 0.0, 0.95))
        x += between(rng, -0.06, 0.06) * unit
        if not canvas.shows((x, y), (BODY,)):
            continue
        brightness = 150 if chance(rng, 0.6) else 255
        if coat == "curly":
            ring, _ = ellipse((x, y), (0.03 * unit, 0.026 * unit))
            canvas.crease(ring, brightness, 3)
        elif coat == "wire":
            canvas.crease(
                [(x, y), (x + between(rng, -0.035, 0.035) * unit, y + between(rng, -0.035, 0.035) * unit)],
                brightness,
                2,
            )
        else:
            length = 0.1 if coat == "long" else 0.05
            canvas.crease([(x, y), (x - 0.3 * length * unit, y + length * unit)], brightness, 3)
