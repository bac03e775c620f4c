"""Predicted attributes as evidence when images are ranked, as vectors that are appended to the images' own.

Of two images with probabilities p and q of an attribute's words, 1 - sum_v sqrt(p_v q_v), one minus their Bhattacharyya
coefficient, says how unlike they are: it is half the squared Euclidean distance of the vectors sqrt(p) and sqrt(q). So
the sum over attributes with weights w_a is that of the vectors sqrt(w_a p_a), one behind the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auxreid.plumbing.base.errors import DataError

SCALES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # of the sum of weights; 0: attributes have no say

Probabilities = Mapping[str, np.ndarray]  # attribute -> [n, words]; a row of NaN where it is unknown


@dataclass(frozen=True)
class Evidence:
    """What is known of each attribute."""

    weights: Mapping[str, float]
    typical: Mapping[str, np.ndarray]  # [words], the mean of sqrt(p) over images

    def embedding(self, probabilities: Probabilities) -> np.ndarray:
        """float32 [n, d], of n images: half their squared distance is the sum of w_a (1 - Bhattacharyya coefficient).

        All have one length. Where an attribute is unknown an image is the typical one, filled up to that length by a
        dimension of its own: in the mean over images it is as far from them as two of them are, and says nothing.

        Raises:
            DataError: an attribute is missing, or has other words.
        """
        parts = [np.sqrt(self.weights[name]) * self._vectors(name, probabilities) for name in self.weights]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _vectors(self, name: str, probabilities: Probabilities) -> np.ndarray:
        """Of length 1 [n, words + 1]."""
        typical = self.typical[name]
        if name not in probabilities or probabilities[name].shape[1] != len(typical):
            found = f"has {probabilities[name].shape[1]}" if name in probabilities else "is missing"
            raise DataError(f"evidence of attributes: {name} {found}, {len(typical)} words were fitted")
        roots = np.sqrt(np.asarray(probabilities[name], np.float64))
        unknown = np.isnan(roots).any(axis=1, keepdims=True)
        rest = np.sqrt(max(0.0, 1.0 - typical @ typical))
        return np.concatenate([np.where(unknown, typical, roots), np.where(unknown, rest, 0.0)], axis=1)


def fit_evidence(
    probabilities: Probabilities,
    classes: np.ndarray,
    groups: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], float],
    seed: int,
    scales: Sequence[float] = SCALES,
) -> tuple[Evidence, dict[tuple[str, float], float]]:
    """The weights that score best on identities they were not fitted on, fitted on all, and the score of each kind.

    The identities are parted in two by the seed; each half is scored with the other's weights. These are `equal` or
    `separating`, times a scale: a likelihood is of attributes alone, and beside an image's own vector they say less. Of
    equal scores the smaller scale is taken.

    Args:
        probabilities: of people that neither the encoder nor the attributes' model was trained on: both are surer of
            people whom they know.
        classes: the identity of each image in 0..k-1 [n]; groups: its camera or sequence [n].
        score: of images' evidence [m, d] and which images they are [m], the higher the better.

    Raises:
        DataError: as :func:`separating_weights`.
    """
    order = np.random.default_rng(seed).permutation(int(classes.max()) + 1)
    first, second = (np.flatnonzero(np.isin(classes, half)) for half in np.array_split(order, 2))
    scores: dict[tuple[str, float], float] = {}
    for fitted, held_out in ((first, second), (second, first)):
        kept, tested = ({name: p[rows] for name, p in probabilities.items()} for rows in (fitted, held_out))
        for kind, weights in _kinds(kept, classes[fitted], groups[fitted]).items():
            for scale in scales:
                found = score(_scaled(weights, scale, kept).embedding(tested), held_out) / 2
                scores[kind, scale] = scores.get((kind, scale), 0.0) + found
    kind, scale = max(scores, key=lambda one: (scores[one], -one[1]))
    return _scaled(_kinds(probabilities, classes, groups)[kind], scale, probabilities), scores


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


def _kinds(probabilities: Probabilities, classes: np.ndarray, groups: np.ndarray) -> dict[str, dict[str, float]]:
    separating = separating_weights(probabilities, classes, groups)
    return {"equal": dict.fromkeys(probabilities, 1.0), "separating": separating}


def _scaled(weights: Mapping[str, float], scale: float, probabilities: Probabilities) -> Evidence:
    """Weights of this sum, and the images' mean."""
    total = sum(weights.values()) or 1.0
    typical = {name: np.nanmean(np.sqrt(p), axis=0) for name, p in probabilities.items()}
    return Evidence({name: scale * weight / total for name, weight in weights.items()}, typical)
