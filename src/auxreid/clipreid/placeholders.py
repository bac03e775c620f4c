"""Places for learned token vectors in a sentence: each an X."""

from torch import Tensor

PLACEHOLDER = "X"
PLACEHOLDER_TOKEN = 343  # of "X", and of no part of any attribute's word, in CLIP's vocabulary
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
    """The places of the X in a tokenised sentence, int64 [77] of open_clip.tokenize: one run.

    Raises:
        ValueError: there is no X, the X do not stand side by side (a word has a part that reads as X), or the sentence
            was cut off because it does not fit into 77 tokens.
    """
    end = int(tokens.argmax())  # the end token is the highest of the vocabulary
    if tokens[end - 1] != FULL_STOP_TOKEN:
        raise ValueError(f"the sentence has no full stop at its end, {end}: it was cut off at {len(tokens)} tokens")
    places = [place for place, token in enumerate(tokens.tolist()) if token == PLACEHOLDER_TOKEN]
    if not places or places[-1] - places[0] != len(places) - 1:
        raise ValueError(f"the X stand at {places}, expected one run")
    return places
