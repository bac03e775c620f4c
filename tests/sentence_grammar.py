"""A grammar of attribute sentences, written apart from the code that makes them: it reads a sentence back into the
attributes that it tells, and fails where the sentence has anything else in it."""

import re

from hypothesis import strategies as st

from auxreid.data.vocabulary import DOG_ATTRIBUTES, PERSON_ATTRIBUTES

LISTED = r"(?:[a-z]+, )*?(?:[a-z]+ and )?[a-z]+ "  # "red ", "red and white ", "black, red and white "
PERSON = re.compile(
    r"an? (?:(?P<age>young|teenage|adult|old) )?(?P<noun>man|woman|boy|girl|person)(?: with (?P<hair>short|long) hair)?"
    r"(?:,? wearing (?P<worn>(?:(?!, carrying| carrying).)+))?(?:,? carrying (?P<carried>.+))?"
)
JOINT = r"(?:, | and )?"  # which of the two is right is checked apart
WORN = re.compile(
    rf"(?P<top>an? (?P<upper>{LISTED})?top(?: with (?P<up>short|long) sleeves)?)?{JOINT}"
    rf"(?P<bottom>(?P<article>a )?(?P<down>short |long )?(?P<lower>{LISTED})?(?P<kind>dress|pants|shorts|bottoms))?"
    rf"{JOINT}(?P<hat>a hat)?"
)
DOG = re.compile(
    r"an? (?:(?P<size>small|medium-sized|large) )?"
    r"(?:(?P<color>black and tan|black|white|brown|red or golden|grey|brindle or fawn|multicoloured) )?dog"
    r"(?: with (?P<parts>.+))?"
)
DOG_PARTS = {
    "leg_length": re.compile(r"(short|medium-length|long) legs"),
    "muzzle": re.compile(r"a (short|medium-length|long) muzzle"),
    "ears": re.compile(r"(erect|semi-erect|drop) ears"),
    "coat": re.compile(r"a (short|medium-length|long|wiry|curly) coat"),
}
DOG_WORDS = {
    **{"medium-sized": "medium", "medium-length": "medium", "wiry": "wire", "semi-erect": "semi_erect"},
    **{"black and tan": "black_and_tan", "red or golden": "red_golden", "brindle or fawn": "brindle_fawn"},
    "multicoloured": "multicolor",
}
HEAD = re.compile(r"[aA] photo of (.*)")


def people():
    """Any combination of known and unknown words of Market-1501's 27 columns."""
    return _combinations(PERSON_ATTRIBUTES)


def dogs():
    """Any combination of known and unknown words of the dogs' six attributes."""
    return _combinations(DOG_ATTRIBUTES)


def visible(attributes):
    """What a sentence has to tell: the words that are known and not "no"."""
    return {name: word for name, word in attributes.items() if word not in (None, "no")}


def read_person(text):
    """The attributes that a caption of a person tells."""
    found = PERSON.fullmatch(HEAD.fullmatch(text)[1])
    assert found, text
    read = {name: found[name] for name in ("hair",) if found[name]}
    if found["age"]:
        read["age"] = {"teenage": "teenager"}.get(found["age"], found["age"])
    if found["noun"] != "person":
        assert (found["age"] == "teenage") == (found["noun"] in ("boy", "girl")), text
        read["gender"] = "male" if found["noun"] in ("man", "boy") else "female"
    carried = _listed(found["carried"])
    assert all(one in ("a backpack", "a bag", "a handbag") for one in carried), text
    read |= {one.removeprefix("a "): "yes" for one in carried}
    return read | (_read_worn(found["worn"]) if found["worn"] else {})


def read_dog(text):
    """The attributes that a caption of a dog tells."""
    found = DOG.fullmatch(HEAD.fullmatch(text)[1])
    assert found, text
    read = {name: found[name] for name in ("size", "color") if found[name]}
    for part in _listed(found["parts"]):
        [(name, match)] = [(n, m) for n, form in DOG_PARTS.items() if (m := form.fullmatch(part))]
        assert name not in read, text
        read[name] = match[1]
    return {name: DOG_WORDS.get(word, word) for name, word in read.items()}


def article_faults(text):
    """Articles that do not fit the letter after them, and doubled ones; X stands for a vector and is not looked at."""
    return re.findall(r"\b[aA] (?:[aeiou]|an?\b)\w*|\ban [^aeiou]\w*", text)


def _combinations(vocabulary):
    return st.fixed_dictionaries({name: st.sampled_from([None, *words]) for name, words in vocabulary.items()})


def _listed(text):
    """ "a, b and c" -> [a, b, c]; [] of nothing."""
    parts = re.split(r", | and ", text) if text else []
    assert not parts or _listed_as(text, parts), text
    return parts


def _read_worn(worn):
    found = WORN.fullmatch(worn)
    assert found and _listed_as(worn, [found[name] for name in ("top", "bottom", "hat") if found[name]]), worn
    read = {f"up{colour}": "yes" for colour in _listed((found["upper"] or "").strip())}
    read |= {f"down{colour}": "yes" for colour in _listed((found["lower"] or "").strip())}
    read |= {"up": found["up"], "hat": "yes" if found["hat"] else None, "down": (found["down"] or "").strip()}
    if found["kind"] in ("dress", "pants"):
        read["clothes"] = found["kind"]
    if found["kind"] == "shorts":
        assert not found["down"], worn
        read |= {"clothes": "pants", "down": "short"}
    if found["bottom"]:
        assert bool(found["article"]) == (found["kind"] == "dress"), worn  # the others are plurals
    return {name: word for name, word in read.items() if word}


def _listed_as(text, parts):
    """Whether the text is these parts, joined by "and" if two, by commas and "and" if more."""
    return text == (parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}")
