"""Captions of frames, from the attributes in the frames table."""

import numpy as np

from auxreid.clip.captions import caption, described
from auxreid.plumbing.base.errors import DataError

KEEP_PHRASE = 0.75  # share of a caption's phrases that are told: keeps the text from being one string per identity


class FrameCaptions:
    """Sentences for the frames that have at least one attribute; `rows` [n] are their rows.

    Raises:
        DataError: no frame has an attribute.
    """

    def __init__(self, frames):
        self.word, self.telling = frames.meta.word, frames.meta.telling
        self.vocabulary = frames.meta.attributes  # name -> words
        self.codes = {name: frames.attribute_codes(name) for name in self.vocabulary}
        known = np.zeros(len(frames), dtype=bool)
        for codes in self.codes.values():
            known |= codes >= 0
        self.rows = np.flatnonzero(known)
        if not known.any():
            raise DataError(
                f"{frames.meta.dataset}: captions are made from attributes, and none of {len(frames)} frames has one; "
                "give it some, name another data set as pretrain.captions_from, or train the rows without texts alone "
                "by pretrain: null"
            )

    def full(self, row: int) -> str:
        """The sentence that tells all known attributes of a row."""
        return caption(*self._parts(row))

    def varied(self, row: int, rng: np.random.Generator) -> str:
        """The sentence with some of its phrases left out at random."""
        subject, phrases = self._parts(row)
        return caption(subject, [phrase for phrase in phrases if rng.random() < KEEP_PHRASE])

    def _parts(self, row: int) -> tuple[str, list[str]]:
        attributes = {
            name: self.vocabulary[name][codes[row]] if codes[row] >= 0 else None for name, codes in self.codes.items()
        }
        return described(attributes, self.word, self.telling)
