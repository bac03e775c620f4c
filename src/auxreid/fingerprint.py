"""One name for all that the result of a stage follows from: a checkpoint of anything else must not be continued."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from auxreid.closure import import_closure
from auxreid.errors import DataError


def fingerprint(script: Path, inputs: Iterable[str | Path], settings: Mapping[str, object]) -> str:
    """SHA-256 (hex) over the settings and the contents of the input files and of the script with all that it imports.

    Args:
        script: pipeline/<stage>.py of the repository whose sources run.
        settings: JSON values: the parameters and whatever else decides on the result.

    Raises:
        DataError: an input is not there.
    """
    script = Path(script).resolve()
    root = script.parents[1]
    sources = import_closure(script.relative_to(root), root)
    content = {
        "settings": settings,
        "inputs": {str(path): _sha256(Path(path)) for path in inputs},
        "sources": {name: _sha256(root / name) for name in sources},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
