"""A photograph as it is kept: read by its content, upright, of bounded size, and encoded anew without any metadata."""

import hashlib
import io
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from auxreid.data.decoding import LARGE, UNREADABLE, fingerprint
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.settings import MEGABYTE, Settings

FORMATS = ("JPEG", "PNG", "WEBP")
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF")  # of their files
WANTED = "send a JPEG, PNG or WebP photograph"
QUALITY = 90
THUMBNAIL = 160  # pixels of the longer side
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis")
KNOWN = (  # what people send instead: how it begins, and its name
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"<svg", "an SVG drawing"),
)
FIELD = "photos"
_few_photos = BoundedSemaphore(4)  # each of tens of megabytes while it is decoded
_one_large_photo = Lock()  # of hundreds of megabytes
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the size is checked before decoding


@dataclass(frozen=True)
class Photo:
    """An upload as it is kept: the SHA-256 of its bytes is its name."""

    name: str
    content: bytes = field(repr=False)
    width: int
    height: int
    fingerprint: np.ndarray = field(compare=False, repr=False)
    thumbnail: bytes = field(compare=False, repr=False)


def cleaned(content: bytes, settings: Settings) -> Photo:
    """Decode an upload and encode it anew: what was not pixels is gone, where it was taken above all.

    Raises:
        Refused: 413 of too many bytes or pixels, 415 of what is no photograph of these formats, 422 of one that is
            empty, broken or animated.
    """
    if not content:
        raise Refused(422, "zero bytes: the file is empty", FIELD)
    if len(content) > settings.upload_bytes:
        raise Refused(413, f"more than {settings.upload_bytes // MEGABYTE} MB; send a smaller photograph", FIELD)
    with _few_photos:
        image = _opened(content)
        pixels = image.width * image.height
        if pixels > settings.upload_pixels:
            raise _too_many_pixels(f"{image.width} x {image.height}", settings)
        with _one_large_photo if pixels > LARGE else nullcontext():
            return _encoded(_upright(image, settings.stored_side))


def _opened(content: bytes) -> Image.Image:
    """The image by its header alone. A JPEG of several pictures, as telephones write it, is its first one."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise Refused(413, "far more pixels than are decoded; send a smaller photograph", FIELD) from None
    except (UnidentifiedImageError, *UNREADABLE):
        if not content.startswith(BEGINNINGS) or (content[:4] == b"RIFF" and content[8:12] != b"WEBP"):
            raise Refused(415, _told_kind(content), FIELD) from None
        raise Refused(422, "damaged: its header cannot be read", FIELD) from None
    frames = 1 if image.format in ("JPEG", "MPO") else getattr(image, "n_frames", 1)
    if frames > 1:
        raise Refused(422, f"animated, {frames} pictures; send one photograph", FIELD)
    return image


def _too_many_pixels(size: str, settings: Settings) -> Refused:
    most = settings.upload_pixels // 1_000_000
    return Refused(413, f"{size} pixels, more than {most} million; send a smaller photograph", FIELD)


def _told_kind(content: bytes) -> str:
    head = content[:512].lstrip()
    if head[4:8] == b"ftyp" and head[8:12] in HEIC:
        return f"a HEIC or AVIF photograph, which is not read here; {WANTED}"
    if head[:5] == b"<?xml" and b"<svg" in content[:4096]:
        return f"an SVG drawing; {WANTED}"
    kind = next((name for start, name in KNOWN if head.startswith(start)), "not a photograph that is known here")
    return f"{kind}; {WANTED}"


def _upright(image: Image.Image, side: int) -> Image.Image:
    """RGB, turned as its EXIF data say, at most so many pixels long."""
    try:
        image.draft("RGB", (side, side))  # a large JPEG is decoded at a half, a quarter or an eighth
        image.load()
        return ImageOps.exif_transpose(_in_colour(_reduced(image, side)))
    except UNREADABLE:
        raise Refused(422, "damaged or cut off: it cannot be decoded to its end", FIELD) from None


def _reduced(image: Image.Image, side: int) -> Image.Image:
    """No longer than so many pixels; what turns it upright stays with it."""
    if max(image.size) > side:
        exif = image.getexif()
        if image.mode not in ("L", "RGB", "RGBA", "I;16"):
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        image.thumbnail((side, side), Image.Resampling.BILINEAR if image.mode == "I;16" else Image.Resampling.LANCZOS)
        image.info["exif"] = exif.tobytes()
    return image


def _in_colour(image: Image.Image) -> Image.Image:
    exif = image.info.get("exif")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    image = image.convert("RGB")
    if exif is not None:
        image.info["exif"] = exif
    return image


def _encoded(image: Image.Image) -> Photo:
    pixels = np.asarray(image)
    content = _jpeg(Image.fromarray(pixels))
    small = Image.fromarray(pixels)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    name = hashlib.sha256(content).hexdigest()
    return Photo(name, content, image.width, image.height, fingerprint(pixels), _jpeg(small))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
