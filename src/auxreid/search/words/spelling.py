"""Known words that a word is one slip of the keys away from."""

from collections import defaultdict
from collections.abc import Iterable

SHORTEST, LONGEST = 6, 30  # letters; shorter words are too often a letter from another one


class Slips:
    """Finds long words by what is left of them when a letter is struck out: a look-up takes as long as its word."""

    def __init__(self, words: Iterable[str]) -> None:
        self._by_rest: dict[str, set[str]] = defaultdict(set)
        for word in words:
            if SHORTEST <= len(word) <= LONGEST:
                for rest in _rests(word):
                    self._by_rest[rest].add(word)

    def near(self, word: str) -> set[str]:
        """Words with one letter more, less or other, or two neighbours swapped, and the same first letter."""
        if not SHORTEST <= len(word) <= LONGEST:
            return set()
        found = set().union(*(self._by_rest.get(rest, ()) for rest in _rests(word)))
        return {one for one in found if one[0] == word[0] and one_slip(word, one)}


def one_slip(word: str, other: str) -> bool:
    """Whether one letter is more, less or other, or two neighbours are swapped."""
    if word == other or abs(len(word) - len(other)) > 1:
        return False
    pairs = enumerate(zip(word, other, strict=False))
    same = next((place for place, (one, two) in pairs if one != two), min(len(word), len(other)))
    a, b = word[same:], other[same:]
    swapped = len(a) == len(b) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]


def _rests(word: str) -> set[str]:
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
