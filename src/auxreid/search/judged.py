"""What scores are worth: ranking, verification, identification with strangers, and the decision applied as it is."""

from dataclasses import dataclass, replace

import numpy as np

from auxreid.attributes.calibration import binned_errors
from auxreid.evaluation.ranking import JUNK, RankedQueries, rank_queries
from auxreid.metric.open_set import Drawing, Pairs, draw_strangers, drawn_strangers, pairs_of
from auxreid.search.asked import Asked
from auxreid.search.decision import levelled


@dataclass(frozen=True)
class Decided:
    """Queries of all drawings of strangers, one after the other: the best dog of each."""

    query: np.ndarray  # int64 [t], its place
    stranger: np.ndarray  # bool [t]
    right: np.ndarray  # bool [t], the best dog is the query's
    level: np.ndarray  # float64 [t], what the thresholds are compared with; -inf where no dog was left
    probability: np.ndarray  # float64 [t], that it is right

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of the probabilities, in 15 bins."""
        return float(binned_errors(self.probability, (self.right & ~self.stranger)[None])[0])


@dataclass(frozen=True)
class Judged:
    """One seed of a way to ask."""

    asked: Asked
    ranked: RankedQueries
    pairs: Pairs
    drawings: list[Drawing]
    decided: Decided

    def rates(self) -> dict[str, float]:
        """Of the thresholds as they are: the shares of strangers that are named so or better (FPIR), and of others
        that are named so or better, and rightly (DIR)."""
        asked, found = self.asked, {}
        levels = [asked.fusion.thresholds.level(asked.photos, int(stated)) for stated in asked.stated]
        for name in ("match", "possible"):
            needed = np.array([getattr(one, name) for one in levels])
            named = self.decided.level >= needed[self.decided.query]
            foreign, own = self.decided.stranger, ~self.decided.stranger
            found[f"{name}_FPIR"] = float(named[foreign].mean())
            found[f"{name}_DIR"] = float((named & self.decided.right)[own].mean())
        return found

    def dir_curve(self, fpirs: np.ndarray) -> np.ndarray:
        """DIR at these shares of strangers, the mean over the drawings."""
        curves = []
        for one in self.drawings:
            foreign = np.sort(one.cosine[one.stranger])[::-1]
            own = ~one.stranger
            allowed = np.minimum((fpirs * len(foreign)).astype(int), len(foreign) - 1)
            thresholds = foreign[allowed]  # what is above it names no more of them
            named = one.cosine[own][:, None] > thresholds
            curves.append((named & one.right[own][:, None]).mean(axis=0))
        return np.mean(curves, axis=0)


def judge(asked: Asked, strangers: float, drawings: int, seed: int) -> Judged:
    """Args:
        strangers: the share of individuals that are strangers, in each of so many drawings by this seed.

    Raises:
        ValueError: no query has a true match, or there are too few individuals.
    """
    query, gallery = asked.query, asked.gallery
    labels = query.identity, gallery.identity, query.group, gallery.group
    return Judged(
        asked=asked,
        ranked=rank_queries(-asked.scores, *labels),
        pairs=pairs_of(asked.scores, query, gallery),
        drawings=draw_strangers(asked.scores, query, gallery, strangers, drawings, seed),
        decided=_decided(asked, strangers, drawings, seed),
    )


def _decided(asked: Asked, strangers: float, drawings: int, seed: int) -> Decided:
    names, best, photographs = best_of_dogs(asked)
    sure = best if asked.decided is None else best_of_dogs(replace(asked, scores=asked.decided))[1]
    searched = photographs.sum(axis=1)
    query = asked.query.identity
    right = query[:, None] == names
    matched = (np.isfinite(best) & right).any(axis=1) | _matched(asked)
    parts = []
    for foreign in drawn_strangers(np.unique(query), strangers, drawings, seed):
        left, decided = (np.where(np.isin(names, foreign), -np.inf, one) for one in (best, sure))
        stranger = np.isin(query, foreign)
        rows = np.flatnonzero(stranger | matched)
        chosen = left[rows].argmax(axis=1)
        places = rows, chosen
        counts = searched[rows] - photographs[rows][:, np.isin(names, foreign)].sum(axis=1)
        level = levelled(decided[places], np.maximum(counts, 1), asked.fusion.thresholds.growth)
        probability = asked.fusion.probabilities(decided[rows])[np.arange(len(rows)), chosen]
        parts.append((rows, stranger[rows], right[places] & np.isfinite(left[places]), level, probability))
    return Decided(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def best_of_dogs(asked: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(identities [d] of the gallery's dogs, each query's best score with each of them, float64 [q, d], -inf without
    one, and the number of photographs [q, d]). Each photograph of nobody that is known is a dog by itself."""
    gallery = asked.gallery
    counted = gallery.identity != JUNK
    same = asked.query.identity[:, None] == gallery.identity
    counted = counted & ~(same & (asked.query.group[:, None] == gallery.group))
    alone = gallery.identity <= 0
    keys = np.where(alone, -2 - np.arange(len(gallery)), gallery.identity)
    dogs, own = np.unique(keys, return_inverse=True)
    best = np.full((len(dogs), len(asked.query)), -np.inf)
    shown = np.where(counted, asked.scores, -np.inf)
    np.maximum.at(best, own, shown.T)
    photographs = np.isfinite(shown) @ np.eye(len(dogs), dtype=np.int64)[own]
    return np.where(dogs < 0, 0, dogs), best.T, photographs


def _matched(asked: Asked) -> np.ndarray:
    """bool [q]: the gallery holds the query's dog, even where a filter has taken it away."""
    same = asked.query.identity[:, None] == asked.gallery.identity
    return (same & (asked.query.group[:, None] != asked.gallery.group)).any(axis=1)
