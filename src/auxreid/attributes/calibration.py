"""Whether probabilities can be believed: what makes them of a head's logits, and the expected calibration error."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from auxreid.attributes.losses import MISSING

LEAST, MOST = 0.1, 10.0  # temperatures; what is all right or all wrong would ask for 0 or infinity
Estimate = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of calibration errors, see binned_errors
BINS = 15
DRAWS = 200  # of outcomes that probabilities would have if they were true
SEED = 0
Logits = Mapping[str, np.ndarray]  # per attribute [n, k]


@dataclass
class Calibration:
    """What makes probabilities of a classifier's logits z: softmax(z / T + t * log f) for each head.

    T is its temperature, 1 if it has none, t its tilt, 0 if it has none, and f its words' frequencies.
    """

    temperatures: dict[str, float] = field(default_factory=dict)
    tilts: dict[str, float] = field(default_factory=dict)
    frequencies: dict[str, list[float]] = field(default_factory=dict)

    def fit(self, name: str, logits: np.ndarray, codes: np.ndarray, kind: str, trained: np.ndarray) -> None:
        """Fit a head's T, and t by the frequencies of the words that it was trained on if `kind` asks for them.

        Args:
            logits, codes: as of fit_temperature
            kind: as a recipe's `attributes.calibration`
            trained: int64 [m], the codes of the training frames
        """
        if kind == "temperature":
            self.temperatures[name] = fit_temperature(logits, codes)
        else:
            self.frequencies[name] = frequencies(trained, logits.shape[1])
            self.temperatures[name], self.tilts[name] = fit_tilted(logits, codes, np.log(self.frequencies[name]))

    def probabilities(self, logits: Logits) -> dict[str, np.ndarray]:
        """Per attribute float32 [n, k]."""
        return {name: softmax(self._divided(name, values) + self._offsets(name)) for name, values in logits.items()}

    def scores(self, logits: Logits) -> dict[str, np.ndarray]:
        """The same without the tilt: with the words as frequent as training took them to be by its weights."""
        return {name: softmax(self._divided(name, values)) for name, values in logits.items()}

    def _divided(self, name: str, logits: np.ndarray) -> np.ndarray:
        return logits / np.float32(self.temperatures.get(name, 1.0))

    def _offsets(self, name: str) -> np.ndarray | float:
        """[k]"""
        return np.float32(self.tilts[name] * np.log(self.frequencies[name])) if name in self.tilts else 0.0


def frequencies(codes: np.ndarray, words: int) -> list[float]:
    """The share of each word among the labels, each counted once more, so that none is 0."""
    counts = np.bincount(codes[codes != MISSING], minlength=words) + 1
    return (counts / counts.sum()).tolist()


def fit_tilted(logits: np.ndarray, codes: np.ndarray, logs: np.ndarray) -> tuple[float, float]:
    """The temperature T within 0.1..10 and the tilt t within 0..1 for which softmax(logits / T + t * logs) has the
    least cross-entropy on the rows that have a label. The cross-entropy is convex in (1/T, t).

    A loss that weighs rare words up teaches the probabilities that there would be if all words were equally frequent.
    With the logarithms of their frequencies, t = 1 brings these back (Bayes' rule; Menon et al., ICLR 2021, adjust
    logits likewise), and t = 0 leaves the logits as they are.

    Args:
        logits, codes: as of fit_temperature
        logs: [k]
    """
    from scipy.optimize import minimize  # 0.2 s that using a model need not cost

    labelled = codes != MISSING
    logits, codes = logits[labelled].astype(np.float64), codes[labelled]
    of_label = logits[np.arange(len(codes)), codes]  # [m]

    def cross_entropy(found: np.ndarray) -> tuple[float, np.ndarray]:
        powers = found[0] * logits + found[1] * logs
        probabilities = softmax(powers)
        largest = powers.max(axis=1)
        sums = largest + np.log(np.exp(powers - largest[:, None]).sum(axis=1))
        slopes = (probabilities * logits).sum(axis=1) - of_label, probabilities @ logs - logs[codes]
        loss = sums - powers[np.arange(len(codes)), codes]
        return float(loss.mean()), np.array([float(slope.mean()) for slope in slopes])

    bounds = [(1 / MOST, 1 / LEAST), (0.0, 1.0)]
    precise = {"ftol": 1e-15, "gtol": 1e-10}
    inverse, tilt = minimize(cross_entropy, [1.0, 0.5], jac=True, method="L-BFGS-B", bounds=bounds, options=precise).x
    return float(1 / inverse), float(tilt)


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
        most = 1 if draw.all() else len(order)  # if all are right, more bins change nothing
        for bins in range(2, most + 1):
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
    confidence = probabilities[codes != MISSING].max(axis=1)
    return float(estimate(confidence, right_rows(codes, probabilities)[None])[0])


def right_rows(codes: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """bool [m]: of the rows that have a label, those whose most probable word it is."""
    labelled = codes != MISSING
    return probabilities[labelled].argmax(axis=1) == codes[labelled]


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
