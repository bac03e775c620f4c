"""One name for all that the result of a stage follows from: a checkpoint of anything else must not be continued."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import file_hash


def fingerprint(code: str, inputs: Iterable[str | Path], settings: Mapping[str, object]) -> str:
    """SHA-256 (hex) over the settings, the contents of the input files and the hash of the code.

    Args:
        code: of what runs, as results/sources/<stage>.json has it.
        settings: JSON values: the parameters and whatever else decides on the result.

    Raises:
        DataError: an input is not there.
    """
    content = {
        "settings": settings,
        "inputs": {str(path): _sha256(Path(path)) for path in inputs},
        "code": code,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
