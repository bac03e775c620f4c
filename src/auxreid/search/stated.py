"""What somebody says of an attribute, in the words of its vocabulary."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stated:
    """What the user says of one attribute: one of these words, or none of those. Empty in both: unknown."""

    words: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def says(self) -> bool:
        """Whether anything is known by it."""
        return bool(self.words or self.excluded)
