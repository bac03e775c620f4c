"""How the classifier errs: for each word that it predicts, the probabilities of the true ones.

Predictions are probabilities p_u, so that a count of errors would count their doubts twice: calibrated ones already
are the probabilities of the true words. The confusions C are therefore those under which labels y are most likely,

    P(y = v) = sum over u of p_u C_uv

found by expectation-maximisation from the identity matrix: of calibrated predictions they are the identity but for
chance, of overconfident ones they spread each word over others. Few labels prove little, so that some labels are added
to each word's row, most of them right and the rest spread by chance.
"""

import numpy as np

ADDED = 2.0  # labels in a row, beside those that are there
ADDED_RIGHT = 0.9  # of them
STEPS = 100


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
