"""A description in words, in English or Russian, of what is true of an animal: what the evaluation asks with."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from auxreid.search.words.building import read_entries

Language = Literal["en", "ru"]


def describe(words: Mapping[str, str | None], language: Language, turn: int = 0) -> str:
    """ "a small white dog with erect ears and a long coat", "маленькая белая собака, стоячие уши, длинная шерсть".

    Args:
        words: by attribute; None: unknown, of which nothing is said.
        turn: which of the ways to say it; any number.
    Raises:
        ValueError: the lexicon does not say how a word is said.
    """
    said = read_entries()["said"][language]
    known = {name: word for name, word in words.items() if word is not None}
    for name in known:
        if name not in said["before"] and name not in said["behind"]:
            raise ValueError(
                f"{name}: the lexicon says no words of it, only of {', '.join(said['before'] | said['behind'])}"
            )
    before = [_way(some, known[name], name, turn) for name, some in said["before"].items() if name in known]
    behind = [_way(some, known[name], name, turn) for name, some in said["behind"].items() if name in known]
    head = " ".join([*before, _turn(said["animal"], turn)])
    if language == "en":
        head = f"{'an' if head[0] in 'aeiou' else 'a'} {head}"
    listed = _turn(said["last"], turn).join(filter(None, [said["comma"].join(behind[:-1]), *behind[-1:]]))
    return f"{head}{_turn(said['with'], turn)}{listed}" if listed else head


def _way(ways: Mapping[str, Any], word: str, name: str, turn: int) -> str:
    if word not in ways:
        raise ValueError(f"{name} is {word!r}: the lexicon says no words of it, only of {', '.join(ways)}")
    return _turn(ways[word], turn)


def _turn(ways: Sequence[str], turn: int) -> str:
    return ways[turn % len(ways)]
