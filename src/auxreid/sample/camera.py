"""What a camera adds to a body: the place behind it, things before it, light, blur and noise."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from auxreid.sample.canvas import Canvas, Colour, blended, tinted
from auxreid.sample.geometry import Ring, Trunk, View, ellipse, tube
from auxreid.sample.world import between, chance, pick


@dataclass(frozen=True)
class Light:
    """How a camera renders a scene: per-channel gain, contrast about the middle, added brightness, saturation."""

    gain: tuple[float, float, float]
    contrast: float
    brightness: float
    saturation: float
    vignette: float  # share of light lost in the corners
    noise: int  # half-width of the noise of one pixel
    blur: float  # radius in pixels


def varied(light: Light, rng: np.random.Generator, spread: float) -> Light:
    """The same camera at another moment: clouds, and the automatic white balance."""
    gains = tuple(gain * between(rng, 1 - spread, 1 + spread) for gain in light.gain)
    return Light(
        gains,
        light.contrast * between(rng, 1 - spread, 1 + spread),
        light.brightness + between(rng, -120, 120) * spread,
        light.saturation * between(rng, 1 - spread, 1 + spread),
        light.vignette,
        light.noise,
        light.blur * between(rng, 0.5, 1.3),
    )


def exposed(image: Image.Image, light: Light, rng: np.random.Generator) -> Image.Image:
    """The picture as the camera stores it. Table look-ups and whole numbers only: equal on every machine."""
    image = _saturated(image, light.saturation)
    table: list[int] = []
    for gain in light.gain:
        for value in range(256):
            lit = gain * (light.contrast * (value - 128) + 128 + light.brightness)
            table.append(min(255, max(0, int(lit))))
    image = ImageChops.multiply(image.point(table), _vignette(image.size, light.vignette))
    if light.blur > 0.1:
        image = image.filter(ImageFilter.BoxBlur(light.blur))
    grain = rng.integers(-light.noise, light.noise + 1, size=(image.height, image.width, 3))
    grain += rng.integers(-light.noise, light.noise + 1, size=(image.height, image.width, 1))
    noisy = np.asarray(image).astype(np.int64) + grain
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _saturated(image: Image.Image, factor: float) -> Image.Image:
    """Colours moved from (0) or away from (above 1) their grey, in 1/256 steps of whole numbers."""
    share = int(256 * factor)
    pixels = np.asarray(image).astype(np.int64)  # [h, w, 3]
    grey = (77 * pixels[..., :1] + 150 * pixels[..., 1:2] + 29 * pixels[..., 2:]) // 256
    mixed = grey + (share * (pixels - grey)) // 256
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _vignette(size: tuple[int, int], loss: float) -> Image.Image:
    width, height = size
    x = (2 * np.arange(width, dtype=np.int64) - width + 1)[None, :] * 1000 // width
    y = (2 * np.arange(height, dtype=np.int64) - height + 1)[:, None] * 1000 // height
    dark = 255 - (int(255 * loss) * (x * x + y * y)) // 2_000_000
    return Image.merge("RGB", [Image.fromarray(dark.astype(np.uint8))] * 3)


# ------------------------------------------------------------------------------------------------------------- places


def textured(image: Image.Image, rng: np.random.Generator, depth: int = 65) -> Image.Image:
    """The image under clouds of dirt and light, large ones and small ones, so that no surface is of one colour."""
    large, small = _clouds(image.size, rng, 40, 255 - depth), _clouds(image.size, rng, 6, 255 - 2 * depth // 3)
    return ImageChops.multiply(image, Image.merge("RGB", [ImageChops.multiply(large, small)] * 3))


def _clouds(size: tuple[int, int], rng: np.random.Generator, apart: int, low: int) -> Image.Image:
    """A smooth grey texture between `low` and 255, `apart` canvas pixels from one cloud to the next."""
    values = rng.integers(low, 256, size=(max(size[1] // apart, 2), max(size[0] // apart, 2))).astype(np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)


def street(size: tuple[int, int], rng: np.random.Generator, moment: np.random.Generator) -> Image.Image:
    """A house wall of bricks or plaster with windows, a pavement, at times a parked car."""
    width, height = size
    wall = pick(rng, ((158, 128, 108), (176, 168, 152), (126, 122, 124), (150, 92, 76)))
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    horizon = int(height * between(rng, 0.62, 0.76))
    shift = int(moment.integers(0, width))
    if chance(rng, 0.5):
        for row, y in enumerate(range(0, horizon, 18)):
            draw.line([(0, y), (width, y)], fill=tinted(wall, 0.84), width=2)
            for x in range((row % 2) * 20 - shift % 40, width, 40):
                draw.line([(x, y), (x, y + 18)], fill=tinted(wall, 0.84), width=2)
    spacing = int(width * 0.8)
    for x in range(-shift % spacing - spacing, width, spacing):
        glass = pick(moment, ((70, 84, 100), (44, 50, 58), (150, 168, 178)))
        box = (x, int(height * 0.1), x + int(width * 0.42), int(height * 0.42))
        draw.rectangle(box, fill=glass, outline=tinted(wall, 1.3), width=6)
        draw.line([(x + width * 0.21, box[1]), (x + width * 0.21, box[3])], fill=tinted(wall, 1.3), width=5)
    stone = pick(rng, ((138, 136, 132), (120, 120, 124), (164, 156, 142)))
    draw.rectangle((0, horizon, width, height), fill=stone)
    draw.rectangle((0, horizon, width, horizon + 8), fill=tinted(stone, 0.7))
    for i in range(1, 6):
        y = horizon + (height - horizon) * i * i // 30
        draw.line([(0, y), (width, y)], fill=tinted(stone, 0.85), width=2)
    if chance(moment, 0.35):
        _car(draw, width, horizon, moment)
    return textured(image, moment)


def _car(draw: ImageDraw.ImageDraw, width: int, horizon: int, rng: np.random.Generator) -> None:
    paint = pick(rng, ((150, 30, 34), (36, 60, 120), (206, 206, 204), (40, 42, 46), (96, 110, 96)))
    x, y = int(rng.integers(-width // 2, width // 2)), horizon + 14
    draw.polygon(
        [(x, y), (x, y - 52), (x + 60, y - 60), (x + 100, y - 104), (x + 230, y - 104), (x + 270, y)], fill=paint
    )
    draw.polygon([(x + 76, y - 62), (x + 108, y - 96), (x + 220, y - 96), (x + 232, y - 62)], fill=(60, 70, 80))
    for wheel in (x + 56, x + 220):
        draw.ellipse((wheel - 24, y - 22, wheel + 24, y + 26), fill=(26, 26, 28))


def park(size: tuple[int, int], rng: np.random.Generator, moment: np.random.Generator) -> Image.Image:
    """A path through grass before a hedge and trunks of trees."""
    width, height = size
    hedge = pick(rng, ((52, 80, 46), (70, 92, 60), (88, 96, 62)))
    image = Image.new("RGB", size, hedge)
    draw = ImageDraw.Draw(image)
    for _ in range(45):
        x, y = int(moment.integers(width)), int(moment.integers(int(height * 0.6)))
        radius = int(moment.integers(8, 30))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tinted(hedge, between(moment, 0.75, 1.3)))
    for _ in range(int(moment.integers(0, 3))):
        x, thick = int(moment.integers(width)), int(moment.integers(10, 34))
        draw.rectangle((x, 0, x + thick, int(height * 0.64)), fill=(84, 66, 50))
    horizon = int(height * between(rng, 0.56, 0.7))
    grass = pick(rng, ((104, 130, 66), (120, 138, 84), (134, 130, 84)))
    draw.rectangle((0, horizon, width, height), fill=grass)
    path = pick(rng, ((172, 158, 132), (150, 146, 140)))
    edge = int(moment.integers(-width // 4, width // 4))
    draw.polygon(
        [(edge, height), (width // 3 + edge, horizon), (width // 2 + edge, horizon), (width + edge, height)], fill=path
    )
    for _ in range(60):
        x, y = int(moment.integers(width)), int(moment.integers(horizon, height))
        draw.line(
            [(x, y), (x + int(moment.integers(-4, 5)), y - 9)], fill=tinted(grass, between(moment, 0.75, 1.25)), width=3
        )
    return textured(image, moment)


def passage(size: tuple[int, int], rng: np.random.Generator, moment: np.random.Generator) -> Image.Image:
    """A concrete underpass with tiles, posters and a shiny floor."""
    width, height = size
    wall = pick(rng, ((188, 186, 176), (120, 132, 140), (160, 160, 166)))
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    shift = int(moment.integers(0, width))
    horizon = int(height * between(rng, 0.66, 0.78))
    draw.rectangle((0, int(height * 0.42), width, horizon), fill=tinted(wall, 0.8))
    for x in range(-shift % 48 - 48, width, 48):
        draw.line([(x, 0), (x, horizon)], fill=tinted(wall, 0.9), width=2)
    for y in range(0, horizon, 48):
        draw.line([(0, y), (width, y)], fill=tinted(wall, 0.9), width=2)
    if chance(moment, 0.6):
        x, y = int(moment.integers(-60, width - 40)), int(moment.integers(20, height // 3))
        colour = pick(moment, ((196, 70, 60), (64, 110, 160), (222, 206, 120), (90, 140, 96), (230, 230, 226)))
        draw.rectangle((x, y, x + 96, y + 130), fill=colour, outline=(240, 240, 238), width=5)
        draw.rectangle((x + 16, y + 20, x + 80, y + 60), fill=tinted(colour, 0.6))
    floor = pick(rng, ((112, 108, 104), (92, 96, 102), (140, 132, 120)))
    draw.rectangle((0, horizon, width, height), fill=floor)
    for x in range(-width, 2 * width, 70):
        draw.line([(width // 2 + (x - width // 2) // 2, horizon), (x, height)], fill=tinted(floor, 0.82), width=3)
    draw.rectangle((0, horizon, width, horizon + 6), fill=tinted(floor, 0.6))
    return textured(image, moment)


# ---------------------------------------------------------------------------------------------------------- occlusion


def occlude(canvas: Canvas, rng: np.random.Generator) -> None:
    """Put one thing before the body: a pole, a bin, a bush, or the edge of another person."""
    width, height = canvas.label.size
    left = chance(rng, 0.5)
    match int(rng.integers(4)):
        case 0:
            x, half = between(rng, 0.2, 0.8) * width, between(rng, 0.035, 0.06) * width
            pole = [(x, -half), (x, height + half)]
            canvas.solid(tube(pole, [half, half]), pick(rng, ((96, 100, 104), (60, 84, 66), (150, 146, 138))), 0)
        case 1:
            x, top = (0.24 if left else 0.76) * width, between(rng, 0.66, 0.76) * height
            half = 0.2 * width
            view = View(0, 0, 1.0, (x, height + 20))
            barrel = Trunk([Ring(top - height, half, half), Ring(0, 0.85 * half, half)], view)
            canvas.solid(barrel.outline(), pick(rng, ((60, 70, 64), (44, 60, 96), (120, 116, 108))), 0)
            canvas.paint(
                [(x - half, top + 16), (x + half, top + 16), (x + half, top + 28), (x - half, top + 28)], (36, 38, 40)
            )
        case 2:
            base = (0.15 if left else 0.85) * width
            leaf = pick(rng, ((58, 96, 50), (84, 112, 60), (44, 76, 52)))
            for _ in range(22):
                at = base + between(rng, -0.28, 0.28) * width, height * between(rng, 0.72, 1.02)
                size = between(rng, 14, 30)
                canvas.solid(
                    ellipse(at, (size, 0.7 * size), between(rng, 0, 180)), tinted(leaf, between(rng, 0.8, 1.25)), 0
                )
        case _:
            _passer_by(canvas, rng, 0.0 if left else float(width))


def _passer_by(canvas: Canvas, rng: np.random.Generator, x: float) -> None:
    """Half of somebody who walks out of the picture."""
    width, height = canvas.label.size
    x += between(rng, -0.06, 0.06) * width
    shirt: Colour = pick(rng, ((60, 62, 70), (170, 168, 160), (120, 60, 60), (70, 90, 130)))
    trousers = blended(shirt, pick(rng, ((30, 32, 40), (90, 84, 76))), 0.8)
    top = between(rng, 0.05, 0.14) * height
    for foot in (-12, 14):
        canvas.solid(tube([(x, top + 0.42 * height), (x + foot, height)], [30, 18]), trousers, 0)
    canvas.solid(tube([(x, top + 0.16 * height), (x, top + 0.4 * height)], [50, 40]), shirt, 0)
    canvas.solid(ellipse((x, top + 0.02 * height), (26, 34)), (170, 126, 100), 0)
    canvas.solid(ellipse((x, top - 0.01 * height), (28, 28)), (44, 36, 32), 0)
