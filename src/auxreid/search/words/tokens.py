"""A description as words, with their places in what was written."""

import re
from dataclasses import dataclass

WORD = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s]|_")


@dataclass(frozen=True)
class Token:
    """A word, a number or a sign; `before` is what parts it from the one before: "", " " or a line's end."""

    form: str  # as the lexicon has it: small letters, ё as е
    start: int
    end: int
    before: str

    @property
    def is_word(self) -> bool:
        return self.form[0].isalpha()

    @property
    def is_number(self) -> bool:
        return self.form[0].isdecimal()


def tokens_of(text: str) -> list[Token]:
    """Words, numbers and signs in the order of the text; words that a hyphen joins are two, with the hyphen between."""
    found, last = [], 0
    for match in WORD.finditer(text):
        gap = text[last : match.start()]
        before = "\n" if "\n" in gap else " " if gap else ""
        found.append(Token(normal(match[0]), match.start(), match.end(), before))
        last = match.end()
    return found


def normal(word: str) -> str:
    """As words are compared."""
    return word.lower().replace("ё", "е").replace("’", "'")


def key_of(form: str) -> tuple[str, ...]:
    """The words of a lexicon's form, as a text's are compared with them: hyphens count as blanks."""
    return tuple(normal(word) for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)*|&", form))
