"""From a similarity to the log-likelihood ratio of one dog to two: a logistic curve, or a rising one of any form.

Both are fitted with equal weight on pairs of one dog and of two, so that the log-odds are the log-likelihood ratio.
Both rise strictly: no order among candidates is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxreid.search.weights import fit_weights, log_loss

LEAST_SLOPE = 1e-3  # nats per unit of similarity: of an encoder that knows nothing of dogs
LEAST_RISE = 1e-6  # from one step to the next, of a rate: what is less is lost in rounding
RIDGE = 1e-6  # so that pairs which a threshold separates have a finite slope
PSEUDO_PAIRS = 1.0  # added to each step of the isotonic curve, half of one dog: a step of one kind is finite


@dataclass(frozen=True)
class Logistic:
    """llr = slope * similarity + offset."""

    slope: float
    offset: float

    @classmethod
    def fit(cls, similarity: np.ndarray, same: np.ndarray) -> "Logistic":
        """Of pairs' similarities [n] and whether they are of one dog, bool [n]; each kind is there."""
        similarity = np.asarray(similarity, np.float64)
        middle, spread = similarity.mean(), max(float(similarity.std()), 1e-12)
        found = fit_weights(((similarity - middle) / spread)[:, None], same, balanced(same), ridge=RIDGE)
        slope = max(float(found.weights[0]) / spread, LEAST_SLOPE)
        return cls(slope, float(found.offset) - slope * float(middle))

    def llr(self, similarity: np.ndarray) -> np.ndarray:
        """float64, of the same shape."""
        return self.slope * np.asarray(similarity, np.float64) + self.offset


@dataclass(frozen=True)
class Isotonic:
    """Straight lines between knots; below the first and above the last as steep as the logistic curve."""

    similarities: tuple[float, ...]  # ascending, as are
    llrs: tuple[float, ...]
    slope: float

    @classmethod
    def fit(cls, similarity: np.ndarray, same: np.ndarray) -> "Isotonic":
        """As of Logistic. Pool-adjacent-violators; a knot stands in the middle of each step."""
        x, own = np.unique(np.asarray(similarity, np.float64), return_inverse=True)  # equal similarities are one
        each = balanced(same)
        weight, right = np.bincount(own, each), np.bincount(own, each * same)
        starts = _steps(right / weight, weight)
        sums = [np.add.reduceat(values, starts) for values in (weight, weight * x, right)]
        added = PSEUDO_PAIRS * each.max()
        rate = (sums[2] + added / 2) / (sums[0] + added)
        again = _steps(rate, sums[0])  # what is added to steps of unequal weight can make them fall
        weights, middles, rates = (np.add.reduceat(values, again) for values in (sums[0], sums[1], sums[0] * rate))
        rates = rates / weights
        llrs = np.log(rates) - np.log1p(-rates)
        slope = Logistic.fit(similarity, same).slope
        return cls(tuple((middles / weights).tolist()), tuple(llrs.tolist()), slope)

    def llr(self, similarity: np.ndarray) -> np.ndarray:
        """float64, of the same shape."""
        x = np.asarray(similarity, np.float64)
        beyond = np.minimum(x - self.similarities[0], 0) + np.maximum(x - self.similarities[-1], 0)
        return np.interp(x, self.similarities, self.llrs) + self.slope * beyond


Calibration = Logistic | Isotonic
KINDS: Mapping[str, type] = {"logistic": Logistic, "isotonic": Isotonic}


def best_calibration(
    similarity: np.ndarray, same: np.ndarray, fold: np.ndarray
) -> tuple[Calibration, dict[str, float]]:
    """The kind of the least log loss on held-out pairs, fitted on all, and each kind's loss.

    Args:
        fold: int64 [n, 2], the folds of the two dogs of each pair: a pair is held out with either's fold, and only
            pairs of dogs of other folds are fitted on.
    """
    losses = {name: _held_out_loss(kind, similarity, same, fold) for name, kind in KINDS.items()}
    taken = min(losses, key=lambda name: losses[name])  # the first of equal ones
    return KINDS[taken].fit(similarity, same), losses


def held_out_llr(similarity: np.ndarray, same: np.ndarray, fold: np.ndarray) -> np.ndarray | None:
    """Of each pair [n] by the calibration from the pairs without the fold of its first dog: what a weight is fitted on,
    since pairs by which the curve was drawn seem to be told by it better than others. None: too few dogs.

    Args:
        fold: as of :func:`best_calibration`.
    """
    found = np.empty(len(same))
    for number in np.unique(fold[:, 0]):
        held, rest = fold[:, 0] == number, (fold != number).all(axis=1)
        if not 0 < same[rest].sum() < rest.sum():
            return None
        taken, _ = best_calibration(similarity[rest], same[rest], fold[rest])
        found[held] = taken.llr(similarity[held])
    return found if len(found) and same.any() else None


def calibration_record(calibration: Calibration) -> dict[str, Any]:
    """For JSON."""
    kind = next(name for name, one in KINDS.items() if isinstance(calibration, one))
    return {"kind": kind, **{name: getattr(calibration, name) for name in calibration.__dataclass_fields__}}


def read_calibration(record: Mapping[str, Any]) -> Calibration:
    """What :func:`calibration_record` gave.

    Raises:
        KeyError, TypeError: it is another's.
    """
    fields = {name: tuple(value) if isinstance(value, Sequence) else value for name, value in record.items()}
    return KINDS[str(record["kind"])](**{name: value for name, value in fields.items() if name != "kind"})


def balanced(same: np.ndarray) -> np.ndarray:
    """Weights float64 [n] of sum n: pairs of one dog have half of it.

    Raises:
        ValueError: one of the two kinds is not there.
    """
    ones, twos = int(same.sum()), int((~same).sum())
    if not ones or not twos:
        raise ValueError(f"calibration needs pairs of one dog and of two, got {ones} and {twos}")
    return len(same) * np.where(same, 0.5 / ones, 0.5 / twos)


def _held_out_loss(kind: type, similarity: np.ndarray, same: np.ndarray, fold: np.ndarray) -> float:
    """The mean over the folds that leave pairs of both kinds on both sides."""
    losses = []
    for number in np.unique(fold):
        held = (fold == number).any(axis=1)
        if all(0 < same[part].sum() < part.sum() for part in (held, ~held)):
            llr = kind.fit(similarity[~held], same[~held]).llr(similarity[held])
            losses.append(log_loss(llr, same[held], balanced(same[held])))
    return float(np.mean(losses)) if losses else np.inf


def _steps(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Where the steps of the best rising fit to y begin, int64 [s]: each step's weighted mean is above the last's."""
    starts: list[int] = []
    sums: list[float] = []
    weights: list[float] = []
    for place, (value, own) in enumerate(zip(y.tolist(), weight.tolist(), strict=True)):
        start, total = place, value * own
        while starts and sums[-1] / weights[-1] > total / own - LEAST_RISE:  # the step before is as high or higher
            start, total, own = starts.pop(), total + sums.pop(), own + weights.pop()
        starts.append(start)
        sums.append(total)
        weights.append(own)
    return np.array(starts)
