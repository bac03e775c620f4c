"""Whether probabilities can be believed: a temperature per head, and the expected calibration error."""

from collections.abc import Callable, Mapping

import numpy as np

from auxreid.attributes.losses import MISSING

LEAST, MOST = 0.1, 10.0  # temperatures; what is all right or all wrong would ask for 0 or infinity
Estimate = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of calibration errors, see binned_errors
BINS = 15
DRAWS = 200  # of outcomes that probabilities would have if they were true
SEED = 0


def fit_temperature(logits: np.ndarray, codes: np.ndarray) -> float:
    """The T within 0.1..10 whose softmax(logits / T) has the least cross-entropy on the rows that have a label.

    The cross-entropy is convex in 1/T = b. Its slope, mean over rows of E_p[z] - z_y with p = softmax(b z), rises, so
    that its zero is found by halving. T does not change which word is the most probable.

    Args:
        logits: [n, k]
        codes: int64 [n], -1 where the label is missing; one at least is there
    """
    labelled = codes != MISSING
    logits = logits[labelled].astype(np.float64)
    of_label = logits[np.arange(len(logits)), codes[labelled]]  # [m]

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * logits) * logits).sum(axis=1) - of_label).mean())

    low, high = np.log(1 / MOST), np.log(1 / LEAST)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(np.exp(middle)) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def calibrated(logits: Mapping[str, np.ndarray], temperatures: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Per attribute float32 [n, k]: the probabilities softmax(logits / T), with T = 1 for a head without one."""
    return {name: softmax(values / np.float32(temperatures.get(name, 1.0))) for name, values in logits.items()}


def binned_errors(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The expected calibration error in 15 bins, of each draw.

    The rows are put in order of their confidence and cut into 15 bins of equal numbers (at most one apart; with fewer
    rows, a bin each; rows of equal confidence keep their order). The error is

        sum over bins of (rows in the bin / rows) * |share of the bin's rows that are right - their mean confidence|

    Args:
        confidence: [n]
        right: bool [draws, n], which rows are predicted rightly

    Returns:
        [draws]
    """
    order = np.argsort(confidence, kind="stable")
    gaps = (right - confidence)[:, order]  # [draws, n]
    bins = np.array_split(np.arange(len(order)), min(BINS, len(order)))
    return sum(np.abs(gaps[:, rows].sum(axis=1)) for rows in bins) / len(order)


def swept_errors(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The same error in as many bins as each draw bears: ECE_sweep of Roelofs et al. (AISTATS 2022).

    There is one bin, then two, and so on, until the share of right rows falls from some bin to the next; the last
    number before that is taken. Of rows with more confidence more are right, so that a fall is noise. In 15 bins of few
    rows noise is most of the error, here it is less.
    """
    order = np.argsort(confidence, kind="stable")
    sure = _sums_before(confidence[order])
    errors = []
    for draw in right[:, order]:
        true = _sums_before(draw)
        error = abs(true[-1] - sure[-1])
        for bins in range(2, len(order) + 1):
            edges = np.arange(bins + 1) * len(order) // bins
            rights = np.diff(true[edges])
            if (np.diff(rights / np.diff(edges)) < 0).any():
                break
            error = np.abs(rights - np.diff(sure[edges])).sum()
        errors.append(error / len(order))
    return np.array(errors)


def _sums_before(values: np.ndarray) -> np.ndarray:
    """[n + 1]: the sum of the values before each place."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def calibration_error(codes: np.ndarray, probabilities: np.ndarray, estimate: Estimate = binned_errors) -> float:
    """How far the probabilities of the predicted words are from the shares of right ones, on the rows with a label.

    0 is best. It cannot be 0 on few rows even of true probabilities: see `error_of_true_probabilities`.

    Args:
        codes: int64 [n], -1 where the label is missing; one at least is there
        probabilities: [n, k]
        estimate: `binned_errors` or `swept_errors`
    """
    labelled = codes != MISSING
    confidence = probabilities[labelled].max(axis=1)
    right = probabilities[labelled].argmax(axis=1) == codes[labelled]
    return float(estimate(confidence, right[None])[0])


def error_of_true_probabilities(
    codes: np.ndarray, probabilities: np.ndarray, estimate: Estimate = binned_errors
) -> float:
    """The calibration error to be expected on these rows if each probability were true and the rows independent.

    It is the mean over 200 draws in which each row is right with the probability of its most probable word. Frames of
    one individual err together, which raises it further.
    """
    confidence = probabilities[codes != MISSING].max(axis=1)
    right = np.random.default_rng(SEED).random((DRAWS, len(confidence))) < confidence
    return float(estimate(confidence, right).mean())
