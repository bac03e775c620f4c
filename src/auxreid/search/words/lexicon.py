"""What words mean for a vocabulary: the package's lexicon of English and Russian, and the vocabulary's own words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from auxreid.search.words.russian import adjective, with_endings
from auxreid.search.words.spelling import Slips
from auxreid.search.words.tokens import key_of

NO_YES = {"no", "yes"}
ANIMAL = "animal"
Words = tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """What an adjective says: of which attributes, which words (several: one of them)."""

    means: Mapping[str, Words]
    alone: bool = True  # whether it means that without a noun
    bound: bool = False  # it names its part itself ("short-haired")


@dataclass(frozen=True)
class Noun:
    """What adjectives stand with."""

    name: str
    of: Words = ()  # attributes that are told of it
    whole: bool = False  # the animal itself
    dimension: bool = False  # what is measured of another noun ("of small size")
    markings: str = ""  # the attribute that it tells the mixture of
    note: str = ""  # why the noun itself says nothing
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
Vocabulary = Mapping[str, Sequence[str]]


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


def lexicon_for(vocabulary: Vocabulary, spoken: Mapping[str, Mapping[str, str]] | None = None) -> Lexicon:
    """The package's lexicon, as far as the vocabulary has its attributes and words, and the vocabulary's own words.

    Args:
        spoken: by attribute, how its words are said where that is not as they stand.
    """
    words = tuple((name, tuple(some)) for name, some in vocabulary.items())
    said = tuple((name, tuple(some.items())) for name, some in (spoken or {}).items())
    return _lexicon_for(words, said)


@lru_cache(maxsize=32)
def _lexicon_for(words: tuple, said: tuple) -> Lexicon:
    entries, vocabulary = read_entries(), dict(words)
    meanings: dict[Words, Meaning] = {}
    for form, meaning in _all_forms(entries, vocabulary, {name: dict(some) for name, some in said}):
        if (key := key_of(form)) and key not in meanings:
            meanings[key] = meaning
    units = {unit: ("kg", share) for unit, share in entries["weights"].items()}
    units |= {unit: ("cm", share) for unit, share in entries["heights"].items()}
    bounds = entries["bounds"]
    fits = set(bounds["words"]) <= set(vocabulary.get(bounds["attribute"], ()))
    return Lexicon(
        vocabulary=MappingProxyType(vocabulary),
        meanings=MappingProxyType(meanings),
        scales={name: tuple(some) for name, some in entries["scales"].items()},
        mixtures={name: one for name, one in entries["mixtures"].items() if one in vocabulary.get(name, ())},
        units=units,
        tall=frozenset(entries["tall"]),
        bounds=bounds if fits else {},
        not_typos=frozenset(entries["not_typos"]),
    )


@lru_cache(maxsize=1)
def read_entries() -> dict[str, Any]:
    """The package's lexicon as it is written."""
    return yaml.safe_load((files("auxreid.search.words") / "lexicon.yaml").read_text(encoding="utf-8"))


def _all_forms(
    entries: dict, vocabulary: Mapping[str, Words], spoken: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, Meaning]]:
    """Forms with their meanings; where a form comes twice, the first one counts."""
    yield from _own_nouns(vocabulary, entries)
    yield from _values(entries, vocabulary, spoken)
    yield from _compounds(entries, vocabulary)
    yield from _nouns(entries, vocabulary)
    for kind, entry in entries["hints"].items():
        yield from ((form, Hint(kind)) for form in forms_of(entry))
    for note, entry in entries["known"].items():
        yield from ((form, Known(f"{note} is not used")) for form in forms_of(entry))
    for form in forms_of(entries["breeds"]):
        yield (
            form,
            Noun("breed", tuple(n for n in ("size", "color") if n in vocabulary), True, note="breeds are not used"),
        )


def forms_of(entry: Mapping[str, Any]) -> Iterator[str]:
    """The forms of an entry: English ones as they stand, Russian adjectives inflected, others with their endings."""
    yield from entry.get("en", ())
    for lemma in entry.get("ru", ()):
        yield from adjective(lemma)
    for form in entry.get("forms", ()):
        yield from with_endings(form)


def _values(
    entries: dict, vocabulary: Mapping[str, Words], spoken: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, Meaning]]:
    """Entries of the lexicon and the vocabulary's words as written, joined where one form is both."""
    means: dict[str, dict[str, Words]] = {}
    alone: dict[str, bool] = {}
    for name, words in vocabulary.items():
        for word in words if set(words) != NO_YES else ():
            for form in {word.replace("_", " "), spoken.get(name, {}).get(word, word)}:
                means.setdefault(form, {})[name] = (word,)
    for entry in entries["values"]:
        known = {}
        for name, word in entry["means"].items():
            some = (word,) if isinstance(word, str) else tuple(word)
            if set(some) <= set(vocabulary.get(name, ())):
                known[name] = some
        for form in forms_of(entry) if known else ():
            means[form] = known | means.get(form, {})
            alone[form] = entry.get("alone", True)
    for form, one in means.items():
        yield form, Value(one, alone.get(form, True))
    for entry in entries["values"]:
        for form in entry.get("first", ()):
            if set(entry["means"]) <= set(vocabulary):
                yield form, Value({n: (w,) if isinstance(w, str) else tuple(w) for n, w in entry["means"].items()})


def _compounds(entries: dict, vocabulary: Mapping[str, Words]) -> Iterator[tuple[str, Meaning]]:
    for entry in entries["compounds"]:
        part = entry["part"]
        for word in vocabulary.get(part, ()):
            value = Value({part: (word,)}, bound=True)
            for first in entry["en"]["first"].get(word, ()):
                for last in entry["en"]["last"]:
                    yield f"{first} {last}", value
                    if " " not in first:
                        yield first + last, value
            for first in entry["ru"]["first"].get(word, ()):
                for last in entry["ru"]["last"]:
                    yield from ((form, value) for form in adjective(first + last))


def _nouns(entries: dict, vocabulary: Mapping[str, Words]) -> Iterator[tuple[str, Meaning]]:
    for name, entry in entries["nouns"].items():
        noun = Noun(
            name,
            tuple(one for one in entry["of"] if one in vocabulary),
            entry.get("whole", False),
            entry.get("dimension", False),
            entry.get("markings", "") if entry.get("markings") in vocabulary else "",
            f"{entry['note']} is not used" if "note" in entry else "",
        )
        yield from ((form, noun) for form in forms_of(entry))


def _own_nouns(vocabulary: Mapping[str, Words], entries: dict) -> Iterator[tuple[str, Meaning]]:
    """An attribute's name is the noun of its words, and if the lexicon has that noun, so are all its forms."""
    for name, words in vocabulary.items():
        entry = entries["nouns"].get(name)
        if entry is not None and name in entry["of"]:
            continue
        present = name if set(words) == NO_YES else ""
        of = () if present else (name,)
        yield from (
            (form, Noun(name, of, present=present)) for form in {name.replace("_", " "), *forms_of(entry or {})}
        )
