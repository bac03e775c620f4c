"""What is understood of a description that was made of true words."""

from collections.abc import Mapping

from auxreid.search.asked import Say
from auxreid.search.looks import Vocabulary
from auxreid.search.stated import Stated
from auxreid.search.words.describe import describe
from auxreid.search.words.building import lexicon_for
from auxreid.search.words.understand import stated, understand


def saying(vocabulary: Vocabulary) -> Say:
    """Words, a language ("en", "ru") and which way to say it -> the statements that a search takes from the text.

    It raises ValueError where the lexicon does not say how a word is said.
    """
    lexicon = lexicon_for(vocabulary)

    def say(words: Mapping[str, str], language: str, turn: int) -> Mapping[str, Stated]:
        return stated(understand(describe(words, language, turn), vocabulary, lexicon))

    return say
