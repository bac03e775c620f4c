"""A description for an English text tower."""

import re
from collections.abc import Mapping

from auxreid.search.stated import Stated
from auxreid.search.words.describe import describe

CYRILLIC = re.compile("[\u0400-\u04ff]")


def in_english(text: str, stated: Mapping[str, Stated]) -> str | None:
    """English text as it is; of any other what was understood in it, in English, or None where that is no word.

    Args:
        stated: by attribute what was understood of this text; what is one of several words is not told.
    """
    if not CYRILLIC.search(text):
        return text.strip() or None
    words = {name: one.words[0] for name, one in stated.items() if len(one.words) == 1}
    try:
        return describe(words, "en") if words else None
    except ValueError:  # the lexicon does not say the word
        return None
