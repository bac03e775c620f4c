"""Is one of the dogs found the one that is sought? By thresholds set on dogs whom the base does not hold.

The more dogs are searched, the higher is the best score of strangers. A score is a log-likelihood ratio, and if it were
all there is to know, the best of N would have to be worth log N more than a single one's; how far strangers' scores do
rise with log N, the growth, is measured on calibration dogs between half of the base and all of it. What is compared
with a threshold is

    best score - growth * log(number of dogs)

The rise slows down as bases grow, so that the line through the base that was measured lies above the curve at all other
sizes: there, fewer strangers are taken for one of the base than was asked for, not more.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

FPIRS = {"match": 0.01, "possible": 0.10}  # the shares of strangers to be decided so, or better, by mistake
GROWTH_AT = 0.10  # share of strangers
HALVES = 50  # of the base, drawn
SMALLEST_RISE = 1e-9  # of a logarithm; a base of one dog has no half


@dataclass(frozen=True)
class Thresholds:
    """Of best scores, and on whom they were set."""

    match: float
    possible: float
    growth: float  # 0 to 1
    match_fpir: float
    possible_fpir: float
    strangers: int  # queries of
    dogs: int
    note: str  # what so few cannot show; empty: nothing to say

    def __post_init__(self) -> None:
        if not self.match >= self.possible:
            raise ValueError(f"match at {self.match} is below possible at {self.possible}")

    def decide(self, best: float, dogs: int) -> str:
        """ "match", "possible" or "no match".

        Raises:
            ValueError: no dog was searched.
        """
        odds = levelled(best, dogs, self.growth)
        return "match" if odds >= self.match else "possible" if odds >= self.possible else "no match"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Thresholds":
        """What :meth:`record` gave."""
        return cls(**record)


def levelled(best: np.ndarray | float, dogs: np.ndarray | int, growth: float) -> np.ndarray | float:
    """A best score among so many dogs as what thresholds are compared with.

    Raises:
        ValueError: there was no dog.
    """
    if np.any(np.asarray(dogs) < 1):
        raise ValueError("nothing can be decided where no dog was searched")
    return best - growth * np.log(dogs)


def set_thresholds(scores: np.ndarray, dog: np.ndarray, seed: int = 0) -> Thresholds:
    """The lowest thresholds which at most the allowed share of strangers' queries reach.

    Args:
        scores: of q queries, the best of each of d dogs of a base that does not hold theirs, float64 [q, d]; -inf where
            a dog takes no part
        dog: whose the queries are [q]
        seed: of the halves of the base

    Raises:
        ValueError: no query has a base.
    """
    asked = np.isfinite(scores).any(axis=1)
    if not asked.any():
        raise ValueError("thresholds need strangers, and a base of two dogs at least")
    scores, dog = scores[asked], dog[asked]
    growth = measured_growth(scores, np.random.default_rng(seed))
    falling = np.sort(levelled(scores.max(axis=1), np.isfinite(scores).sum(axis=1), growth))[::-1]
    queries, dogs = len(falling), len(np.unique(dog))
    found = {name: float(np.nextafter(falling[int(fpir * queries)], np.inf)) for name, fpir in FPIRS.items()}
    rates = {f"{name}_fpir": fpir for name, fpir in FPIRS.items()}
    return Thresholds(**found, **rates, growth=growth, strangers=queries, dogs=dogs, note=_note(dogs))


def measured_growth(scores: np.ndarray, rng: np.random.Generator) -> float:
    """By how much per nat of log N the score rises that a tenth of strangers reach, from random halves of the base;
    0 to 1. scores as of :func:`set_thresholds`."""
    counts = np.isfinite(scores).sum(axis=1)
    rises = []
    for _ in range(HALVES):
        order = np.argsort(np.where(np.isfinite(scores), rng.random(scores.shape), np.inf), axis=1)
        halves = np.maximum(counts // 2, 1)
        first = np.take_along_axis(scores, order, axis=1)
        inside = np.arange(scores.shape[1]) < halves[:, None]
        best = np.where(inside, first, -np.inf).max(axis=1)
        rise = np.quantile(scores.max(axis=1), 1 - GROWTH_AT) - np.quantile(best, 1 - GROWTH_AT)
        rises.append(rise / max(np.log(counts / halves).mean(), SMALLEST_RISE))
    return float(np.clip(np.mean(rises), 0.0, 1.0))


def _note(dogs: int) -> str:
    """An individual's photographs are mistaken together, so that dogs count and not queries."""
    least = 1 / dogs
    unseen = [f"{100 * fpir:g} %" for fpir in FPIRS.values() if fpir < least]
    if not unseen:
        return ""
    shown = f"the thresholds are by {dogs} strangers, who can show no rate below {100 * least:.1f} %"
    return f"{shown}: not {', '.join(unseen)}"
