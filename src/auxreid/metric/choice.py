"""The row to use, chosen by validation alone.

A trained row is chosen only if its validation mAP is above that of the untouched encoder, of the same folds and seeds,
by more than the standard error of the difference (over seeds and individuals): with few individuals the best of many
rows is above by chance alone. Of these rows it is the one of the largest difference, since rows may have other folds;
where there is none, it is the untouched encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auxreid.evaluation.statistics import estimate
from auxreid.metric.by_individual import by_individual

UNTOUCHED = "untouched"


@dataclass(frozen=True)
class Validation:
    """One seed of a row: the held-out queries' average precisions [q], NaN without a match, of the row and of the
    encoder as it is, and the queries' identities [q]."""

    precision: np.ndarray
    untouched: np.ndarray
    identity: np.ndarray


@dataclass(frozen=True)
class Gain:
    """A row's validation mAP, and how far it is above the untouched encoder's; `error` is the difference's."""

    mAP: float
    difference: float
    error: float


def gain(seeds: Sequence[Validation]) -> Gain:
    """Over the seeds of a row."""
    differences = by_individual([one.precision - one.untouched for one in seeds], [one.identity for one in seeds])
    found = estimate(differences)
    return Gain(float(np.mean([np.nanmean(one.precision) for one in seeds])), found.mean, found.error)


def choose(gains: Mapping[str, Gain]) -> str:
    """The chosen row's name, UNTOUCHED where none is above it by more than an error; the first of equal ones."""
    above = {name: one.difference for name, one in gains.items() if one.difference > one.error}
    return max(above, key=lambda name: above[name]) if above else UNTOUCHED
