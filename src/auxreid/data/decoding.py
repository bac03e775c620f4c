"""Decoding of image files: what all stages see of one, and what a look at it before tells."""

import io
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

LARGE = 2**24  # pixels; larger images are looked at one at a time, where possible at an eighth of their size
PNG, PNG_DEPTH_AT = b"\x89PNG\r\n\x1a\n", 24
DARKEST = 2**12  # a largest value below, in 16 bits, is a depth of 10 or 12 bits: 8 bits of it are nearly black
TURNED = range(5, 9)  # EXIF orientations that change width and height
SIDE = 8  # of a fingerprint
FLAT = 2.0  # grey levels: a fingerprint of less spread is noise

# It warns of half the size at which it refuses; the files are the user's own.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_one_large_image = Lock()
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Look:
    """What a look at an image tells: its upright size in pixels, and a fingerprint float32 [64] (see `fingerprint`)."""

    width: int
    height: int
    fingerprint: np.ndarray = field(compare=False)


def decode(content: bytes | memoryview, reduced: bool = False) -> np.ndarray | None:
    """uint8 RGB [h, w, 3], turned upright if the file says how; None if it cannot be read. `reduced`: an eighth."""
    if _turned_webp(content):  # which OpenCV leaves as it lies
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.array(upright.reduce(8) if reduced else upright)
    # Where OpenCV reads RGB itself, a large image is not held twice.
    pixels = cv2.imdecode(
        np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_COLOR_8 if reduced else cv2.IMREAD_COLOR_RGB
    )
    return pixels if pixels is None or not reduced else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def is_large(path: Path) -> bool:
    """Whether an image has more than `LARGE` pixels, by its header; False where there is none that can be read."""
    try:
        with Image.open(path) as image:
            return image.width * image.height > LARGE
    except UNREADABLE:
        return False


def room_for(large: bool) -> AbstractContextManager:
    """To hold while an image is read and looked at: large ones, of hundreds of megabytes, take turns."""
    return _one_large_image if large else nullcontext()


def look(content: bytes, large: bool = False) -> Look | str:
    """Decode an image in full and say what it is, or why it cannot be used; a large one in less memory.

    Pillow says when data end too early, where OpenCV fills up with grey; OpenCV is what reads the image later on.
    """
    try:
        size = _size_once_read(content, large)
    except UnidentifiedImageError:
        return "does not decode: not in any image format that is known"
    except UNREADABLE as error:
        return f"does not decode: {error}"
    pixels = decode(content, reduced=large)
    if pixels is None:
        return "does not decode: OpenCV cannot read it"
    width, height = size if large else pixels.shape[1::-1]
    return _too_dark(content) or Look(width, height, fingerprint(pixels))


def _size_once_read(content: bytes, large: bool) -> tuple[int, int]:
    """The upright size, once Pillow has read all of the file: a large PNG's check sums, a large JPEG at an eighth."""
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        if large and image.format == "PNG":
            image.verify()
            image = Image.open(io.BytesIO(content))
        elif large:
            image.draft(image.mode, (width // 8, height // 8))
            image.load()
        else:
            image.load()
        turned = "exif" in image.info and image.getexif().get(ExifTags.Base.Orientation) in TURNED
    return (height, width) if turned else (width, height)


def _too_dark(content: bytes) -> str | None:
    if content[:8] != PNG or content[PNG_DEPTH_AT] != 16:
        return None
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    largest = int((values if values.ndim == 2 else values[..., :3]).max())
    if not 0 < largest < DARKEST:
        return None
    return (
        f"too dark: of 16 bits {largest.bit_length()} are used (the largest value is {largest}), and 8 bits of it are "
        "nearly black; scale the values to 16 bits, or save them in 8"
    )


def fingerprint(pixels: np.ndarray) -> np.ndarray:
    """float32 [64]: the grey image at 8 x 8 pixels without its mean, of length 1; zero where there is nothing to see.

    The product of two is their correlation, which re-encoding and scaling hardly change.
    """
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    values = grey.astype(np.float32).ravel() - grey.mean(dtype=np.float32)
    length = float(np.linalg.norm(values))
    return values / length if length > FLAT * SIDE else np.zeros_like(values)


def _turned_webp(content: bytes | memoryview) -> bool:
    """Whether it is a WebP file with EXIF data, which may say how it is turned."""
    head = bytes(content[:21])
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 0x08)
