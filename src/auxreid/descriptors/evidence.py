"""Predicted attributes as evidence when images are ranked, as vectors that are appended to the images' own.

Of two images with probabilities p and q of an attribute's words, 1 - sum_v sqrt(p_v q_v), one minus their Bhattacharyya
coefficient, says how unlike they are: it is half the squared Euclidean distance of the vectors sqrt(p) and sqrt(q). So
the sum over attributes with weights w_a is that of the vectors sqrt(w_a p_a), one behind the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from auxreid.plumbing.base.errors import DataError

Probabilities = Mapping[str, np.ndarray]  # attribute -> [n, words]; a row of NaN where it is unknown


@dataclass(frozen=True)
class Evidence:
    """What is known of each attribute."""

    weights: Mapping[str, float]  # their sum is 1
    typical: Mapping[str, np.ndarray]  # [words], the mean of sqrt(p) over images

    def vectors(self, probabilities: Probabilities) -> np.ndarray:
        """float32 [n, d], of n images: half their squared distance is the sum of w_a (1 - Bhattacharyya coefficient).

        All have length 1. Where an attribute is unknown an image is the typical one, filled up to that length by a
        dimension of its own: in the mean over images it is as far from them as two of them are, and says nothing.
        """
        parts = [np.sqrt(self.weights[name]) * self._roots(name, probabilities[name]) for name in self.weights]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _roots(self, name: str, probabilities: np.ndarray) -> np.ndarray:
        """Of length 1 [n, words + 1]."""
        typical, roots = self.typical[name], np.sqrt(np.asarray(probabilities, np.float64))
        unknown = np.isnan(roots).any(axis=1, keepdims=True)
        rest = np.sqrt(max(0.0, 1.0 - typical @ typical))
        return np.concatenate([np.where(unknown, typical, roots), np.where(unknown, rest, 0.0)], axis=1)


def fit_evidence(probabilities: Probabilities, classes: np.ndarray, groups: np.ndarray) -> Evidence:
    """Each attribute weighed by how well it tells people apart.

    Args:
        classes: the identity of each image in 0..k-1 [n]; groups: its camera or sequence [n].

    Raises:
        DataError: as :func:`separating_weights`; no attribute tells people apart.
    """
    weights = separating_weights(probabilities, classes, groups)
    total = sum(weights.values())
    if total == 0:
        raise DataError(
            f"evidence of {', '.join(weights)}: none tells training identities apart; nothing is left of it"
        )
    typical = {name: np.nanmean(np.sqrt(np.asarray(p, np.float64)), axis=0) for name, p in probabilities.items()}
    return Evidence({name: weight / total for name, weight in weights.items()}, typical)


def separating_weights(probabilities: Probabilities, classes: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """By which an attribute's unlikeness enters the log-likelihood ratio of two people to one, 0 or more.

    With means m and variances s of the unlikeness among pairs of one person's images in different groups, and of
    different people's, each taken for normal with the mean variance: (m_two - m_one) / ((s_one + s_two) / 2).

    Raises:
        DataError: nobody has images of a known attribute in two groups, or there is nobody else.
    """
    return {name: _separation(name, np.asarray(p, np.float64), classes, groups) for name, p in probabilities.items()}


def _separation(name: str, p: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> float:
    known = ~np.isnan(p).any(axis=1)
    roots, own = np.sqrt(p[known]), classes[known]
    views = np.unique(np.stack([own, groups[known]]), axis=1, return_inverse=True)[1].reshape(-1)
    squares = (roots[:, :, None] * roots[:, None, :]).reshape(len(roots), -1)  # products of them are squared products
    powers = [np.ones((len(roots), 1)), roots, squares]
    within, of_view, all_pairs = (
        np.array([_over_pairs(power, labels) for power in powers]) for labels in (own, views, np.zeros_like(own))
    )
    one, two = within - of_view, all_pairs - within  # counts, sums of coefficients, sums of their squares
    if min(one[0], two[0]) < 1:
        raise DataError(f"evidence of {name}: there must be pairs of one person's images in two groups, and of two's")
    variance = sum(sums[2] / sums[0] - (sums[1] / sums[0]) ** 2 for sums in (one, two)) / 2
    return max(0.0, float((one[1] / one[0] - two[1] / two[0]) / variance)) if variance > 1e-12 else 0.0


def _over_pairs(vectors: np.ndarray, labels: np.ndarray) -> float:
    """The sum of products over ordered pairs of one label, each vector with itself among them: [n, d], [n]."""
    sums = np.zeros((int(labels.max(initial=0)) + 1, vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    return float((sums**2).sum())
