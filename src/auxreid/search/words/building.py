"""The lexicon for a vocabulary: the package's file of English and Russian, and the vocabulary's own words."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from auxreid.data.vocabulary import NO_YES, Telling, Told, Vocabulary
from auxreid.search.words.lexicon import Hint, Known, Lexicon, Meaning, Noun, Value, Words
from auxreid.search.words.russian import adjective, with_endings
from auxreid.search.words.tokens import key_of

ARTICLES = ("a ", "an ")
COLOUR = "color"


def lexicon_for(vocabulary: Vocabulary, telling: Telling = (), animal: str = "") -> Lexicon:
    """The package's lexicon as far as the vocabulary has its attributes and words, and the vocabulary's own words.

    An attribute that the package does not know is known by its name and, with a telling, by its part; where that is a
    noun of the package's ("fur", "a coat"), its words are those of the attribute that has this noun there.

    Args:
        telling: of an animal that is not a dog: how its words are said, and what they are of.
        animal: what it is called.
    """
    words = tuple((name, tuple(some)) for name, some in vocabulary.items())
    told = tuple((one.attribute, one.part, tuple(one.spoken.items())) for one in telling)
    return _lexicon_for(words, told, animal)


@lru_cache(maxsize=32)
def _lexicon_for(words: tuple, told: tuple, animal: str) -> Lexicon:
    telling = {name: Told(name, (), part, dict(spoken)) for name, part, spoken in told}
    return Builder(dict(words), telling, animal).build()


@lru_cache(maxsize=1)
def read_entries() -> dict[str, Any]:
    """The package's lexicon as it is written."""
    return yaml.safe_load((files("auxreid.search.words") / "lexicon.yaml").read_text(encoding="utf-8"))


def forms_of(entry: Mapping[str, Any]) -> Iterator[str]:
    """The forms of an entry: English ones as they stand, Russian adjectives inflected, others with their endings."""
    yield from entry.get("en", ())
    for lemma in entry.get("ru", ()):
        yield from adjective(lemma)
    for form in entry.get("forms", ()):
        yield from with_endings(form)


class Builder:
    """Brings the package's entries and one vocabulary together."""

    def __init__(self, vocabulary: Mapping[str, Words], telling: Mapping[str, Told], animal: str) -> None:
        self.entries = read_entries()
        self.vocabulary, self.telling, self.animal = vocabulary, telling, animal
        self.nouns = {name: self._nouns_of(name) for name in vocabulary}  # of each attribute, its own nouns
        self.entry_of = {name: self._entry_of(name) for name in vocabulary}  # and the package's noun, if it has one
        self.alike = {name: self._alike(name) for name in vocabulary}  # and the package's attribute

    def build(self) -> Lexicon:
        meanings: dict[Words, Meaning] = {}
        for form, meaning in self._forms():
            if key := key_of(form):
                meanings.setdefault(key, meaning)
        entries, bounds = self.entries, self.entries["bounds"]
        sizes = self._attributes(bounds["attribute"])
        sized = [name for name in sizes if set(bounds["words"]) <= set(self.vocabulary[name])]
        return Lexicon(
            vocabulary=MappingProxyType(self.vocabulary),
            meanings=MappingProxyType(meanings),
            scales={name: tuple(entries["scales"].get(self.alike[name], ())) for name in self.vocabulary},
            mixtures={
                name: word
                for name, some in self.vocabulary.items()
                if (word := entries["mixtures"].get(self.alike[name])) in some
            },
            units={
                unit: (kind, share)
                for kind, units in (("kg", entries["weights"]), ("cm", entries["heights"]))
                for unit, share in units.items()
            },
            tall=frozenset(entries["tall"]),
            bounds={**bounds, "attribute": sized[0]} if sized else {},
            not_typos=frozenset(key_of(form)[0] for form in forms_of(entries["not_typos"])),
        )

    # which attribute is which

    def _nouns_of(self, name: str) -> list[str]:
        part = self.telling[name].part if name in self.telling else None
        part = next((part.removeprefix(one) for one in ARTICLES if part and part.startswith(one)), part)
        return [name.replace("_", " "), *([part] if part else [])]

    def _entry_of(self, name: str) -> str | None:
        parts = {entry: one for entry, one in self.entries["nouns"].items() if not one.get("whole")}
        found = [entry for entry, one in parts.items() if name in one["of"]]
        for noun in self.nouns[name]:
            found += [entry for entry, one in parts.items() if noun in one["en"]]
        return found[0] if found else None

    def _alike(self, name: str) -> str:
        """The package's attribute whose words it has."""
        known = {one for entry in self.entries["values"] for one in entry["means"]}
        of = self.entries["nouns"][self.entry_of[name]]["of"] if self.entry_of[name] else []
        return name if name in known or not of else of[0]

    def _attributes(self, known: str) -> list[str]:
        """The vocabulary's attributes that have the words of one of the package's."""
        return [name for name, one in self.alike.items() if one == known]

    def _is_whole(self, name: str) -> bool:
        """Whether it is told of the animal, not of a part."""
        if name in self.telling:
            return self.telling[name].part is None
        entry = self.entry_of[name]
        return entry is not None and self.entries["nouns"][entry].get("dimension", False)

    # forms with their meanings; where a form comes twice, the first one counts

    def _forms(self) -> Iterator[tuple[str, Meaning]]:
        yield from self._values()
        yield from self._compounds()
        yield from self._nouns()
        for kind, entry in self.entries["hints"].items():
            yield from ((form, Hint(kind)) for form in forms_of(entry))
        for note, entry in self.entries["known"].items():
            yield from ((form, Known(note)) for form in forms_of(entry))
        yield from ((form, Noun("breed", whole=True, note="breed")) for form in forms_of(self.entries["breeds"]))

    def _values(self) -> Iterator[tuple[str, Meaning]]:
        """Entries of the package and the vocabulary's words as written, joined where one form is both."""
        means: dict[str, dict[str, Words]] = {}
        needs_noun = set()
        for name, word, form in self._own_words():
            means.setdefault(form, {})[name] = (word,)
        for entry in self.entries["values"]:
            known = self._known(entry["means"])
            for form in (*forms_of(entry), *entry.get("first", ())) if known else ():
                means[form] = known | means.get(form, {})
                needs_noun |= set() if entry.get("alone", True) else {form}
        for form, one in means.items():
            yield form, self._value(one, form not in needs_noun)

    def _own_words(self) -> Iterator[tuple[str, str, str]]:
        for name, words in self.vocabulary.items():
            spoken = self.telling[name].spoken if name in self.telling else {}
            for word in words if tuple(words) != NO_YES else spoken:
                forms = {spoken.get(word, word), *([word.replace("_", " ")] if tuple(words) != NO_YES else [])}
                yield from ((name, word, form) for form in sorted(forms))

    def _known(self, means: Mapping[str, Any]) -> dict[str, Words]:
        """Of what an entry means, what the vocabulary has."""
        found = {}
        for known, word in means.items():
            some = (word,) if isinstance(word, str) else tuple(word)
            found |= {name: some for name in self._attributes(known) if set(some) <= set(self.vocabulary[name])}
        return found

    def _value(self, means: Mapping[str, Words], alone: bool = True) -> Value:
        whole = next((name for name in means if self._is_whole(name)), None)
        if whole is None and len(means) == 1:
            whole = next(iter(means))
        colour = any(self.alike[name] == COLOUR for name in means)
        return Value(means, alone, whole=whole if alone else None, colour=colour)

    def _compounds(self) -> Iterator[tuple[str, Meaning]]:
        for entry in self.entries["compounds"]:
            for name in self._attributes(entry["part"]):
                for word in self.vocabulary[name]:
                    value = Value({name: (word,)}, bound=True, whole=name, colour=entry["part"] == COLOUR)
                    yield from ((form, value) for form in _compound_forms(entry, word))

    def _nouns(self) -> Iterator[tuple[str, Meaning]]:
        for name, words in self.vocabulary.items():
            if self.entry_of[name] is None or tuple(words) == NO_YES:
                entry = self.entries["nouns"].get(self.entry_of[name], {})
                noun = Noun(name, present=name) if tuple(words) == NO_YES else Noun(name, (name,))
                yield from ((form, noun) for form in (*self.nouns[name], *forms_of(entry)))
        for entry_name, entry in self.entries["nouns"].items():
            noun = self._noun(entry_name, entry)
            own = (form for name, one in self.entry_of.items() if one == entry_name for form in self.nouns[name])
            yield from ((form, noun) for form in (*forms_of(entry), *own))
        if self.animal:
            yield self.animal, self._noun("animal", self.entries["nouns"]["animal"])

    def _noun(self, name: str, entry: Mapping[str, Any]) -> Noun:
        of = [one for one, noun in self.entry_of.items() if noun == name]
        of += [one for known in entry["of"] for one in self._attributes(known) if one not in of]
        marked = [one for one in self._attributes(entry.get("markings", "")) if one in self.vocabulary]
        return Noun(
            name,
            tuple(of),
            entry.get("whole", False),
            entry.get("dimension", False),
            marked[0] if marked else "",
            entry.get("note", ""),
        )


def _compound_forms(entry: Mapping[str, Any], word: str) -> Iterator[str]:
    for first in entry["en"]["first"].get(word, ()):
        for last in entry["en"]["last"]:
            yield f"{first} {last}"
            yield f"{first}{last}".replace(" ", "")
    for first in entry["ru"]["first"].get(word, ()):
        for last in entry["ru"]["last"]:
            yield from adjective(first + last)
