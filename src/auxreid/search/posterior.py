"""How probable it is that a dog of the base is the one that is sought, and that none is.

With score s_j of each of N dogs, where one of them is the sought one as probably as not, and each of them alike,

    P(dog j) = L_j / (N + sum of L),   L_j = exp(scale * s_j + offset)

L is a likelihood ratio. That of the score would need neither scale nor offset, were its terms independent; both are
fitted on calibration dogs left out, half of the time as dogs of the base and half as strangers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LEAST_SCALE = 0.05
MOST_SCALE = 20.0
PULL = 1e-3  # towards the score as it is, where few dogs say little


@dataclass(frozen=True)
class Posterior:
    """See the head of this file."""

    scale: float
    offset: float

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """The probability of each of d dogs, of q queries: float64 [q, d], from scores; -inf where a dog is not in the
        base, whose probability is 0. What is missing to 1 is that it is none of them."""
        ratios = self.scale * scores + self.offset
        top = np.maximum(ratios.max(axis=1, keepdims=True), 0.0)
        likely = np.exp(ratios - top)
        count = np.maximum(np.isfinite(scores).sum(axis=1, keepdims=True), 1)
        return likely / (count * np.exp(-top) + likely.sum(axis=1, keepdims=True))

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Posterior":
        """What :meth:`record` gave."""
        return cls(**record)


def fit_posterior(scores: np.ndarray, own: np.ndarray) -> Posterior:
    """The most likely one.

    Args:
        scores: of q queries with each of d dogs, float64 [q, d]; -inf where a dog takes no part
        own: int64 [q], the place of each query's dog; where it takes no part, the query asks as a stranger alone
    """
    from scipy.optimize import minimize

    rows = np.arange(len(scores))
    others = scores.copy()
    others[rows, own] = -np.inf
    known = np.flatnonzero(np.isfinite(scores[rows, own]) & np.isfinite(others).any(axis=1))
    foreign = np.flatnonzero(np.isfinite(others).any(axis=1))

    def loss(point: np.ndarray) -> float:
        made = Posterior(*point)
        right = made(scores[known])[np.arange(len(known)), own[known]]
        none = 1 - made(others[foreign]).sum(axis=1)
        parts = [-np.log(np.maximum(one, 1e-300)).mean() for one in (right, none) if len(one)]
        return sum(parts) + PULL * ((np.log(point[0])) ** 2 + point[1] ** 2)

    bounds = [(LEAST_SCALE, MOST_SCALE), (-50.0, 50.0)]
    found = minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=bounds)
    return Posterior(float(found.x[0]), float(found.x[1]))
