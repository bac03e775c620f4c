"""Places for learned token vectors in a sentence: each an X."""

from itertools import takewhile

from torch import Tensor

from auxreid.plumbing.base.errors import DataError

PLACEHOLDER = "X"
PLACEHOLDER_TOKEN = 343  # of "X", and of the end of few other words, in CLIP's vocabulary
ARTICLE_TOKEN = 320  # of "a"
FULL_STOP_TOKEN = 269


def learned_phrase(word: str, placeholders: int) -> str:
    """ "a X X X X person"

    Raises:
        ValueError: fewer than one placeholder.
    """
    if placeholders < 1:
        raise ValueError(f"{placeholders} placeholders, at least 1 is needed")
    return f"a {' '.join([PLACEHOLDER] * placeholders)} {word}"


def plain_sentence(word: str, placeholders: int) -> str:
    """CLIP-ReID's own sentence: "A photo of a X X X X person." Raises as :func:`learned_phrase`."""
    return f"A photo of {learned_phrase(word, placeholders)}."


def placeholder_places(tokens: Tensor) -> list[int]:
    """The places of the X in a tokenised sentence, int64 [77] of open_clip.tokenize: the last run behind an article.

    Parts of other words may read as X (an oryx, a manx cat), but none stands behind an article in what follows the run.

    Raises:
        ValueError: there is no such run.
        DataError: the sentence was cut off because it does not fit into 77 tokens.
    """
    end = int(tokens.argmax())  # the end token is the highest of the vocabulary
    if tokens[end - 1] != FULL_STOP_TOKEN:
        cut = f"a sentence has no full stop at its end, {end}: it was cut off at {len(tokens)} tokens"
        raise DataError(f"{cut}; name fewer attributes, or shorter words")
    ids = tokens.tolist()
    starts = [place for place in range(1, end) if ids[place - 1 : place + 1] == [ARTICLE_TOKEN, PLACEHOLDER_TOKEN]]
    if not starts:
        places = [place for place, token in enumerate(ids) if token == PLACEHOLDER_TOKEN]
        raise ValueError(f"the X stand at {places}, expected a run behind an article")
    return list(takewhile(lambda place: ids[place] == PLACEHOLDER_TOKEN, range(starts[-1], end)))
