"""English sentences from attributes, for people (Market-1501's 27 columns) and dogs.

An unknown attribute (None, or a name that is not there) is left out of the sentence, and so is a "no": a sentence tells
what can be seen. All else is told: attributes that differ in it give different sentences, in whatever order they come.
"""

from collections.abc import Mapping, Sequence

from auxreid.data.vocabulary import PERSON_ATTRIBUTES

Attributes = Mapping[str, str | None]

AGES = {"teenager": "teenage"}
GENDERS = {"male": "man", "female": "woman"}
TEENAGERS = {"male": "boy", "female": "girl"}  # nobody says "a teenage man"
CARRIED = {"backpack": "a backpack", "bag": "a bag", "handbag": "a handbag"}
UPPER_COLOURS, LOWER_COLOURS = (
    {name: name.removeprefix(part) for name in PERSON_ATTRIBUTES if name.startswith(part) and name != part}
    for part in ("up", "down")
)

# Dogs: how a class is called before a noun. Two classes are unions ("red or golden"), and are told as such.
SIZES = {"medium": "medium-sized"}
DOG_COLOURS = {
    "red_golden": "red or golden",
    "black_and_tan": "black and tan",
    "brindle_fawn": "brindle or fawn",
    "multicolor": "multicoloured",
}
LENGTHS = {"medium": "medium-length"}
EARS = {"semi_erect": "semi-erect"}
COATS = {**LENGTHS, "wire": "wiry"}


def caption(subject: str, phrases: Sequence[str]) -> str:
    """ "a photo of a <subject>", then the phrases: the first after a space, the others after commas."""
    head = f"a photo of {with_article(subject)}"
    return ", ".join([" ".join([head, *phrases[:1]]), *phrases[1:]])


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


def dog_subject(attributes: Attributes, word: str = "dog") -> str:
    """ "large black dog"."""
    words = [_called(attributes, "size", SIZES), _called(attributes, "color", DOG_COLOURS), word]
    return " ".join(filter(None, words))


def dog_phrases(attributes: Attributes) -> list[str]:
    """ "with short legs, a long muzzle, drop ears and a curly coat"."""
    legs, muzzle = (_called(attributes, name, LENGTHS) for name in ("leg_length", "muzzle"))
    ears, coat = _called(attributes, "ears", EARS), _called(attributes, "coat", COATS)
    parts = [
        legs and f"{legs} legs",
        muzzle and with_article(f"{muzzle} muzzle"),
        ears and f"{ears} ears",
        coat and with_article(f"{coat} coat"),
    ]
    told = [part for part in parts if part]
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


def _called(attributes: Attributes, name: str, words: Mapping[str, str]) -> str:
    """How the sentence calls the attribute's word; empty where it is unknown."""
    word = attributes.get(name) or ""
    return words.get(word, word)


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
