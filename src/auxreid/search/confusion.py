"""How the classifier errs: for each word that it predicts, the probabilities of the true ones.

Predictions are probabilities p_u, so that a count of errors would count their doubts twice: calibrated ones already
are the probabilities of the true words. The confusions C are therefore those under which labels y are most likely,

    P(y = v) = sum over u of p_u C_uv

found by expectation-maximisation from near the identity matrix: of calibrated predictions they are the identity but for
chance, of overconfident ones they spread each word over others. Few labels prove little, so that some labels are added
to each word's row, most of them right and the rest spread by chance; and confusions are used only where they make
labels of dogs left out more likely than the predictions as they are do.
"""

import numpy as np

ADDED = 2.0  # labels in a row, beside those that are there
ADDED_RIGHT = 0.9  # of them
STEPS = 100
FOLDS = 5  # of dogs
SEED = 0  # of the folds
SMALLEST = 1e-6  # a probability: a label that was held for impossible is not infinitely unlikely


def fit_confusion(p: np.ndarray, codes: np.ndarray, added: float = ADDED) -> np.ndarray:
    """C, float64 [k, k], rows sum to 1; without a label it is the identity.

    Args:
        p: [n, k], probabilities of frames that the classifier has not learnt from
        codes: int64 [n], -1 where the label is missing
    """
    labelled, words = codes >= 0, p.shape[1]
    if not labelled.any():
        return np.eye(words)
    p, is_word = np.asarray(p[labelled], np.float64), np.eye(words)[codes[labelled]]  # [m, k] both
    start = ADDED_RIGHT * np.eye(words) + (1 - ADDED_RIGHT) / words
    confusion = start
    for _ in range(STEPS):
        share = p[:, :, None] * confusion  # [m, u, v], before the label is known
        share *= (is_word / np.maximum(p @ confusion, 1e-12))[:, None, :]
        counts = share.sum(axis=0) + added * start
        confusion = counts / counts.sum(axis=1, keepdims=True)
    return confusion


def proven_confusion(p: np.ndarray, codes: np.ndarray, dog: np.ndarray) -> np.ndarray:
    """The confusions, as :func:`fit_confusion`, if those of other dogs make a dog's labels more likely, by more than a
    standard error of the gain; else the identity.

    Args:
        dog: int64 [n], whose frames they are
    """
    labelled = codes >= 0
    p, codes, dog = np.asarray(p[labelled], np.float64), codes[labelled], dog[labelled]
    names, own = np.unique(dog, return_inverse=True)
    if len(names) < FOLDS:
        return np.eye(p.shape[1])
    fold = np.random.default_rng(SEED).permutation(len(names))[own] % FOLDS
    rows, held_out = np.arange(len(codes)), np.zeros_like(p)
    for number in range(FOLDS):
        held = fold == number
        held_out[held] = p[held] @ fit_confusion(p[~held], codes[~held])
    gain = np.log(np.maximum(held_out[rows, codes], SMALLEST)) - np.log(np.maximum(p[rows, codes], SMALLEST))
    gains = np.bincount(own, gain)  # of each dog, whose frames err together
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return fit_confusion(p, codes) if gains.mean() > error else np.eye(p.shape[1])
