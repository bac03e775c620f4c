"""Where dogs are photographed. Each place has a thing of known size, so that a dog's own size can be seen."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from auxreid.sample.camera import textured
from auxreid.sample.canvas import Colour, tinted
from auxreid.sample.world import between, pick

Place = Callable[[tuple[int, int], float, float, np.random.Generator, np.random.Generator], Image.Image]
"""size, pixels per metre, height of the ground under the dog, the clip's stream, the frame's stream -> background"""


def garden(
    size: tuple[int, int], metre: float, ground: float, clip: np.random.Generator, moment: np.random.Generator
) -> Image.Image:
    """A lawn before a picket fence 0.9 m high, pickets every 0.16 m."""
    image, draw, horizon = _ground_and_sky(
        size, ground, metre, pick(clip, ((112, 142, 74), (134, 148, 92), (96, 122, 70)))
    )
    paint: Colour = pick(clip, ((206, 200, 188), (148, 112, 78), (120, 138, 140)))
    top, width, step = horizon - 0.9 * metre, 0.09 * metre, 0.16 * metre
    for rail in (0.25, 0.68):
        y = horizon - rail * metre
        draw.rectangle((0, int(y), size[0], int(y + 0.05 * metre)), fill=tinted(paint, 0.78))
    x = -float(moment.random()) * step
    while x < size[0]:
        points = [(x, horizon), (x, top + 14), (x + width / 2, top), (x + width, top + 14), (x + width, horizon)]
        draw.polygon([(round(a), round(b)) for a, b in points], fill=paint, outline=tinted(paint, 0.7))
        x += step
    _grass(draw, size, horizon, moment)
    return textured(image, moment, depth=36)


def park(
    size: tuple[int, int], metre: float, ground: float, clip: np.random.Generator, moment: np.random.Generator
) -> Image.Image:
    """A gravel path before a bench, its seat 0.45 m high."""
    image, draw, horizon = _ground_and_sky(
        size, ground, metre, pick(clip, ((170, 156, 130), (150, 144, 134), (178, 150, 112)))
    )
    leaf = pick(clip, ((70, 98, 58), (92, 108, 66)))
    for _ in range(50):
        x, y, r = int(moment.integers(size[0])), int(moment.integers(max(int(horizon), 1))), int(moment.integers(8, 28))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tinted(leaf, between(moment, 0.75, 1.25)))
    draw.rectangle((0, int(horizon) - 20, size[0], int(horizon)), fill=tinted(leaf, 0.9))
    wood: Colour = pick(clip, ((124, 84, 52), (96, 104, 88), (150, 120, 84)))
    x0 = between(moment, -0.5, 0.5) * size[0]
    x1 = x0 + 1.3 * metre
    for height in (0.43, 0.6, 0.72, 0.84):
        y = horizon - height * metre
        draw.rectangle((int(x0), int(y), int(x1), int(y + 0.07 * metre)), fill=wood, outline=tinted(wood, 0.65))
    for x in (x0 + 0.12 * metre, x1 - 0.16 * metre):
        draw.rectangle(
            (int(x), int(horizon - 0.84 * metre), int(x + 0.05 * metre), int(horizon + 6)), fill=(52, 54, 56)
        )
    return textured(image, moment, depth=36)


def street(
    size: tuple[int, int], metre: float, ground: float, clip: np.random.Generator, moment: np.random.Generator
) -> Image.Image:
    """A pavement before a brick wall, courses 0.1 m high, with bollards of 0.8 m."""
    image, draw, horizon = _ground_and_sky(
        size, ground, metre, pick(clip, ((136, 134, 132), (118, 120, 124), (160, 152, 142)))
    )
    brick: Colour = pick(clip, ((158, 100, 80), (180, 164, 140), (130, 126, 126)))
    draw.rectangle((0, 0, size[0], int(horizon)), fill=brick)
    shift, course = float(moment.random()), 0.1 * metre
    for row in range(int(horizon / course) + 1):
        y = horizon - row * course
        draw.line([(0, round(y)), (size[0], round(y))], fill=tinted(brick, 0.82), width=3)
        for column in range(-1, int(size[0] / (2 * course)) + 2):
            x = (column + shift + 0.5 * (row % 2)) * 2 * course
            draw.line([(round(x), round(y - course)), (round(x), round(y))], fill=tinted(brick, 0.82), width=3)
    x = between(moment, -0.6, 0.2) * metre
    while x < size[0]:
        box = (int(x), int(horizon - 0.8 * metre), int(x + 0.11 * metre), int(horizon + 8))
        draw.rounded_rectangle(box, radius=10, fill=(64, 68, 72))
        draw.rectangle((box[0], box[1] + 24, box[2], box[1] + 42), fill=(206, 204, 196))
        x += 1.1 * metre
    return textured(image, moment, depth=36)


def riverside(
    size: tuple[int, int], metre: float, ground: float, clip: np.random.Generator, moment: np.random.Generator
) -> Image.Image:
    """Sand before water, with a railing 1.0 m high, bars every 0.3 m."""
    floor: Colour = pick(clip, ((206, 188, 148), (186, 174, 146)))
    image, draw, horizon = _ground_and_sky(size, ground, metre, floor)
    water: Colour = pick(clip, ((94, 132, 150), (112, 140, 142), (80, 110, 140)))
    draw.rectangle((0, int(horizon - 0.7 * metre), size[0], int(horizon)), fill=water)
    for _ in range(40):
        x, y = int(moment.integers(size[0])), int(moment.integers(int(horizon - 0.7 * metre), int(horizon)))
        draw.line(
            [(x, y), (x + int(moment.integers(14, 50)), y)], fill=tinted(water, between(moment, 0.85, 1.2)), width=3
        )
    steel: Colour = pick(clip, ((210, 210, 208), (70, 90, 84), (120, 122, 126)))
    for height in (1.0, 0.55):
        y = int(horizon - height * metre)
        draw.rectangle((0, y, size[0], y + 12), fill=steel)
    x = -float(moment.random()) * 0.3 * metre
    while x < size[0]:
        draw.rectangle((int(x), int(horizon - metre), int(x) + 8, int(horizon)), fill=steel)
        x += 0.3 * metre
    return textured(image, moment, depth=36)


PLACES: dict[str, Place] = {"garden": garden, "park": park, "riverside": riverside, "street": street}


def _ground_and_sky(
    size: tuple[int, int], ground: float, metre: float, floor: Colour
) -> tuple[Image.Image, ImageDraw.ImageDraw, float]:
    """Sky above floor; the thing of known size stands half a metre behind the dog, a little higher in the picture."""
    horizon = ground - 0.16 * metre
    image = Image.new("RGB", size, (186, 204, 218))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, int(horizon), size[0], size[1]), fill=floor)
    return image, draw, horizon


def _grass(draw: ImageDraw.ImageDraw, size: tuple[int, int], horizon: float, rng: np.random.Generator) -> None:
    for _ in range(110):
        x, y = int(rng.integers(size[0])), int(rng.integers(int(horizon) - 4, size[1]))
        shade: Colour = pick(rng, ((84, 118, 58), (126, 152, 84), (100, 130, 66)))
        draw.line([(x, y), (x + int(rng.integers(-5, 6)), y - int(rng.integers(8, 18)))], fill=shade, width=3)
