"""A canvas four times as large as the picture, which remembers what each pixel shows.

Three layers: the colour of things, how much light falls on them, and which part of the body it is (0: not the body).
The last one answers, after everything is drawn, which joints can be seen.
"""

from collections.abc import Iterable, Sequence

from PIL import Image, ImageChops, ImageDraw

from auxreid.sample.geometry import Point

OVERSAMPLING = 4
Colour = tuple[int, int, int]

# Light from the edge of a round part to its middle: (share of the way to the middle line, brightness of 255).
_ROUNDING = ((0.0, 154), (0.16, 192), (0.32, 220), (0.5, 240), (0.72, 255))
_LIGHT_FROM = (-0.30, -0.22)  # the brightest line of a part lies towards the upper left


class Canvas:
    """Draws shaded parts over a background; coordinates are pixels of the large canvas."""

    def __init__(self, background: Image.Image) -> None:
        self.albedo = background.copy()
        self.shade = Image.new("L", background.size, 255)
        self.label = Image.new("L", background.size, 0)
        self._draw_albedo = ImageDraw.Draw(self.albedo)
        self._draw_shade = ImageDraw.Draw(self.shade)
        self._draw_label = ImageDraw.Draw(self.label)

    def solid(
        self, shape: tuple[list[Point], list[Point]], colour: Colour, part: int, light: float = 1.0, flat: bool = False
    ) -> None:
        """Draw a round part: its outline (and middle line), darker at the edge and brightest towards the light."""
        outline, spine = shape
        points = _whole(outline)
        self._draw_albedo.polygon(points, fill=colour)
        self._draw_label.polygon(points, fill=part)
        if flat:
            self._draw_shade.polygon(points, fill=int(255 * light))
            return
        ways = []  # from each vertex of the outline to the line of the most light
        for (x, y), (cx, cy) in zip(outline, spine, strict=True):
            reach = abs(x - cx) + abs(y - cy)
            ways.append((x, y, cx + _LIGHT_FROM[0] * reach - x, cy + _LIGHT_FROM[1] * reach - y))
        for share, brightness in _ROUNDING:
            nested = [(round(x + share * dx), round(y + share * dy)) for x, y, dx, dy in ways]
            self._draw_shade.polygon(nested, fill=int(brightness * light))

    def paint(self, points: Sequence[Point] | None, colour: Colour) -> None:
        """Colour a patch of what is already there, keeping its light and its part."""
        if points:
            self._draw_albedo.polygon(_whole(points), fill=colour)

    def paint_within(self, points: Sequence[Point], limits: Sequence[Point], colour: Colour) -> None:
        """Colour a patch where it lies inside another outline."""
        corners = _whole(points)
        left, top = (max(min(axis), 0) for axis in zip(*corners, strict=True))
        right, bottom = (max(axis) + 1 for axis in zip(*corners, strict=True))
        if right <= left or bottom <= top:
            return
        patch, area = (Image.new("L", (right - left, bottom - top), 0) for _ in range(2))
        for mask, shape in ((patch, corners), (area, _whole(limits))):
            ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in shape], fill=255)
        self.albedo.paste(colour, (left, top), ImageChops.multiply(patch, area))

    def shadow(self, points: Sequence[Point], brightness: int) -> None:
        """Set the light of a patch, keeping its colour and its part."""
        self._draw_shade.polygon(_whole(points), fill=brightness)

    def crease(self, points: Sequence[Point], brightness: int, width: int = 3) -> None:
        """A fold or a hair: a line of light or shadow."""
        self._draw_shade.line(_whole(points), fill=brightness, width=width)

    def stroke(self, points: Sequence[Point], colour: Colour, width: int, part: int | None = None) -> None:
        """A line of colour; with `part` it also covers what was there."""
        self._draw_albedo.line(_whole(points), fill=colour, width=width, joint="curve")
        if part is not None:
            self._draw_label.line(_whole(points), fill=part, width=width)

    def body_box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of everything labelled so far, in canvas pixels."""
        box = self.label.getbbox()
        if box is None:
            raise ValueError("nothing is drawn on the canvas yet")
        return box

    def shows(self, point: Point, parts: Iterable[int]) -> bool:
        """Whether the pixel at a point belongs to one of the parts."""
        x, y = round(point[0]), round(point[1])
        width, height = self.label.size
        return 0 <= x < width and 0 <= y < height and self.label.getpixel((x, y)) in parts

    def picture(self) -> Image.Image:
        """The lit scene at the size of the final image."""
        lit = ImageChops.multiply(self.albedo, Image.merge("RGB", [self.shade] * 3))
        return lit.reduce(OVERSAMPLING)


def tinted(colour: Colour, factor: float) -> Colour:
    """A colour made darker (below 1) or lighter (above 1), kept within 0..255."""
    red, green, blue = (min(255, max(0, int(channel * factor))) for channel in colour)
    return red, green, blue


def blended(a: Colour, b: Colour, share: float) -> Colour:
    """A colour at a share of the way from a to b."""
    red, green, blue = (int(p + share * (q - p)) for p, q in zip(a, b, strict=True))
    return red, green, blue


def _whole(points: Iterable[Point]) -> list[tuple[int, int]]:
    return [(round(x), round(y)) for x, y in points]
