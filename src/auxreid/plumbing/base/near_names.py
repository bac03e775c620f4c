"""Names like one that is not there, for the end of a message."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, names: Iterable[str]) -> str:
    """The names like this one; empty if there are none."""
    found = get_close_matches(name, list(names), 3)
    return f"; near to it: {', '.join(found)}" if found else ""
