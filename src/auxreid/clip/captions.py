"""English sentences from attributes, for people (Market-1501's 27 columns) and dogs.

An unknown attribute (None, or a name that is not there) is left out of the sentence.
"""

from collections.abc import Mapping, Sequence

Attributes = Mapping[str, str | None]

AGES = {"young": "young", "teenager": "teenage", "adult": "adult", "old": "old"}
GENDERS = {"male": "man", "female": "woman"}
CARRIED = {"backpack": "a backpack", "bag": "a bag", "handbag": "a handbag"}


def caption(subject: str, phrases: Sequence[str]) -> str:
    """ "a photo of a <subject>", then the phrases: the first after a space, the others after commas."""
    head = f"a photo of {with_article(subject)}"
    return ", ".join([" ".join([head, *phrases[:1]]), *phrases[1:]])


def person_subject(attributes: Attributes, word: str = "person") -> str:
    """ "teenage woman", "man", or `word` where the gender is unknown."""
    noun = GENDERS.get(attributes.get("gender") or "", word)
    age = AGES.get(attributes.get("age") or "")
    return f"{age} {noun}" if age else noun


def person_phrases(attributes: Attributes) -> list[str]:
    """ "with long hair", "wearing a red top with short sleeves and long blue pants", "carrying a bag"."""
    phrases = []
    if attributes.get("hair"):
        phrases.append(f"with {attributes['hair']} hair")
    worn = [part for part in (_top(attributes), _bottom(attributes), _hat(attributes)) if part]
    if worn:
        phrases.append(f"wearing {enumerate_parts(worn)}")
    carried = [words for name, words in CARRIED.items() if attributes.get(name) == "yes"]
    if carried:
        phrases.append(f"carrying {enumerate_parts(carried)}")
    return phrases


def dog_subject(attributes: Attributes, word: str = "dog") -> str:
    """ "large black dog"."""
    words = [attributes.get("size"), (attributes.get("color") or "").replace("_", " ")]
    return " ".join([*filter(None, words), word])


def dog_phrases(attributes: Attributes) -> list[str]:
    """ "with short legs, a long muzzle, drop ears and a curly coat"."""
    parts = []
    if attributes.get("leg_length"):
        parts.append(f"{attributes['leg_length']} legs")
    if attributes.get("muzzle"):
        parts.append(f"{with_article(attributes['muzzle'])} muzzle")
    if attributes.get("ears"):
        parts.append(f"{attributes['ears'].replace('_', '-')} ears")
    if attributes.get("coat"):
        parts.append(f"{with_article(attributes['coat'])} coat")
    return [f"with {enumerate_parts(parts)}"] if parts else []


def enumerate_parts(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def with_article(words: str) -> str:
    """The words after "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _colours(attributes: Attributes, part: str) -> str:
    named = [name.removeprefix(part) for name, value in attributes.items() if name.startswith(part) and value == "yes"]
    return enumerate_parts(named) if named else ""


def _top(attributes: Attributes) -> str:
    colours, sleeves = _colours(attributes, "up"), attributes.get("up")
    if not colours and not sleeves:
        return ""
    top = with_article(f"{colours} top".strip())
    return f"{top} with {sleeves} sleeves" if sleeves else top


def _bottom(attributes: Attributes) -> str:
    colours, length, kind = _colours(attributes, "down"), attributes.get("down"), attributes.get("clothes")
    if not colours and not length and not kind:
        return ""
    if kind == "dress":
        return with_article(" ".join(filter(None, [length, colours, "dress"])))
    if length == "short":
        return f"{colours} shorts".strip()
    return " ".join(filter(None, [length, colours, "pants"]))


def _hat(attributes: Attributes) -> str:
    return "a hat" if attributes.get("hat") == "yes" else ""
