"""Uploads to the lost-pet service: each kind of bad file has its answer, and of a good one only pixels stay."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from pets_client import files, pets
from PIL import Image, PngImagePlugin
from toy_engine import photo_of

from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.settings import MEGABYTE, Settings
from auxreid.lostpets.service.uploads import cleaned

GOOD = photo_of("red", 0)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<html><script>alert(1)</script></html>"
ORIENTATION, GPS, MAKER = 0x0112, 0x8825, 0x010F


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has almost nothing in it."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))
    return b"".join(parts)


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil.sh", "rm -rf /")
    return file.getvalue()


def with_text_bomb() -> bytes:
    """A PNG with a comment of 100 MB, compressed."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 100_000_000, zip=True)
    return encoded(Image.new("RGB", (32, 32)), "PNG", pnginfo=info)


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[ORIENTATION], found[MAKER] = orientation, "Secret Camera"
    found[GPS] = {1: "N", 2: (56.0, 57.0, 3.0), 3: "E", 4: (24.0, 6.0, 31.0)}
    return found


def halves() -> Image.Image:
    """Left half red, right half blue, 80 x 40."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40, 0] = pixels[:, 40:, 2] = 255
    return Image.fromarray(pixels)


def several(kind: str, **options) -> bytes:
    more = [Image.new("RGB", (32, 32), colour) for colour in ("green", "blue")]
    return encoded(Image.new("RGB", (32, 32), "red"), kind, save_all=True, append_images=more, **options)


# What is sent: its name, type, content; and the status and what the reason has in it.
ATTACKS = [
    ("zero bytes", "photo.jpg", "image/jpeg", lambda: b"", 422, "zero bytes"),
    ("truncated JPEG", "photo.jpg", "image/jpeg", lambda: GOOD[: len(GOOD) // 2], 422, "damaged or cut off"),
    ("truncated PNG", "photo.png", "image/png", lambda: photo_of("red", 0, kind="PNG")[:4000], 422, "cut off"),
    ("truncated WebP", "photo.webp", "image/webp", lambda: photo_of("red", 0, kind="WEBP")[:900], 422, "damaged"),
    ("JPEG's header alone", "photo.jpg", "image/jpeg", lambda: GOOD[:20], 422, "damaged"),
    ("bomb: PNG that says 30,000 x 30,000", "a.png", "image/png", lambda: png_of_size(30_000, 30_000), 413, "pixels"),
    ("bomb: PNG that says 10,000 x 8,000", "a.png", "image/png", lambda: png_of_size(10_000, 8_000), 413, "64 million"),
    ("bomb: PNG that says 8,000 x 8,000", "a.png", "image/png", lambda: png_of_size(8_000, 8_000), 422, "damaged"),
    ("bomb: PNG with 100 MB of text", "a.png", "image/png", with_text_bomb, 422, "damaged"),
    ("11 MB", "photo.jpg", "image/jpeg", lambda: GOOD + b"\0" * 11 * MEGABYTE, 413, "more than 10 MB"),
    ("SVG", "photo.svg", "image/svg+xml", lambda: SVG, 415, "an SVG drawing"),
    ("SVG that is called a JPEG", "photo.jpg", "image/jpeg", lambda: b'<?xml version="1.0"?>' + SVG, 415, "an SVG"),
    ("HTML that is called a JPEG", "photo.jpg", "image/jpeg", lambda: HTML, 415, "not a photograph"),
    ("ZIP", "photo.jpg", "image/jpeg", zip_file, 415, "a ZIP archive"),
    ("GIF", "photo.gif", "image/gif", lambda: photo_of("red", 0, kind="GIF"), 415, "a GIF"),
    ("BMP", "photo.bmp", "image/bmp", lambda: photo_of("red", 0, kind="BMP"), 415, "a BMP"),
    ("TIFF", "photo.tif", "image/tiff", lambda: photo_of("red", 0, kind="TIFF"), 415, "a TIFF"),
    ("PDF", "photo.pdf", "application/pdf", lambda: b"%PDF-1.7 ...", 415, "a PDF"),
    ("HEIC", "photo.heic", "image/heic", lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 415, "HEIC"),
    ("animated PNG", "photo.png", "image/png", lambda: several("PNG"), 422, "animated, 3 pictures"),
    ("animated WebP", "photo.webp", "image/webp", lambda: several("WEBP"), 422, "animated, 3 pictures"),
    ("JPEG with HTML behind it", "photo.jpg", "image/jpeg", lambda: GOOD + HTML, 200, ""),
    ("JPEG with a ZIP behind it", "photo.jpg", "image/jpeg", lambda: GOOD + zip_file(), 200, ""),
    ("JPEG of a telephone: two pictures", "photo.jpg", "image/jpeg", lambda: several("MPO"), 200, ""),
    ("path in the name", "../../etc/passwd\0.jpg", "image/jpeg", lambda: GOOD, 200, ""),
    ("PNG that is called text", "photo.txt", "text/plain", lambda: photo_of("red", 0, kind="PNG"), 200, ""),
    ("grey, 16 bits", "a.png", "image/png", lambda: encoded(Image.new("I;16", (9, 9), 40_000), "PNG"), 200, ""),
    ("CMYK", "a.jpg", "image/jpeg", lambda: encoded(Image.new("CMYK", (32, 32)), "JPEG"), 200, ""),
    ("one pixel", "a.png", "image/png", lambda: encoded(Image.new("RGB", (1, 1)), "PNG"), 200, ""),
    ("20,000 x 1 pixels", "a.png", "image/png", lambda: encoded(Image.new("RGB", (20_000, 1)), "PNG"), 200, ""),
    ("turned, with its place", "a.jpg", "image/jpeg", lambda: encoded(halves(), "JPEG", exif=exif(6)), 200, ""),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with pets(tmp_path_factory.mktemp("pets")) as one:
        yield one


def test_each_upload_of_the_attack_set_has_its_answer(service):
    table = []
    for what, name, kind, content, status, reason in ATTACKS:
        answer = service.client.post("/api/look", files=files(content(), name=name, kind=kind))
        said = answer.json().get("error", "taken")
        table.append(f"{what:40} {answer.status_code} {said}")
        assert answer.status_code == status and reason in said, table[-1]
        assert answer.status_code == 200 or answer.json()["field"] == "photos"
    print("\n" + "\n".join(table))
    kept = [path for path in service.home.rglob("*") if path.is_file() and path.suffix == ".jpg"]
    assert kept and all(path.stem == path.stem.lower() and len(path.stem) == 64 for path in kept)
    for path in kept:
        content = path.read_bytes()
        assert not any(part in content for part in (b"<script", b"evil.sh", b"Exif", b"Secret", b"passwd"))
        with Image.open(path) as image:
            image.load()
            assert image.format == "JPEG" and not image.getexif() and max(image.size) <= Settings().stored_side


def test_too_many_photographs_and_none(service):
    assert service.look(*[photo_of("red", view) for view in range(7)]).json() == {
        "error": "7 photographs; at most 6 of one dog",
        "field": "photos",
    }
    answer = service.client.post("/api/look", files={"crops": (None, "[]")})
    assert answer.status_code == 422 and answer.json()["field"] == "photos"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photograph_is_upright_whatever_its_size(kind, orientation):
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn |= {2: Image.Transpose.FLIP_LEFT_RIGHT, 4: Image.Transpose.FLIP_TOP_BOTTOM}
    turn |= {5: Image.Transpose.TRANSPOSE, 7: Image.Transpose.TRANSVERSE}
    for scale in (1, 30):  # the second one is kept smaller
        lying = halves().resize((80 * scale, 40 * scale))
        lying = lying.transpose(turn[orientation]) if orientation in turn else lying
        photo = cleaned(encoded(lying, kind, exif=exif(orientation)), Settings(stored_side=800))
        assert (photo.width, photo.height) == ((80, 40) if scale == 1 else (800, 400))
        with Image.open(io.BytesIO(photo.content)) as image:
            pixels = np.asarray(image).astype(int)
        left, right = pixels[:, : photo.width // 3].mean(axis=(0, 1)), pixels[:, -photo.width // 3 :].mean(axis=(0, 1))
        assert left[0] > 200 > 60 > left[2] and right[2] > 200 > 60 > right[0]


def test_what_is_transparent_is_white_and_grey_of_16_bits_is_scaled():
    clear = cleaned(encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), "PNG"), Settings())
    grey = cleaned(encoded(Image.new("I;16", (40, 40), 0x8000), "PNG"), Settings())
    for photo, level in ((clear, 255), (grey, 128)):
        with Image.open(io.BytesIO(photo.content)) as image:
            assert abs(np.asarray(image).astype(int) - level).max() <= 2


def test_equal_photographs_have_one_name_and_the_limits_are_those_of_the_settings():
    assert cleaned(GOOD, Settings()).name == cleaned(GOOD + HTML, Settings()).name
    with pytest.raises(Refused, match="more than 1 million"):
        cleaned(encoded(Image.new("RGB", (1001, 1000)), "PNG"), Settings(upload_pixels=1_000_000))
