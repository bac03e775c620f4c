"""What words mean: values, nouns, hints and what is known to tell nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from auxreid.search.words.spelling import Slips

Words = tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """What an adjective says: of which attributes, which words (several: one of them)."""

    means: Mapping[str, Words]
    alone: bool = True  # whether it means that without a noun
    bound: bool = False  # it names its part itself ("short-haired")
    whole: str | None = None  # of the attributes, the one that it tells of the animal or without a noun
    colour: bool = False  # which any part may have


@dataclass(frozen=True)
class Noun:
    """What adjectives stand with."""

    name: str
    of: Words = ()  # attributes that are told of it
    whole: bool = False  # the animal itself
    dimension: bool = False  # what is measured of another noun ("of small size")
    markings: str = ""  # the attribute that it tells the mixture of
    note: str = ""  # of :mod:`notes`: why the noun itself says nothing
    present: str = ""  # an attribute of yes and no


@dataclass(frozen=True)
class Hint:
    """A word that changes what stands beside it, by its kind."""

    kind: str


@dataclass(frozen=True)
class Known:
    """A word that is understood and tells no attribute."""

    note: str


Meaning = Value | Noun | Hint | Known


@dataclass(frozen=True)
class Lexicon:
    """Forms and what they mean, for one vocabulary."""

    vocabulary: Mapping[str, Words]
    meanings: Mapping[Words, Meaning]  # by the form's words
    scales: Mapping[str, Words]
    mixtures: Mapping[str, str]  # attribute -> the word for two of its others at once
    units: Mapping[str, tuple[str, float]]  # unit -> kg or cm, and how many
    tall: frozenset[str]
    bounds: Mapping[str, Any] = field(default_factory=dict)
    not_typos: frozenset[str] = frozenset()

    @cached_property
    def longest(self) -> int:
        """Of how many words the longest form is."""
        return max(map(len, self.meanings))

    @cached_property
    def slips(self) -> Slips:
        """Of the words of meaning that are forms by themselves."""
        return Slips(key[0] for key, one in self.meanings.items() if len(key) == 1 and not isinstance(one, Hint))
