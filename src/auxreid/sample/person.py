"""One walking person on a canvas, from any side, and where the 17 COCO joints are."""

from dataclasses import dataclass

import numpy as np

from auxreid.sample.canvas import Canvas, Colour, blended, tinted
from auxreid.sample.geometry import Point, Point3, Ring, Trunk, View, cos, ellipse, lerp, sin, tube
from auxreid.sample.world import PersonLook, between

JOINTS = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
]
SKELETON = (  # pairs of 1-based joints, as COCO gives them
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
    *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)
HEAD, TRUNK, PACK, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = range(1, 8)
ARM = {"left": LEFT_ARM, "right": RIGHT_ARM}
LEG = {"left": LEFT_LEG, "right": RIGHT_LEG}
SIDE = {"left": 1, "right": -1}

# Heights above the ground as shares of the body height, lengths likewise.
SHOULDER, HIP, WAIST, CROTCH = 0.815, 0.515, 0.60, 0.47
UPPER_ARM, FOREARM, THIGH, SHANK = 0.165, 0.145, 0.235, 0.235
HEAD_MIDDLE, HEAD_RADIUS = 0.925, 0.066


@dataclass(frozen=True)
class Gait:
    """One moment of a walk: degrees of the limbs' swing."""

    phase: float
    stride: float
    arm_swing: float


@dataclass
class Figure:
    """A look, seen in a view at a moment, being drawn on a canvas."""

    canvas: Canvas
    view: View
    look: PersonLook
    gait: Gait

    @property
    def facing(self) -> float:
        """1 towards the camera, -1 away from it."""
        return cos(self.view.yaw)

    def pixels(self, length: float) -> float:
        return self.view.scale * length

    def limb(self, points: list[Point3], radii: list[float], colour: Colour, part: int, light: float = 1.0) -> None:
        widths = [self.pixels(radius) * self.look.build for radius in radii]
        self.canvas.solid(tube([self.view.project(p) for p in points], widths), colour, part, light)


def draw_person(
    canvas: Canvas, view: View, look: PersonLook, gait: Gait, rng: np.random.Generator
) -> dict[str, tuple[Point, tuple[int, ...]]]:
    """Draw from the far side to the near one; return per joint its pixel and the parts that may show there."""
    figure = Figure(canvas, view, look, gait)
    legs = {side: _leg(figure, side) for side in SIDE}
    arms = {side: _arm(figure, side) for side in SIDE}
    far, near = sorted(SIDE, key=lambda side: view.depth((SIDE[side], 0.0, 0.0)))
    _ground_shadow(figure)
    for side in sorted(SIDE, key=lambda side: view.depth(legs[side][1]) + view.depth(legs[side][2])):
        _draw_leg(figure, side, legs[side], dimmed=side == far and abs(figure.facing) < 0.8)
    behind = [side for side in (far, near) if view.depth(arms[side][0]) + view.depth(arms[side][2]) < -0.04]
    if figure.facing >= 0.25:
        _draw_pack(figure)
        _draw_long_hair(figure)
    for side in behind:
        _draw_arm(figure, side, arms[side], dimmed=True)
    _draw_trunk(figure, rng)
    _draw_neck_and_head(figure)
    if figure.facing < 0.25:
        _draw_long_hair(figure)
        _draw_pack(figure)
    _draw_straps(figure)
    for side in (far, near):
        if side not in behind:
            _draw_arm(figure, side, arms[side], dimmed=False)
    _draw_handbag(figure, arms)
    return _joints(figure, arms, legs)


# -------------------------------------------------------------------------------------------------------------- joints


def _leg(figure: Figure, side: str) -> tuple[Point3, Point3, Point3]:
    """Hip, knee and ankle; the knee bends while the leg comes forward."""
    phase = figure.gait.phase + (0 if side == "left" else 180)
    swing = figure.gait.stride * sin(phase)
    bend = 6 + 1.3 * figure.gait.stride * max(0.0, cos(phase))
    x = SIDE[side] * 0.052 * figure.look.build
    hip = (x, -HIP, 0.0)
    knee = (x, hip[1] + THIGH * cos(swing), THIGH * sin(swing))
    ankle = (x, knee[1] + SHANK * cos(swing - bend), knee[2] + SHANK * sin(swing - bend))
    return hip, knee, ankle


def _arm(figure: Figure, side: str) -> tuple[Point3, Point3, Point3]:
    """Shoulder, elbow and wrist; arms swing against the legs."""
    phase = figure.gait.phase + (180 if side == "left" else 0)
    swing = figure.gait.arm_swing * sin(phase)
    bend = 14 + 12 * max(0.0, sin(phase))
    outward = SIDE[side] * figure.look.build
    shoulder = (outward * 0.112, -SHOULDER + 0.012, 0.0)
    elbow = (outward * 0.142, shoulder[1] + UPPER_ARM * cos(swing), UPPER_ARM * sin(swing))
    wrist = (outward * 0.146, elbow[1] + FOREARM * cos(swing + bend), elbow[2] + FOREARM * sin(swing + bend))
    return shoulder, elbow, wrist


def _joints(
    figure: Figure, arms: dict[str, tuple[Point3, ...]], legs: dict[str, tuple[Point3, ...]]
) -> dict[str, tuple[Point, tuple[int, ...]]]:
    front = 1.0 if figure.facing > -0.2 else 0.0
    found: dict[str, tuple[Point3, tuple[int, ...]]] = {
        "nose": ((0.0, -HEAD_MIDDLE + 0.012, 0.068), (HEAD,) if front else ()),
    }
    for side, sign in SIDE.items():
        turned_here = figure.view.depth((sign * 0.028, 0.0, 0.055)) > -0.005
        found[f"{side}_eye"] = ((sign * 0.024, -HEAD_MIDDLE - 0.008, 0.052), (HEAD,) if turned_here else ())
        ear_here = figure.view.depth((sign * 0.052, 0.0, 0.0)) > -0.035
        found[f"{side}_ear"] = ((sign * 0.049, -HEAD_MIDDLE, 0.0), (HEAD,) if ear_here else ())
        for name, place in zip(("shoulder", "elbow", "wrist"), arms[side], strict=True):
            found[f"{side}_{name}"] = place, (ARM[side], TRUNK) if name == "shoulder" else (ARM[side],)
        for name, place in zip(("hip", "knee", "ankle"), legs[side], strict=True):
            found[f"{side}_{name}"] = place, (LEG[side], TRUNK) if name == "hip" else (LEG[side],)
        if figure.look.attributes["clothes"] == "dress":  # a skirt over the knee still shows where the knee is
            found[f"{side}_knee"] = legs[side][1], (LEG[side], TRUNK)
    return {name: (figure.view.project(found[name][0]), found[name][1]) for name in JOINTS}


# --------------------------------------------------------------------------------------------------------------- parts


def _ground_shadow(figure: Figure) -> None:
    x, y = figure.view.origin
    for share, brightness in ((1.0, 205), (0.7, 170), (0.45, 135)):
        outline, _ = ellipse((x + 6, y - 2), (figure.pixels(0.2) * share, figure.pixels(0.035) * share))
        figure.canvas.shadow(outline, brightness)


def _draw_leg(figure: Figure, side: str, joints: tuple[Point3, Point3, Point3], dimmed: bool) -> None:
    look, part, light = figure.look, LEG[side], 0.72 if dimmed else 1.0
    hip, knee, ankle = joints
    dress, long = look.attributes["clothes"] == "dress", look.attributes["down"] == "long"
    toe = (ankle[0], ankle[1] + 0.036, ankle[2] + 0.075)
    heel = (ankle[0], ankle[1] + 0.03, ankle[2] - 0.012)
    figure.limb([heel, toe], [0.026, 0.02], look.shoes, part, light)
    if dress:
        figure.limb([hip, knee, ankle], [0.056, 0.038, 0.024], look.skin, part, light)
    elif long:
        figure.limb([hip, knee, ankle], [0.068, 0.048, 0.036], look.lower, part, light)
        hem = [figure.view.project(lerp(knee, ankle, t)) for t in (0.55, 0.8)]
        figure.canvas.crease(hem, int(170 * light))
    else:
        figure.limb([knee, ankle], [0.038, 0.023], look.skin, part, light)
        figure.limb([hip, lerp(hip, knee, 0.9)], [0.068, 0.06], look.lower, part, light)
    if look.side_stripe:
        outward = SIDE[side] * 0.05
        if figure.view.depth((outward, 0.0, 0.0)) > -0.035:
            end = ankle if long else lerp(hip, knee, 0.9)
            bent = [hip, knee, end] if long else [hip, end]
            line = [
                figure.view.project((p[0] + outward * r, p[1], p[2])) for p, r in zip(bent, (1, 0.8, 0.6), strict=False)
            ]
            figure.canvas.stroke(line, look.accent, 7)


def _draw_arm(figure: Figure, side: str, joints: tuple[Point3, Point3, Point3], dimmed: bool) -> None:
    look, part, light = figure.look, ARM[side], 0.72 if dimmed else 1.0
    shoulder, elbow, wrist = joints
    sleeve = look.accent if look.accent_sleeves else look.upper
    hand = lerp(elbow, wrist, 1.22)
    figure.limb([wrist, hand], [0.02, 0.019], look.skin, part, light)
    if look.attributes["up"] == "long":
        figure.limb([shoulder, elbow, wrist], [0.042, 0.035, 0.026], sleeve, part, light)
        fold = [figure.view.project(p) for p in (lerp(shoulder, elbow, 0.9), lerp(elbow, wrist, 0.25))]
        figure.canvas.crease(fold, int(175 * light))
    else:
        figure.limb([shoulder, elbow, wrist], [0.034, 0.028, 0.019], look.skin, part, light)
        figure.limb([shoulder, lerp(shoulder, elbow, 0.68)], [0.041, 0.039], sleeve, part, light)


def _trunk_rings(look: PersonLook) -> list[Ring]:
    b, female = look.build, look.attributes["gender"] == "female"
    waist, hip = (0.078, 0.108) if female else (0.096, 0.1)
    return [
        Ring(-0.855, 0.05 * b, 0.042 * b),
        Ring(-0.832, (0.1 if female else 0.115) * b, 0.06 * b),
        Ring(-0.77, (0.108 if female else 0.122) * b, 0.078 * b, 0.006 if female else 0.0),
        Ring(-0.69, (0.098 if female else 0.112) * b, 0.076 * b, 0.006),
        Ring(-WAIST, waist * b, 0.066 * b),
        Ring(-0.545, hip * b, 0.074 * b, -0.004),
        Ring(-CROTCH - 0.02, hip * b, 0.074 * b, -0.006),
    ]


def _draw_trunk(figure: Figure, rng: np.random.Generator) -> None:
    look, canvas = figure.look, figure.canvas
    rings = _trunk_rings(look)
    if look.attributes["clothes"] == "dress":
        _draw_skirt(figure, rings[4:])
    else:
        hips = Trunk(rings[4:], figure.view)
        canvas.solid(hips.outline(), look.lower, TRUNK)
    shirt = Trunk(rings[:6], figure.view)
    canvas.solid(shirt.outline(), look.upper, TRUNK)
    _draw_pattern(canvas, shirt, look)
    for _ in range(3):  # folds fall anew in every picture
        height, angle = between(rng, 0.45, 0.9), between(rng, -60, 60) - figure.view.yaw
        line = [shirt.surface(height, angle), shirt.surface(height + 0.1, angle + between(rng, -18, 18))]
        canvas.crease(line, 190)


def _draw_skirt(figure: Figure, rings: list[Ring]) -> None:
    look, swing = figure.look, 0.4 * figure.gait.stride * sin(figure.gait.phase)
    b, long = look.build, look.attributes["down"] == "long"
    length = 0.09 if long else 0.27
    hem = Ring(-length, (0.135 if long else 0.14) * b, 0.12 * b, 0.001 * swing)
    skirt = Trunk([*rings[:2], hem], figure.view)
    figure.canvas.solid(skirt.outline(), look.lower, TRUNK)
    for angle in range(-150, 180, 45):
        folds = skirt.patch(0.55, 1.0, angle + swing, angle + 7 + swing)
        if folds:
            figure.canvas.shadow(folds, 176)


def _draw_pattern(canvas: Canvas, shirt: Trunk, look: PersonLook) -> None:
    """The shirt's individual detail, laid on its surface all around."""
    quarters = ((-181, -90), (-91, 0), (-1, 90), (89, 181))
    bands: list[tuple[float, float]] = {
        "rings": [(0.36, 0.46), (0.58, 0.68), (0.8, 0.9)],
        "chest_band": [(0.42, 0.64)],
        "yoke": [(0.0, 0.42)],
        "check": [(0.4, 0.47), (0.62, 0.69), (0.84, 0.91)],
        "hem": [(0.8, 1.0)],
    }.get(look.pattern, [])
    columns: list[tuple[float, float]] = {
        "pinstripes": [(a, a + 11) for a in range(-180, 180, 30)],
        "check": [(a, a + 10) for a in range(-180, 180, 45)],
        "jacket": [(-24, 24)],
    }.get(look.pattern, [])
    for low, high in bands:
        for start, stop in quarters:
            canvas.paint(shirt.patch(low, high, start, stop), look.accent)
    for start, stop in columns:
        canvas.paint(shirt.patch(0.04, 1.0, start, stop), look.accent)
    if look.pattern == "jacket":  # open in front, with a collar that shows from behind
        canvas.paint(shirt.patch(0.02, 0.22, 90, 180), look.accent)
        canvas.paint(shirt.patch(0.02, 0.22, 180, 270), look.accent)
    if look.pattern == "print":
        canvas.paint(shirt.patch(0.38, 0.7, -34, 34), look.accent)
        canvas.paint(shirt.patch(0.46, 0.6, -16, 16), look.upper)
        canvas.paint(shirt.patch(0.3, 0.66, 140, 220), look.accent)
    if look.pattern == "dots":
        for row in range(4):
            for angle in range(-180, 180, 40):
                start, top = angle + 20 * (row % 2), 0.3 + 0.17 * row
                canvas.paint(shirt.patch(top, top + 0.08, start, start + 17), look.accent)


def _draw_neck_and_head(figure: Figure) -> None:
    look, view, canvas = figure.look, figure.view, figure.canvas
    figure.limb([(0.0, -0.885, 0.0), (0.0, -0.845, 0.0)], [0.034, 0.04], tinted(look.skin, 0.88), HEAD)
    centre = view.project((0.0, -HEAD_MIDDLE, 0.004))
    narrow = figure.pixels(0.052 + 0.006 * abs(sin(view.yaw)))
    tall = figure.pixels(HEAD_RADIUS)
    canvas.solid(ellipse(centre, (narrow, tall)), look.skin, HEAD)
    _draw_face(figure)
    _draw_hair_cap(figure, centre, narrow, tall)
    if look.has("hat"):
        _draw_hat(figure, centre, narrow, tall)


def _draw_face(figure: Figure) -> None:
    view, canvas, skin = figure.view, figure.canvas, figure.look.skin
    for sign in (1, -1):
        if view.depth((sign * 0.5, 0.0, 1.0)) > 0.25:
            x, y = view.project((sign * 0.024, -HEAD_MIDDLE - 0.006, 0.05))
            canvas.paint(ellipse((x, y), (figure.pixels(0.009), figure.pixels(0.006)))[0], (40, 32, 30))
            canvas.crease([(x - 6, y - 8), (x + 6, y - 8)], 150, 2)
    if figure.facing > -0.15:
        nose = [view.project((0.0, -HEAD_MIDDLE + d, 0.056)) for d in (-0.004, 0.016)]
        tip = view.project((0.0, -HEAD_MIDDLE + 0.013, 0.07))
        canvas.paint([nose[0], tip, nose[1]], tinted(skin, 0.85))
        mouth = [view.project((s * 0.015, -HEAD_MIDDLE + 0.034, 0.05)) for s in (-1, 1)]
        canvas.stroke(mouth, blended(skin, (150, 60, 60), 0.6), 4)


def _draw_hair_cap(figure: Figure, centre: Point, narrow: float, tall: float) -> None:
    """Hair covers the skull above and behind: the less of it, the more the face is turned to the camera."""
    view, look = figure.view, figure.look
    backward = -sin(view.yaw) * figure.pixels(0.02)
    x, y = centre[0] + backward, centre[1]
    if figure.facing > 0.25:
        top = ellipse((x, y - 0.52 * tall), (narrow * 1.06, tall * 0.55))
    elif figure.facing > -0.45:
        top = ellipse((x, y - 0.3 * tall), (narrow * 0.98, tall * 0.78), 18 * sin(view.yaw))
    else:
        top = ellipse((x, y - 0.08 * tall), (narrow * 1.06, tall * 1.0))
    figure.canvas.solid(top, look.hair, HEAD)


def _draw_long_hair(figure: Figure) -> None:
    if figure.look.attributes["hair"] != "long":
        return
    b = figure.look.build
    rings = [
        Ring(-0.975, 0.04, 0.03, -0.012),
        Ring(-0.93, 0.064, 0.03, -0.026),
        Ring(-0.86, 0.072, 0.026, -0.036),
        Ring(-0.74, 0.066 * b, 0.022, -0.062 * b),
    ]
    hair = Trunk(rings, figure.view)
    figure.canvas.solid(hair.outline(), figure.look.hair, HEAD)
    for angle in (-40, -15, 15, 40):
        strand = [hair.surface(t, angle - figure.view.yaw) for t in (0.4, 0.95)]
        figure.canvas.crease(strand, 165)


def _draw_hat(figure: Figure, centre: Point, narrow: float, tall: float) -> None:
    look, (x, y) = figure.look, centre
    ahead = sin(figure.view.yaw)
    crown = ellipse((x, y - 0.6 * tall), (narrow * 1.12, tall * 0.56))
    brim = ellipse((x + ahead * narrow * 0.8, y - 0.36 * tall), (narrow * 1.0, tall * 0.14))
    if figure.facing < -0.3:
        figure.canvas.solid(crown, look.hat, HEAD)
        return
    figure.canvas.solid(crown, look.hat, HEAD)
    figure.canvas.solid(brim, tinted(look.hat, 0.72), HEAD)


# -------------------------------------------------------------------------------------------------------------- things


def _draw_pack(figure: Figure) -> None:
    look, b = figure.look, figure.look.build
    if not look.has("backpack"):
        return
    rings = [
        Ring(-0.825, 0.07, 0.03, -0.1 * b),
        Ring(-0.79, 0.09, 0.05, -0.115 * b),
        Ring(-0.62, 0.098, 0.06, -0.125 * b),
        Ring(-0.58, 0.085, 0.045, -0.115 * b),
    ]
    pack = Trunk(rings, figure.view)
    figure.canvas.solid(pack.outline(), look.carried, PACK)
    pocket = pack.patch(0.5, 0.88, 140, 220)
    figure.canvas.paint(pocket, tinted(look.carried, 1.35))
    for height in (0.3, 0.5):
        line = pack.patch(height, height + 0.04, 120, 240)
        figure.canvas.paint(line, look.strap)


def _draw_straps(figure: Figure) -> None:
    """Straps lie on the shirt: two of a backpack, one across of a shoulder bag with the bag at the hip."""
    look, shirt = figure.look, Trunk(_trunk_rings(figure.look)[:6], figure.view)
    if look.has("backpack"):
        for side in (1, -1):
            figure.canvas.paint(shirt.patch(0.12, 0.66, side * 42 - 9, side * 42 + 9), look.strap)
    if look.has("bag"):
        front = [(0.14 + 0.76 * t, -40 + 110 * t) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
        back = [(height, 180 - angle) for height, angle in front]
        for line in (front, back):
            seen = [shirt.surface(h, a) for h, a in line if cos(a + figure.view.yaw) > 0]
            if len(seen) > 1:
                figure.canvas.stroke(seen, look.strap, 8)
        hung = (0.13 * look.build, -0.53, 0.0)
        if figure.view.depth(hung) > -0.09:
            _draw_box(figure, hung, 0.062, 0.055)


def _draw_handbag(figure: Figure, arms: dict[str, tuple[Point3, ...]]) -> None:
    if figure.look.has("handbag"):
        x, y, z = lerp(arms["right"][1], arms["right"][2], 1.25)
        if figure.view.depth((x, y, z)) > -0.12:
            figure.canvas.stroke(
                [figure.view.project(p) for p in ((x, y, z), (x, y + 0.06, z))], figure.look.strap, 6, PACK
            )
            _draw_box(figure, (x, y + 0.1, z), 0.055, 0.045)


def _draw_box(figure: Figure, middle: Point3, half_width: float, half_height: float) -> None:
    """A soft bag, broad from the side and narrower from the front."""
    x, y = figure.view.project(middle)
    across = figure.pixels(half_width) * (0.55 + 0.45 * abs(sin(figure.view.yaw)))
    down = figure.pixels(half_height)
    corners = [(-0.8, -1), (0.8, -1), (1, -0.6), (1, 0.8), (0.8, 1), (-0.8, 1), (-1, 0.8), (-1, -0.6)]
    outline = [(x + across * u, y + down * v) for u, v in corners]
    figure.canvas.solid((outline, [(x, y)] * len(outline)), figure.look.carried, PACK)
    figure.canvas.stroke(
        [(x - across, y - 0.1 * down), (x + across, y - 0.1 * down)], figure.look.strap, int(0.2 * down)
    )
