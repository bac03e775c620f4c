"""Long lists of names in a line."""

from collections.abc import Iterable

SHOWN = 5


def few(names: Iterable[str], most: int = SHOWN) -> str:
    """The first few names of a list, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
