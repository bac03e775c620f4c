"""A description of an animal, in English or Russian, as stated attributes: each word with what was made of it.

The words are looked up (`lexicon`), then each adjective is given to the noun that it stands with (`binding`), and what
was said twice is brought together here. What is not understood is said to be so, and is never guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from auxreid.search.looks import Vocabulary
from auxreid.search.stated import Stated
from auxreid.search.words.binding import phrases_of
from auxreid.search.words.building import lexicon_for
from auxreid.search.words.items import items_of
from auxreid.search.words.lexicon import Lexicon
from auxreid.search.words.notes import Notes
from auxreid.search.words.phrase import Phrase

__all__ = ["Phrase", "stated", "understand"]


def understand(text: str, vocabulary: Vocabulary, lexicon: Lexicon | None = None) -> list[Phrase]:
    """What each part of a description says, in the order of the text.

    Args:
        vocabulary: the words of each attribute; the lexicon counts as far as it is about them.
        lexicon: of another animal, as :func:`lexicon_for` makes it; None: the package's, for the vocabulary.
    """
    lexicon = lexicon or lexicon_for(vocabulary)
    notes = Notes(text)
    return _agreed(phrases_of(items_of(text, lexicon, notes), text, lexicon, notes), lexicon, notes)


def stated(phrases: Iterable[Phrase]) -> dict[str, Stated]:
    """What a description states of each attribute: words of which it is one, or else words that it is not."""
    said: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        if phrase.attribute is not None and phrase.words:
            said.setdefault(phrase.attribute, []).append(phrase)
    return {name: _together(some) for name, some in said.items()}


def _together(phrases: Sequence[Phrase]) -> Stated:
    """Of phrases that agree."""
    positive = [phrase.words for phrase in phrases if not phrase.negated]
    excluded = tuple(dict.fromkeys(word for phrase in phrases if phrase.negated for word in phrase.words))
    if not positive:
        return Stated((), excluded)
    shared = [word for word in positive[0] if all(word in words for words in positive)]
    words = shared or dict.fromkeys(word for words in positive for word in words)
    return Stated(tuple(word for word in words if word not in excluded), ())


def _agreed(phrases: list[Phrase], lexicon: Lexicon, notes: Notes) -> list[Phrase]:
    """Phrases that contradict each other are told so and not used."""
    said: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        if phrase.attribute is not None and phrase.words:
            said.setdefault(phrase.attribute, []).append(phrase)
    found = {name: note for name, some in said.items() if (note := _contradiction(name, some, lexicon, notes))}
    return [
        replace(one, words=(), note=found[one.attribute]) if one.words and one.attribute in found else one
        for one in phrases
    ]


def _contradiction(name: str, phrases: Sequence[Phrase], lexicon: Lexicon, notes: Notes) -> str:
    positive = [phrase for phrase in phrases if not phrase.negated]
    excluded = {word for phrase in phrases if phrase.negated for word in phrase.words}
    if excluded >= set(lexicon.vocabulary[name]):
        return notes("all denied")
    for phrase in positive:
        if excluded & set(phrase.words) and excluded >= set(phrase.words):
            return notes("denied", notes.quote(phrase.text))
    for number, one in enumerate(positive):
        for other in positive[:number]:
            if not set(one.words) & set(other.words) and exclude(name, one.words + other.words, lexicon):
                return notes("contradiction", notes.quote(other.text), notes.quote(one.text))
    return ""


def exclude(name: str, words: Sequence[str], lexicon: Lexicon) -> bool:
    """Whether words of an attribute cannot be true together: two of its scale, or of no scale."""
    scale = lexicon.scales.get(name, ())
    beside = set(lexicon.vocabulary[name]) - set(scale)
    on_scale = len({word for word in words if word in scale})
    return len(set(words)) > 1 and not (scale and beside and on_scale <= 1)
