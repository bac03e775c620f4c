"""Text in pictures: a font with Latin, Cyrillic, Greek, Arabic and Hebrew letters; captions that fit their place."""

import unicodedata
from functools import cache
from pathlib import Path

from PIL import ImageFont

SIZE = 12  # pixels
ELLIPSIS = "…"


@cache
def font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib; Pillow's own font depends on how it was built."""
    return ImageFont.truetype(str(_path()), SIZE)


def drawable(text: str) -> str:
    """The text with escapes, as Python writes them, in place of the characters that the font has no glyph for."""
    return "".join(_drawable_parts(text))


def fitted(text: str, width: float, keep_end: bool = True) -> str:
    """The drawable text; where it is wider than `width` pixels, its end (or its beginning) with an ellipsis."""
    parts = _drawable_parts(text)  # an escape is kept or dropped as a whole
    for kept in range(len(parts), -1, -1):
        end = "".join(parts[len(parts) - kept :] if keep_end else parts[:kept])
        shown = end if kept == len(parts) else ELLIPSIS + end if keep_end else end + ELLIPSIS
        if font().getlength(shown) <= width:
            return shown
    return ""


def _drawable_parts(text: str) -> list[str]:
    return [one if _has_glyph(one) else _escaped(one) for one in unicodedata.normalize("NFC", text)]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode() if not character.isascii() else " "


def _has_glyph(character: str) -> bool:
    return character.isprintable() and ord(character) in _characters()


@cache
def _characters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(_path())).get_charmap())


def _path() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
