"""One part of a description, and how it was taken."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phrase:
    """A part of a description: `text` is the description from `start` to `end`.

    Where `attribute` is None, it tells no attribute that is known; where `words` is empty, nothing is made of it.
    `note` says why, or what is to be known of what was made of it.
    """

    text: str
    start: int
    end: int
    attribute: str | None = None
    words: tuple[str, ...] = ()  # one of these, or, where negated, none of these
    negated: bool = False
    note: str = ""
