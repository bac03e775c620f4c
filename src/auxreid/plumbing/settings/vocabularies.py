"""Vocabularies of animals: the words that a column of attributes may hold, and how a sentence tells them."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from auxreid.plumbing.settings.section import Name, Section

YES_OR_NO = {"no", "yes"}
COLUMNS = ("path", "identity", "dog_id", "camera", "sequence", "date", "place", "split")  # that a table has besides
TOLD = re.compile(r"[a-z0-9]+(?:[ -][a-z0-9]+)*")
ARTICLE = r"^an? "
ENGLISH = "small English letters, digits, single blanks and hyphens"
OWN = "with"  # the sentence's own word between what stands before the animal and what stands behind it

Word = Annotated[str, Field(pattern=r"^\w(?:[\w -]*\w)?$")]


class AnimalAttribute(Section):
    """One attribute: before the animal ("a black cat"), or behind it as a part ("with green eyes")."""

    words: Annotated[tuple[Word, ...], Field(min_length=2)]
    spoken: dict[str, str] | None = None  # how a sentence calls those that are not English as they stand
    part: str | None = None  # what the word is of, with its article if it has one: eyes, a coat; null: of the animal

    @property
    def told(self) -> tuple[str, ...]:
        """What stands in the sentence for each word but `no`, of which nothing is said."""
        spoken, noun = self.spoken or {}, re.sub(ARTICLE, "", self.part or "")
        if set(self.words) == YES_OR_NO:
            return (self.part or spoken["yes"],)
        texts = (f"{spoken.get(word, word)} {noun}".strip() for word in self.words)
        if noun == (self.part or ""):
            return tuple(texts)
        return tuple(f"{'an' if text[0] in 'aeiou' else 'a'} {text}" for text in texts)

    @model_validator(mode="after")
    def _words_differ(self) -> "AnimalAttribute":
        for number, word in enumerate(self.words):
            if word in self.words[:number]:
                raise ValueError(f"words: {word!r} stands there twice")
        if YES_OR_NO & set(self.words) and set(self.words) != YES_OR_NO:
            raise ValueError(f"words: no and yes are an attribute's only words; found {', '.join(self.words)}")
        return self

    @model_validator(mode="after")
    def _spoken_are_words(self) -> "AnimalAttribute":
        for word in self.spoken or ():
            if word not in self.words:
                raise ValueError(f"spoken: {word!r} is none of the words: {', '.join(self.words)}")
        if set(self.words) == YES_OR_NO and list(self.spoken or ()) != ([] if self.part else ["yes"]):
            raise ValueError("of the words no and yes, the part alone is told; without a part, spoken: {yes: ...}")
        return self

    @model_validator(mode="after")
    def _told_in_english(self) -> "AnimalAttribute":
        for text in (*self.told, *([self.part] if self.part is not None else [])):
            if not TOLD.fullmatch(text) or OWN in text.split(" "):
                raise ValueError(f"a sentence cannot tell {text!r}: {ENGLISH}, without {OWN!r}; see the key spoken")
        return self


def told_apart(attributes: dict[str, AnimalAttribute]) -> dict[str, AnimalAttribute]:
    """Raises ValueError for a vocabulary in which two animals that differ would share a sentence, or for a name that a
    column of another meaning has."""
    for name in attributes:
        if name in COLUMNS:
            raise ValueError(f"{name}: the name of another column of the table ({', '.join(COLUMNS)})")
    before = [[tuple(text.split(" ")) for text in one.told] for one in attributes.values() if one.part is None]
    behind = [[tuple(text.split(" and ")) for text in one.told] for one in attributes.values() if one.part is not None]
    for slots, joint in ((before, " "), (behind, " and ")):
        if (text := twofold(slots)) is not None:
            raise ValueError(f"{joint.join(text)!r} tells two different animals; see the key spoken")
    return attributes


AnimalVocabulary = Annotated[
    dict[Name, AnimalAttribute], Field(min_length=1), AfterValidator(told_apart)
]  # in the order of the sentence


def twofold(slots: Sequence[Sequence[tuple[str, ...]]]) -> tuple[str, ...] | None:
    """A text that two different choices give, each of at most one form from every slot, in the order of the slots.

    Two readings of a text are followed from where they first differ (Sardinas and Patterson's way): `rest` is what the
    one that is ahead has said and the other has still to say.

    Returns:
        None where every text has one reading.
    """
    forms = [(slot, form) for slot, some in enumerate(slots) for form in some]
    todo = list(_first_differences(forms))
    seen = set()
    while todo:
        behind, ahead, rest, text = todo.pop()
        if not rest:
            return text
        if (behind, ahead, rest) in seen:
            continue
        seen.add((behind, ahead, rest))
        for slot, form in forms:
            if slot > behind and rest[: len(form)] == form:
                todo.append((slot, ahead, rest[len(form) :], text))
            elif slot > behind and form[: len(rest)] == rest:
                todo.append((ahead, slot, form[len(rest) :], text + form[len(rest) :]))
    return None


def _first_differences(forms: list[tuple[int, tuple[str, ...]]]) -> Iterator[tuple]:
    for number, (slot, form) in enumerate(forms):
        for other, (other_slot, longer) in enumerate(forms):
            if number != other and longer[: len(form)] == form:
                yield slot, other_slot, longer[len(form) :], longer
