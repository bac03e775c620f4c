"""Sentences that tell CLIP's text tower of an individual's attributes (THESIS section 4, attribute_prompts and
attribute_tokens).

All are pure functions of {attribute: word, or None where it is unknown}; no order of the attributes changes a sentence.
"""

from auxreid.clip.captions import (
    LOWER_COLOURS,
    UPPER_COLOURS,
    Attributes,
    caption,
    check_attributes,
    described,
    enumerate_parts,
    garment,
    person_subject,
    present,
    with_article,
)
from auxreid.clipreid.placeholders import learned_phrase, plain_sentence
from auxreid.data.vocabulary import PERSON_ATTRIBUTES, Telling


def thesis_sentence(attributes: Attributes, word: str) -> str:
    """The thesis's sentence, for persons: "A photo of an adult woman with long hair wearing red clothes with long
    sleeve and blue pants carrying a bag".

    It has the flaw of the original: "carrying a bag" is read from the column of white trousers, and the column of bags
    is not read. Nor is anything said of backpack, handbag, hat and the length of the lower clothing, so that identities
    share a sentence more often than they share their attributes. The original has no full stop.

    Ours, where the thesis shows no example: several colours are joined as a list ("white and red clothes"); where no
    colour or no sleeve is known, its words are left out; a garment of which nothing is known is not mentioned, and one
    of which only the colour is known is called "bottoms"; teenagers are boys and girls.

    Raises:
        ValueError: an attribute that is none of PERSON_ATTRIBUTES, or a word that is not in its vocabulary.
    """
    check_attributes(attributes, PERSON_ATTRIBUTES)
    upper, lower = (enumerate_parts(present(attributes, colours)) for colours in (UPPER_COLOURS, LOWER_COLOURS))
    sleeve = f"with {attributes['up']} sleeve" if attributes.get("up") else ""
    worn = [
        f"{upper} clothes {sleeve}" if upper or sleeve else "",
        f"{lower} {garment(attributes)}" if lower or attributes.get("clothes") else "",
    ]
    parts = [
        f"A photo of {with_article(person_subject(attributes, word))}",
        f"with {attributes['hair']} hair" if attributes.get("hair") else "",
        f"wearing {' and '.join(filter(None, worn))}" if any(worn) else "",
        "carrying a bag" if attributes.get("downwhite") == "yes" else "",
    ]
    return " ".join(" ".join(parts).split())  # parts that are empty leave no double blank


def sentence(attributes: Attributes, word: str, telling: Telling = ()) -> str:
    """The corrected form, of persons or animals: "A photo of a large black cat with drop ears and a long coat."

    Everything known is told, "no" alone is silent: two sentences are equal exactly where the attributes are, if "no"
    and unknown count as the same. Without any known attribute: "A photo of a cat."

    Args:
        telling: of an animal's attributes; none, and they are a person's.
    Raises:
        ValueError: an attribute, or a word of one, that is not in the vocabulary.
    """
    return f"{_told(attributes, word, telling)}."


def tokens_sentence(attributes: Attributes, word: str, placeholders: int, telling: Telling = ()) -> str:
    """The attributes' words followed by places for learned vectors, each an X:
    "A photo of a large black cat with drop ears and a long coat: a X X X X cat."

    The text tower is causal: behind the attributes' words, the learned vectors read them and can say what these leave
    open. The tail is CLIP-ReID's own phrase, the learned vectors before the data set's word. Where nothing is told, the
    whole is CLIP-ReID's own sentence, "A photo of a X X X X cat." The article is "a" as there.

    Args:
        telling: as of :func:`sentence`.
    Raises:
        ValueError: as :func:`sentence`, or fewer than one placeholder.
    """
    told = _told(attributes, word, telling)
    if told == _told({}, word, telling):
        return plain_sentence(word, placeholders)
    return f"{told}: {learned_phrase(word, placeholders)}."


def _told(attributes: Attributes, word: str, telling: Telling) -> str:
    """The caption of all that is known, with a capital and without a full stop."""
    told = caption(*described(attributes, word, telling))
    return told[0].upper() + told[1:]
