"""A result's terms in words: "size agrees +1.9, ears disagree -0.7, coat, muzzle say nothing"; in English, Russian."""

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
NOTHING = {"en": "say nothing", "ru": "ни о чём не говорят"}  # several
POINT = {"en": ".", "ru": ","}
SAID = {"en": "as stated", "ru": "со слов"}


def in_words(terms: Iterable[Term], language: str = "en") -> str:
    """The terms in a line; as :func:`told`."""
    return ", ".join(told(terms, language))


def told(terms: Iterable[Term], language: str = "en") -> list[str]:
    """A line for each term, those that say most first, and one for all that say nothing.

    Raises:
        KeyError: the language is none of LANGUAGES.
    """
    ordered = sorted(terms, key=lambda term: -abs(term.value))
    lines = [_told(term, language) for term in ordered if abs(term.value) >= LITTLE]
    silent = [term for term in ordered if abs(term.value) < LITTLE]
    if not silent:
        return lines
    names = ", ".join(_name(term, language) for term in silent)
    return [*lines, f"{names} {_words(silent[0], language)[3] if len(silent) == 1 else NOTHING[language]}"]


def _words(term: Term, language: str) -> tuple[str, ...]:
    plain = term.name.replace("_", " "), *OTHERS[language]
    return NAMES[language].get(term.name, plain)


def _name(term: Term, language: str) -> str:
    return _words(term, language)[0] + (f" ({SAID[language]})" if term.said else "")


def _told(term: Term, language: str) -> str:
    _, agrees, disagrees, _ = _words(term, language)
    value = f"{term.value:+.1f}".replace("-", "−").replace(".", POINT[language])
    return f"{_name(term, language)} {agrees if term.value > 0 else disagrees} {value}"
