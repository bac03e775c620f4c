"""When a photograph was taken, by its EXIF data."""

import re
from datetime import UTC, datetime
from typing import BinaryIO

from PIL import ExifTags, Image

from auxreid.data.decoding import UNREADABLE

FORM = "%Y:%m:%d %H:%M:%S"


def time_taken(file: BinaryIO) -> float | None:
    """Seconds since 1970 by the camera's clock, with its parts of a second; None where the file does not say.

    Zones are left aside: of one camera, only differences count.
    """
    try:
        with Image.open(file) as image:
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except (*UNREADABLE, KeyError, TypeError):
        return None
    said = str(tags.get(ExifTags.Base.DateTimeOriginal, "")).strip("\0 ")
    part = str(tags.get(ExifTags.Base.SubsecTimeOriginal, "")).strip("\0 ")
    try:
        moment = datetime.strptime(said, FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp() + (float(f"0.{part}") if re.fullmatch(r"\d+", part) else 0.0)


def date_of(taken: float | None) -> str:
    """Year, month and day; empty where the time is not known."""
    return "" if taken is None else datetime.fromtimestamp(taken, UTC).strftime("%Y-%m-%d")
