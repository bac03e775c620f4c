"""English sentences from attributes: of people (Market-1501's 27 columns) by a grammar of their own, of animals as the
telling of their vocabulary says.

An unknown attribute (None, or a name that is not there) is left out of the sentence, and so is a "no": a sentence tells
what can be seen. All else is told: attributes that differ in it give different sentences, in whatever order they come.
"""

from collections.abc import Mapping, Sequence

from auxreid.data.vocabulary import PERSON_ATTRIBUTES, Telling, Told, Vocabulary, words_of

Attributes = Mapping[str, str | None]

AGES = {"teenager": "teenage"}
GENDERS = {"male": "man", "female": "woman"}
TEENAGERS = {"male": "boy", "female": "girl"}  # nobody says "a teenage man"
CARRIED = {"backpack": "a backpack", "bag": "a bag", "handbag": "a handbag"}
UPPER_COLOURS, LOWER_COLOURS = (
    {name: name.removeprefix(part) for name in PERSON_ATTRIBUTES if name.startswith(part) and name != part}
    for part in ("up", "down")
)
ARTICLES = ("a ", "an ")


def caption(subject: str, phrases: Sequence[str]) -> str:
    """ "a photo of a <subject>", then the phrases: the first after a space, the others after commas."""
    head = f"a photo of {with_article(subject)}"
    return ", ".join([" ".join([head, *phrases[:1]]), *phrases[1:]])


def described(attributes: Attributes, word: str, telling: Telling = ()) -> tuple[str, list[str]]:
    """What :func:`caption` makes a sentence of.

    Args:
        telling: of an animal's attributes; none, and they are a person's.
    Raises:
        ValueError: an attribute, or a word of one, that is not in the vocabulary.
    """
    check_attributes(attributes, words_of(telling) or PERSON_ATTRIBUTES)
    if telling:
        return animal_subject(attributes, word, telling), animal_phrases(attributes, telling)
    return person_subject(attributes, word), person_phrases(attributes)


def check_attributes(attributes: Attributes, vocabulary: Vocabulary) -> None:
    """Raises ValueError for what is not in the vocabulary."""
    for name, word in attributes.items():
        if name not in vocabulary:
            raise ValueError(f"attribute {name!r}, allowed: {', '.join(vocabulary)}")
        if word is not None and word not in vocabulary[name]:
            raise ValueError(f"attribute {name} is {word!r}, allowed: {', '.join(vocabulary[name])}")


def person_subject(attributes: Attributes, word: str = "person") -> str:
    """ "teenage girl", "old man", or `word` for the noun where the gender is unknown."""
    age, gender = attributes.get("age"), attributes.get("gender")
    noun = (TEENAGERS if age == "teenager" else GENDERS).get(gender or "", word)
    return f"{AGES.get(age, age)} {noun}" if age else noun


def person_phrases(attributes: Attributes) -> list[str]:
    """ "with long hair", "wearing a red top with short sleeves, long blue pants and a hat", "carrying a bag"."""
    phrases = []
    if attributes.get("hair"):
        phrases.append(f"with {attributes['hair']} hair")
    hat = "a hat" if attributes.get("hat") == "yes" else ""
    worn = [part for part in (_top(attributes), _bottom(attributes), hat) if part]
    if worn:
        phrases.append(f"wearing {enumerate_parts(worn)}")
    carried = present(attributes, CARRIED)
    if carried:
        phrases.append(f"carrying {enumerate_parts(carried)}")
    return phrases


def animal_subject(attributes: Attributes, word: str, telling: Telling) -> str:
    """ "large black cat"."""
    told = [_spoken(attributes, one) for one in telling if one.part is None and _is_told(attributes, one)]
    return " ".join([*told, word])


def animal_phrases(attributes: Attributes, telling: Telling) -> list[str]:
    """ "with green eyes, drop ears and a curly coat"; of an attribute of yes and no, the part alone."""
    told = [_part(attributes, one) for one in telling if one.part is not None and _is_told(attributes, one)]
    return [f"with {enumerate_parts(told)}"] if told else []


def present(attributes: Attributes, words: Mapping[str, str]) -> list[str]:
    """The words of the yes/no attributes that are "yes", in the order of `words` (name -> word)."""
    return [word for name, word in words.items() if attributes.get(name) == "yes"]


def enumerate_parts(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"; nothing of nothing."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def with_article(words: str) -> str:
    """The words after "a" or "an", by their first letter."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def garment(attributes: Attributes) -> str:
    """What covers the legs: "dress", "pants", or "bottoms" where it is unknown which of the two."""
    return attributes.get("clothes") or "bottoms"


def _is_told(attributes: Attributes, one: Told) -> bool:
    return attributes.get(one.attribute) not in (None, "no")


def _spoken(attributes: Attributes, one: Told) -> str:
    word = attributes[one.attribute]
    return one.spoken.get(word, word)


def _part(attributes: Attributes, one: Told) -> str:
    if attributes[one.attribute] == "yes":
        return one.part
    article = next((article for article in ARTICLES if one.part.startswith(article)), "")
    words = f"{_spoken(attributes, one)} {one.part.removeprefix(article)}"
    return with_article(words) if article else words


def _top(attributes: Attributes) -> str:
    colours, sleeves = enumerate_parts(present(attributes, UPPER_COLOURS)), attributes.get("up")
    if not colours and not sleeves:
        return ""
    top = with_article(" ".join(filter(None, [colours, "top"])))
    return f"{top} with {sleeves} sleeves" if sleeves else top


def _bottom(attributes: Attributes) -> str:
    colours, length = enumerate_parts(present(attributes, LOWER_COLOURS)), attributes.get("down")
    kind = garment(attributes)
    if not colours and not length and not attributes.get("clothes"):
        return ""
    words = [colours, "shorts"] if (length, kind) == ("short", "pants") else [length, colours, kind]
    bottom = " ".join(filter(None, words))
    return with_article(bottom) if kind == "dress" else bottom
