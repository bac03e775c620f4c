"""Nested blocks under dotted names."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(block: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a block of blocks by their dotted keys, in order; an empty block is a value."""
    for name, value in block.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
