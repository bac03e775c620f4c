"""What is known of each training identity: one row of attribute codes, and how alike two rows are."""

from dataclasses import dataclass

import numpy as np

from auxreid.data.frames import Frames
from auxreid.data.vocabulary import Telling
from auxreid.plumbing.base.errors import DataError

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class IdentityAttributes:
    """Attributes of k identities, in the order of their classes."""

    names: tuple[str, ...]  # of the A attributes
    words: tuple[tuple[str, ...], ...]  # per attribute, its words in the order of their codes
    codes: np.ndarray  # int64 [k, A], -1 where unknown
    telling: Telling = ()  # how sentences tell them, if they are an animal's

    def words_of(self, identity: int) -> dict[str, str | None]:
        """{attribute: word} of one identity in 0..k-1; None where it is unknown."""
        columns = zip(self.names, self.words, self.codes[identity], strict=True)
        return {name: None if code == UNKNOWN else words[code] for name, words, code in columns}


def identity_attributes(frames: Frames, classes: np.ndarray) -> IdentityAttributes:
    """The attributes of each identity, from all of its frames: where some know a word and others do not, it counts.

    Args:
        frames: n training frames.
        classes: int64 [n], the identity of each in 0..k-1, every one with a frame, as `training_set` gives them.

    Raises:
        DataError: no frame has an attribute, or two frames of an identity say different words.
    """
    vocabulary = frames.meta.attributes
    columns = [_known_codes(frames, name, classes) for name in vocabulary]  # A of int64 [k]
    if all((column == UNKNOWN).all() for column in columns):
        listed = ", ".join(vocabulary) or "none"
        raise DataError(
            f"{frames.meta.dataset}: none of {len(frames)} training frames has an attribute (columns: {listed}); "
            "name an attribute table under datasets"
        )
    words, codes = tuple(map(tuple, vocabulary.values())), np.stack(columns, axis=1)
    return IdentityAttributes(tuple(vocabulary), words, codes, frames.meta.telling)


def share_of_equal(codes: np.ndarray) -> np.ndarray:
    """Share of attributes that are equal among those known of both identities; 0 where there is none, 1 with oneself.

    Counts are products of one-hot codes, word by word: no array is larger than [k, k].

    Args:
        codes: int64 [k, A], -1 where unknown.
    Returns:
        float64 [k, k], symmetric.
    """
    known = codes != UNKNOWN  # [k, A]
    both = _inner(known)  # [k, k]
    equal = np.zeros_like(both)
    for code in np.unique(codes[known]):
        equal += _inner(codes == code)
    shares = np.divide(equal, both, out=np.zeros_like(both), where=both > 0)
    np.fill_diagonal(shares, 1.0)
    return shares


def equal_groups(codes: np.ndarray) -> np.ndarray:
    """A group number per identity, from 0: equal exactly where all attributes are, and unknown equals unknown.

    Args:
        codes: int64 [k, A], -1 where unknown.
    Returns:
        int64 [k].
    """
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)


def _known_codes(frames: Frames, name: str, classes: np.ndarray) -> np.ndarray:
    """The code of one attribute per identity, int64 [k]."""
    codes = frames.attribute_codes(name)  # [n]
    of_identity = np.full(classes.max(initial=-1) + 1, UNKNOWN)
    np.maximum.at(of_identity, classes, codes)  # any known code is above UNKNOWN
    against = (codes != UNKNOWN) & (codes != of_identity[classes])
    if against.any():
        one = int(np.flatnonzero(against)[0])
        other = int(np.flatnonzero((classes == classes[one]) & (codes == of_identity[classes[one]]))[0])
        words = frames.meta.attributes[name]
        raise DataError(
            f"{frames.meta.dataset}, identity {frames.identity[one]} ({frames.identity_name[one]}): {name} is "
            f"{words[codes[one]]!r} in {frames.path[one]} and {words[codes[other]]!r} in {frames.path[other]}; "
            "an identity has one word per attribute"
        )
    return of_identity


def _inner(rows: np.ndarray) -> np.ndarray:
    """bool [k, m] -> float64 [k, k]: how many places are true in both rows."""
    numbers = rows.astype(np.float64)
    return numbers @ numbers.T
