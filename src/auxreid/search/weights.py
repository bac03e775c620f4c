"""Logistic regression with weights that are not negative."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Regression:
    """log-odds = values @ weights + offset."""

    weights: np.ndarray  # float64 [t]
    offset: float


def fit_weights(
    values: np.ndarray,
    same: np.ndarray,
    weight: np.ndarray,
    *,
    ridge: float,
    towards: np.ndarray | float = 0.0,
    given: np.ndarray | float = 0.0,
) -> Regression:
    """The least weighted mean log loss, plus `ridge` times the squared distance of the weights from `towards`.

    Evidence that other evidence already holds thereby gets little weight or none, never one that turns it around.

    Args:
        values: [n, t]
        same: bool [n]
        weight: [n], of the pairs
        given: log-odds [n] that are known, to which the values' are added
    """
    from scipy.optimize import minimize  # 0.2 s that a search need not cost

    terms = values.shape[1]
    towards = np.broadcast_to(np.asarray(towards, np.float64), terms)
    sign, share = np.where(same, 1.0, -1.0), weight / weight.sum()

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (values @ point[:terms] + point[terms] + given)
        slope = -share * sign * np.exp(-np.logaddexp(0, margin))
        away = point[:terms] - towards
        value = (share * np.logaddexp(0, -margin)).sum() + ridge * (away**2).sum()
        return value, np.append(values.T @ slope + 2 * ridge * away, slope.sum())

    start = np.append(np.maximum(towards, 0.5), 0.0)
    options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * terms + [(None, None)], options=options
    )
    return Regression(found.x[:terms], float(found.x[terms]))


def log_loss(llr: np.ndarray, same: np.ndarray, weight: np.ndarray) -> float:
    """The weighted mean of -log of the probability that each pair [n] is what it is."""
    return float(np.average(np.logaddexp(0, np.where(same, -llr, llr)), weights=weight))
