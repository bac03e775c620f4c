"""What an attribute says of two photographs being of one dog: vectors over its words, and their log-likelihood ratio.

With p_v and q_v the probabilities of word v given either photograph, and prior_v the share of dogs of that word, two
photographs of one dog agree in the word, those of two dogs are independent. The ratio of the two likelihoods is then

    sum over v of p_v q_v / prior_v

above 1 where both point to one word, the more so the rarer it is; below 1 where they point to different ones; 1 where
either is the prior, that is where nothing is known.
"""

from collections.abc import Sequence

import numpy as np

from auxreid.plumbing.base.errors import DataError

SMALLEST = 1e-9  # of a ratio: two sure words that differ are not infinitely unlike
PSEUDO_COUNT = 1.0  # of each word among the labels that base rates are of, so that none is 0


def attribute_llr(p: np.ndarray, q: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """log sum_v p_v q_v / prior_v of each pair, float64 [n, m]; exactly 0 where p or q is the prior itself.

    Args:
        p, q: [n, k], [m, k], rows sum to 1
        prior: [k], all above 0
    """
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    found = np.log(np.maximum((p / prior) @ q.T, SMALLEST))
    found[(p == prior).all(axis=1)] = 0.0
    found[:, (q == prior).all(axis=1)] = 0.0
    return found


def paired_llr(p: np.ndarray, q: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The same of n pairs, float64 [n]; p, q: [n, k]."""
    found = np.log(np.maximum(((p / prior) * q).sum(axis=1), SMALLEST))
    found[(p == prior).all(axis=1) | (q == prior).all(axis=1)] = 0.0
    return found


def through(p: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """Probabilities float64 [n, k] of the true words, from predicted ones [n, k] and the confusions [k, k], whose row u
    holds the probabilities of the true words where u is predicted (see confusion.py)."""
    return np.asarray(p, np.float64) @ confusion


def stated_vector(
    words: Sequence[str], excluded: Sequence[str], vocabulary: Sequence[str], prior: np.ndarray, softness: float
) -> np.ndarray:
    """What a statement says of an attribute, float64 [k]: the prior among the words that it allows, mixed with the
    whole prior by `softness`, since people err; the prior itself where it says nothing.

    Args:
        words: one of these it is; none: all are allowed.
        excluded: none of these.

    Raises:
        DataError: a word that the vocabulary has not, or none is left.
    """
    for word in (*words, *excluded):
        if word not in vocabulary:
            raise DataError(f"stated word {word!r}, allowed: {', '.join(vocabulary)}")
    if not words and not excluded:
        return prior.copy()
    allowed = np.array([(not words or word in words) and word not in excluded for word in vocabulary])
    if not allowed.any():
        raise DataError(f"stated: {', '.join(words) or 'any word'}, but not {', '.join(excluded)}: no word is left")
    kept = np.where(allowed, prior, 0.0)
    return (1 - softness) * kept / kept.sum() + softness * prior


def base_rates(codes: np.ndarray, words: int) -> np.ndarray:
    """The share of each of k words among labels, float64 [k], each word counted once more than it is there.

    Args:
        codes: int64 [n], -1 where the label is missing
    """
    counts = np.bincount(codes[codes >= 0], minlength=words) + PSEUDO_COUNT
    return counts / counts.sum()
