"""Looks as bytes, to be kept in a table."""

import io

import numpy as np

from auxreid.search.looks import Looks

EMBEDDING = "embedding"
ATTRIBUTE = "attr_"


def to_bytes(looks: Looks) -> bytes:
    """Arrays alone, without pickles."""
    file = io.BytesIO()
    arrays = {f"{ATTRIBUTE}{name}": values for name, values in looks.probabilities.items()}
    np.savez(file, allow_pickle=False, **{EMBEDDING: looks.embedding}, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> Looks:
    """What :func:`to_bytes` kept."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        names = [name for name in arrays.files if name.startswith(ATTRIBUTE)]
        return Looks(arrays[EMBEDDING], {name.removeprefix(ATTRIBUTE): arrays[name] for name in names})
