"""What a file of weights says of itself, without the libraries that read the weights."""

import json
from pathlib import Path
from typing import Any

HEADER_LIMIT = 2**26  # bytes; safetensors' own limit is 100 MB


def read_header(path: Path) -> dict[str, Any]:
    """What a safetensors file of this project says of itself; empty for any other file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length < HEADER_LIMIT:
            return {}
        text = file.read(length)
    try:
        header = json.loads(json.loads(text)["__metadata__"]["auxreid"])
    except (ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}
