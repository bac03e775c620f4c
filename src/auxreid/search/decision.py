"""Is one of the dogs found the one that is sought? By thresholds set on dogs whom the base does not hold.

The more is known of a query, the higher is the best score of strangers: with several photographs pooled, or attributes
stated, the dogs that agree in all of it agree in more. So there are thresholds for each number of photographs and of
stated attributes.

The more photographs are searched, the higher it is too. A score is a log-likelihood ratio, and if it were all there is
to know, the best of N would have to be worth log N more than a single one; how far strangers' scores do rise with log
N, the growth, is measured on calibration dogs between half of the base and all of it. What is compared with a threshold
is

    best score - growth * log(number of photographs)

The rise slows down as bases grow, so that the line through the base that was measured lies above the curve at all other
sizes: there, fewer strangers are taken for one of the base than was asked for, not more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

FPIRS = {"match": 0.01, "possible": 0.10}  # the shares of strangers to be decided so, or better, by mistake
GROWTH_AT = 0.10  # share of strangers
HALVES = 50  # of the base, drawn
SMALLEST_RISE = 1e-9  # of a logarithm; a base of one dog has no half


@dataclass(frozen=True)
class Level:
    """The thresholds of queries of so many photographs and stated attributes."""

    photos: int  # 0: a description alone
    stated: int
    match: float
    possible: float

    def __post_init__(self) -> None:
        if not self.match >= self.possible:
            raise ValueError(f"match at {self.match} is below possible at {self.possible}")


@dataclass(frozen=True)
class Thresholds:
    """Levels, and on whom they were set. That of one photograph and nothing stated is among them."""

    levels: tuple[Level, ...]
    growth: float  # 0 to 1
    match_fpir: float
    possible_fpir: float
    strangers: int  # queries, of one photograph
    dogs: int
    searched: int  # photographs of the base, the median
    note: str  # what so few cannot show; empty: nothing to say

    def decide(self, best: float, searched: int, photos: int = 1, stated: int = 0) -> str:
        """ "match", "possible" or "no match"; see :meth:`auxreid.search.fusion.Fusion.decide`.

        Raises:
            ValueError: no photograph was searched.
        """
        value, level = levelled(best, searched, self.growth), self.level(photos, stated)
        return "match" if value >= level.match else "possible" if value >= level.possible else "no match"

    def level(self, photos: int = 1, stated: int = 0) -> Level:
        """The thresholds of such queries. More photographs or attributes than were measured are as the most that were;
        where only one of the two was, as much is added as to queries of the other."""
        known = {(one.photos, one.stated): one for one in self.levels}
        photos = min(photos, max(one.photos for one in self.levels))
        stated = min(stated, max(one.stated for one in self.levels))
        if (photos, stated) in known:
            return known[photos, stated]
        plain = known[1, 0]
        parts = [known.get((photos, 0), plain), known.get((1, stated), plain)]
        sums = {name: sum(getattr(one, name) for one in parts) - getattr(plain, name) for name in FPIRS}
        return Level(photos, stated, max(sums["match"], sums["possible"]), sums["possible"])

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Thresholds":
        """What :meth:`record` gave."""
        return cls(**{**record, "levels": tuple(Level(**one) for one in record["levels"])})


@dataclass(frozen=True)
class Strangers:
    """Queries of one kind whose dog the base does not hold."""

    photos: int
    stated: int
    scores: np.ndarray  # of q queries, the best of each of d dogs, float64 [q, d]; -inf where a dog takes no part
    dog: np.ndarray  # [q], whose they are
    searched: np.ndarray  # int64 [q], photographs of the base


def levelled(best: np.ndarray | float, searched: np.ndarray | int, growth: float) -> np.ndarray | float:
    """A best score among so many photographs as what thresholds are compared with.

    Raises:
        ValueError: there was none.
    """
    if np.any(np.asarray(searched) < 1):
        raise ValueError("nothing can be decided where no photograph was searched")
    return best - growth * np.log(searched)


def set_thresholds(strangers: Sequence[Strangers], seed: int = 0) -> Thresholds:
    """The lowest thresholds which at most the allowed share of each kind of strangers' queries reach.

    Args:
        strangers: those of one photograph and nothing stated are among them. Queries without a base take no part, kinds
            of fewer dogs than the first are left out.
        seed: of the halves of the base

    Raises:
        ValueError: no query has a base.
    """
    asked = [_with_base(one) for one in strangers]
    plain = next(one for one in asked if (one.photos, one.stated) == (1, 0))
    dogs = len(np.unique(plain.dog))
    if not dogs:
        raise ValueError("thresholds need strangers, and a base of two dogs at least")
    growth = measured_growth(plain.scores, np.random.default_rng(seed))
    levels = tuple(_level(one, growth) for one in asked if len(np.unique(one.dog)) == dogs)
    rates = {f"{name}_fpir": fpir for name, fpir in FPIRS.items()}
    counts = {"strangers": len(plain.dog), "dogs": dogs, "searched": int(np.median(plain.searched))}
    return Thresholds(levels, growth, **rates, **counts, note=_note(dogs))


def measured_growth(scores: np.ndarray, rng: np.random.Generator) -> float:
    """By how much per nat of log N the score rises that a tenth of strangers reach, from random halves of the base;
    0 to 1. scores as of Strangers."""
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


def _with_base(strangers: Strangers) -> Strangers:
    asked = np.isfinite(strangers.scores).any(axis=1)
    columns = (getattr(strangers, name)[asked] for name in ("scores", "dog", "searched"))
    return Strangers(strangers.photos, strangers.stated, *columns)


def _level(strangers: Strangers, growth: float) -> Level:
    falling = np.sort(levelled(strangers.scores.max(axis=1), strangers.searched, growth))[::-1]
    found = {name: float(np.nextafter(falling[int(fpir * len(falling))], np.inf)) for name, fpir in FPIRS.items()}
    return Level(strangers.photos, strangers.stated, **found)


def _note(dogs: int) -> str:
    """An individual's photographs are mistaken together, so that dogs count and not queries."""
    least = 1 / dogs
    unseen = [f"{100 * fpir:g} %" for fpir in FPIRS.values() if fpir < least]
    if not unseen:
        return ""
    shown = f"the thresholds are by {dogs} strangers, who can show no rate below {100 * least:.1f} %"
    return f"{shown}: not {', '.join(unseen)}"
