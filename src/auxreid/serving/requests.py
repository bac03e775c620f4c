"""What a served model is asked with: images in a column or a list, and what may stand beside them."""

import base64
import binascii
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from auxreid.plumbing.base.errors import DataError
from auxreid.serving.photos import Image

SERVED = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"  # MLflow's variable in a process that answers over HTTP
IMAGE, POSE, CAMERA = "image", "pose", "camera"  # the columns

os.environ.setdefault("AUXREID_WORKERS", "0")  # a request has few images: no measurement of decoding processes


def images_of(asked: Any) -> list[Image]:
    """The images of a pandas table (its column `image`, or its first one), a series, an array or a list.

    Text is a path; where the model answers over HTTP it is the bytes in base64, so that nobody reads this machine's
    files from elsewhere. MLflow has decoded that of tables, and hands on that of lists as bytes.

    Raises:
        DataError: an entry is neither bytes nor text, or it is no base64 where that is needed.
    """
    if hasattr(asked, "columns"):
        asked = asked[IMAGE] if IMAGE in asked.columns else asked.iloc[:, 0]
    served = os.environ.get(SERVED, "").lower() in ("true", "1")
    return [_image(position, entry, served) for position, entry in enumerate(asked)]


def cameras_of(asked: Any) -> list[Any] | None:
    """What a pandas table says of each image's camera, to be looked at by who takes it; None where it has no column."""
    return _column(asked, CAMERA)


def poses_of(asked: Any) -> np.ndarray | None:
    """The poses in a pandas table's column as one array, float32; None where it has none.

    Raises:
        DataError: its entries have different lengths, or are no numbers.
    """
    if (entries := _column(asked, POSE)) is None:
        return None
    try:
        return np.array(entries, np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(f"column {POSE}: no array of numbers ({error})") from None


def _column(asked: Any, name: str) -> list[Any] | None:
    return asked[name].tolist() if hasattr(asked, "columns") and name in asked.columns else None


@contextmanager
def answering() -> Iterator[None]:
    """Makes what a user can act on an error of MLflow's, which tells it over HTTP without a traceback."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except DataError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error


def _image(position: int, entry: Any, served: bool) -> Image:
    if isinstance(entry, bytes | bytearray | memoryview):
        content = bytes(entry)
        return (_decoded(content) or content) if served else content
    if isinstance(entry, os.PathLike) and not served:
        return os.fspath(entry)
    if not isinstance(entry, str):
        raise DataError(f"image {position}: a {type(entry).__name__}, expected the bytes of an image file or a path")
    if not served:
        return entry
    if (decoded := _decoded(entry)) is None:
        raise DataError(f"image {position}: text that is no base64; over HTTP an image is its file's bytes in base64")
    return decoded


def _decoded(text: str | bytes) -> bytes | None:
    """Base64 decoded; None of anything else, such as an image file, which has other characters in its head."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
