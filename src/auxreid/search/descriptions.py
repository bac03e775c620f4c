"""Descriptions of calibration dogs, as a person would write them, for the text-image term."""

from collections.abc import Callable, Sequence

import numpy as np

from auxreid.search.examples import Calibrating
from auxreid.search.text_image import Descriptions
from auxreid.search.words.describe import describe

SHARE = 0.5  # of the attributes that are known of a dog, in a description
Read = Callable[[Sequence[str]], np.ndarray]  # English descriptions -> float32 [n, e], unit length


def described(known: Calibrating, read: Read, seed: int) -> Descriptions:
    """A description of each photograph's dog, of some of its true words, drawn.

    Raises:
        ValueError: no dog has a label, or nothing says how a word is said.
    """
    names, rng = list(known.vocabulary), np.random.default_rng(seed)
    codes = np.stack([known.codes[name] for name in names], axis=1)  # [n, a]
    there = codes >= 0
    if not there.any():
        raise ValueError("no calibration dog has an attribute label, so that nobody knows what is true of it")
    chance = np.where(there, rng.random(codes.shape), np.inf)
    said = there & ((chance < SHARE) | (chance == chance.min(axis=1, keepdims=True)))  # one at least
    texts = []
    for row, one in enumerate(said):
        words = {names[place]: known.vocabulary[names[place]][codes[row, place]] for place in np.flatnonzero(one)}
        texts.append(describe(words, "en", row))
    distinct, own = np.unique(texts, return_inverse=True)
    return Descriptions(read(distinct.tolist())[own], said)
