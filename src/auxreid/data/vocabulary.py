"""Attribute vocabularies: which attributes people and animals have, the words each may take, and how these are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_YES = ("no", "yes")

PERSON_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "gender": ("male", "female"),
    "hair": ("short", "long"),
    "up": ("long", "short"),  # length of the sleeve
    "down": ("long", "short"),  # length of the lower clothing
    "clothes": ("dress", "pants"),
    "hat": NO_YES,
    "backpack": NO_YES,
    "bag": NO_YES,
    "handbag": NO_YES,
    "age": ("young", "teenager", "adult", "old"),
    **{f"up{c}": NO_YES for c in ("black", "white", "red", "purple", "yellow", "gray", "blue", "green")},
    **{f"down{c}": NO_YES for c in ("black", "white", "pink", "purple", "yellow", "gray", "blue", "green", "brown")},
}
"""Market-1501's 27 columns, in the order of the words' codes: code 1 in market_attribute.mat is the first word."""

DOG_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "color": ("black", "white", "brown", "red_golden", "grey", "black_and_tan", "brindle_fawn", "multicolor"),
    "size": ("small", "medium", "large"),
    "leg_length": ("short", "medium", "long"),
    "muzzle": ("short", "medium", "long"),
    "ears": ("erect", "semi_erect", "drop"),
    "coat": ("short", "medium", "long", "wire", "curly"),
}


@dataclass(frozen=True)
class Told:
    """How a sentence tells one attribute of an animal: "a black cat", "with green eyes", "with a long coat"."""

    attribute: str
    words: tuple[str, ...]
    part: str | None = None  # what the word is of, with its article if it has one; None: it stands before the animal
    spoken: Mapping[str, str] = field(default_factory=dict)  # how words are called that are not English as they stand


Telling = tuple[Told, ...]  # in the order of the sentence; of people none, whose grammar is in clip/captions.py

# Two colours are unions, and are told as such.
DOG_COLOURS = {
    "red_golden": "red or golden",
    "black_and_tan": "black and tan",
    "brindle_fawn": "brindle or fawn",
    "multicolor": "multicoloured",
}
DOG_TELLING: Telling = (
    Told("size", DOG_ATTRIBUTES["size"], spoken={"medium": "medium-sized"}),
    Told("color", DOG_ATTRIBUTES["color"], spoken=DOG_COLOURS),
    Told("leg_length", DOG_ATTRIBUTES["leg_length"], "legs", {"medium": "medium-length"}),
    Told("muzzle", DOG_ATTRIBUTES["muzzle"], "a muzzle", {"medium": "medium-length"}),
    Told("ears", DOG_ATTRIBUTES["ears"], "ears", {"semi_erect": "semi-erect"}),
    Told("coat", DOG_ATTRIBUTES["coat"], "a coat", {"medium": "medium-length", "wire": "wiry"}),
)


def telling_of(vocabulary: Mapping[str, Any]) -> Telling:
    """Of a block of `vocabularies` in params.yaml: attributes with `words`, `part` and `spoken`."""
    return tuple(Told(name, one.words, one.part, one.spoken or {}) for name, one in vocabulary.items())


def words_of(telling: Telling) -> dict[str, tuple[str, ...]]:
    """The vocabulary that a telling is of."""
    return {one.attribute: one.words for one in telling}


SPLITS = ("train", "val", "query", "gallery", "test", "none")
"""`test` marks held-out images without a known identity: attributes are scored on them, re-identification is not."""

Vocabulary = Mapping[str, tuple[str, ...]]
