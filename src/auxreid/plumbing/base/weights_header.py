"""What a file of weights says of itself, without the libraries that read the weights."""

import json
import math
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.errors import DataError

HEADER_LIMIT = 2**26  # bytes; safetensors' own limit is 100 MB
METADATA = "__metadata__"
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of batch norms: counted, not trained


def read_header(path: Path) -> dict[str, Any]:
    """What a safetensors file of this project says of itself; empty for any other file."""
    try:
        header = json.loads(_read(path)[METADATA]["auxreid"])
    except (ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}


def count_parameters(path: Path) -> int:
    """How many numbers a safetensors file has in its tensors, without the buffers of batch norms.

    Raises:
        DataError: it is no safetensors file.
    """
    try:
        shapes = {name: about["shape"] for name, about in _read(path).items() if name != METADATA}
        return sum(math.prod(shape) for name, shape in shapes.items() if name.rpartition(".")[2] not in BUFFERS)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a safetensors file ({error!r})") from None


def _read(path: Path) -> dict[str, Any]:
    """The JSON in front of the tensors. Raises ValueError where there is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length < HEADER_LIMIT:
            raise ValueError(f"a header of {length} bytes")
        return dict(json.loads(file.read(length)))
