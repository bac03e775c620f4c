"""A result's terms in words: "size agrees +1.9, ears disagree -0.7", in English and Russian."""

from collections.abc import Iterable

from auxreid.lostpets.answer import Term

LITTLE = 0.05  # nats: below, a term says nothing
LANGUAGES = ("en", "ru")

# Of each term: its name, and how it agrees, disagrees, or says nothing; a name that is not here is told as it stands.
NAMES = {
    "en": {
        "visual": ("the photographs", "look alike", "look different", "say nothing"),
        "text": ("the text", "agrees", "disagrees", "says nothing"),
        "leg_length": ("leg length", "agrees", "disagrees", "says nothing"),
        "ears": ("ears", "agree", "disagree", "say nothing"),
    },
    "ru": {
        "visual": ("фотографии", "похожи", "не похожи", "ни о чём не говорят"),
        "text": ("текст", "совпадает", "не совпадает", "ни о чём не говорит"),
        "color": ("окрас", "совпадает", "не совпадает", "ни о чём не говорит"),
        "size": ("размер", "совпадает", "не совпадает", "ни о чём не говорит"),
        "leg_length": ("длина лап", "совпадает", "не совпадает", "ни о чём не говорит"),
        "muzzle": ("морда", "совпадает", "не совпадает", "ни о чём не говорит"),
        "ears": ("уши", "совпадают", "не совпадают", "ни о чём не говорят"),
        "coat": ("шерсть", "совпадает", "не совпадает", "ни о чём не говорит"),
    },
}
OTHERS = {
    "en": ("agrees", "disagrees", "says nothing"),
    "ru": ("совпадает", "не совпадает", "ни о чём не говорит"),
}
POINT = {"en": ".", "ru": ","}
SAID = {"en": "as stated", "ru": "со слов"}


def in_words(terms: Iterable[Term], language: str = "en") -> str:
    """The terms, those that say most first.

    Raises:
        KeyError: the language is none of LANGUAGES.
    """
    ordered = sorted(terms, key=lambda term: -abs(term.value))
    return ", ".join(_told(term, language) for term in ordered)


def _told(term: Term, language: str) -> str:
    plain = term.name.replace("_", " "), *OTHERS[language]
    name, agrees, disagrees, nothing = NAMES[language].get(term.name, plain)
    said = f" ({SAID[language]})" if term.said else ""
    if abs(term.value) < LITTLE:
        return f"{name}{said} {nothing}"
    value = f"{term.value:+.1f}".replace("-", "−").replace(".", POINT[language])
    return f"{name}{said} {agrees if term.value > 0 else disagrees} {value}"
