"""Options of a command as parts of a query."""

import re
from collections.abc import Iterable
from datetime import date

from auxreid.lostpets.query import Near, Stated
from auxreid.plumbing.base.errors import ConfigError

STATED = re.compile(r"(?P<name>[\w-]+)(?P<sign>!?=)(?P<words>.+)")


def near_of(text: str) -> Near:
    """Of "LAT,LON,KM". Raises ConfigError for anything else."""
    try:
        latitude, longitude, km = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--near {text}: latitude, longitude and kilometres are needed: 55.75,37.62,5") from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180 and km > 0):
        raise ConfigError(f"--near {text}: degrees from -90 to 90 and -180 to 180, and kilometres above 0 are needed")
    return Near(latitude, longitude, km)


def day_of(option: str, text: str) -> date:
    """Of "2024-05-17". Raises ConfigError for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text}: a date is needed: 2024-05-17") from None


def stated_of(texts: Iterable[str]) -> dict[str, Stated]:
    """Of "size=small", "coat=short,wire" and "ears!=drop". Raises ConfigError for anything else."""
    found: dict[str, Stated] = {}
    for text in texts:
        match = STATED.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"--stated {text}: an attribute and its words are needed: size=small,medium or ears!=drop"
            )
        words = tuple(word.strip() for word in match["words"].split(",") if word.strip())
        if not words:
            raise ConfigError(f"--stated {text}: names no word; size=small,medium or ears!=drop is needed")
        before = found.get(match["name"], Stated())
        if match["sign"] == "=":
            found[match["name"]] = Stated(before.words + words, before.excluded)
        else:
            found[match["name"]] = Stated(before.words, before.excluded + words)
    return found
