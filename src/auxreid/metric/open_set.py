"""Individuals never seen: is this the same one (verification), and who of the gallery is it, if anyone?

Verification: every query with every gallery entry is a pair, junk and the query's own group left out. A pair is
accepted at a threshold if its cosine is at least that. TAR at a FAR of a: the share of the pairs of one individual that
are accepted at the lowest threshold that accepts at most a of the pairs of two. EER: where the share of the former that
are refused and of the latter that are accepted are equal, or nearest to it, their mean.

Identification (open set; ISO/IEC 19795-1): some query individuals are strangers, of whom the gallery has nothing; who
they are is drawn, several times. The system names the individual of the nearest entry, if its cosine is at least a
threshold. FPIR: the share of strangers' queries that are named. DIR at a FPIR of a: the share of the others' queries
that are named rightly, at the lowest threshold that names at most a of the strangers'.

Thresholds are sought among the cosines at which a true pair, or a right name, appears: no figure changes in between.
Everything is a function of the weight that each individual has, which is what resampling changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from auxreid.evaluation.protocols import Entities
from auxreid.evaluation.ranking import JUNK

FARS = (0.01, 0.001)
FPIRS = (0.01, 0.10)
MOST_THRESHOLDS = 4000  # beyond, they are quantiles


@dataclass(frozen=True)
class Pairs:
    """How many pairs of each of d query individuals reach each of t thresholds, ascending."""

    names: np.ndarray  # int64 [d]
    thresholds: np.ndarray  # float [t]
    true: np.ndarray  # float64 [d, t], pairs of one individual at or above
    false: np.ndarray  # float64 [d, t], of two
    counts: np.ndarray  # float64 [d, 2], all of one and of two


def pairs_of(cosines: np.ndarray, query: Entities, gallery: Entities) -> Pairs:
    """The pairs of q queries and g gallery entries by their cosines [q, g].

    Raises:
        ValueError: there is no pair of one individual, or none of two.
    """
    same, counted = _relations(query, gallery)
    candidates = np.unique(cosines[same & counted])
    if not len(candidates) or not (counted & ~same).any():
        raise ValueError("verification needs pairs of one individual and pairs of two")
    if len(candidates) > MOST_THRESHOLDS:
        candidates = np.unique(np.quantile(candidates, np.linspace(0, 1, MOST_THRESHOLDS), method="nearest"))
    names, own = np.unique(query.identity, return_inverse=True)
    reached = np.zeros((2, len(names), len(candidates) + 1))
    for row, individual in zip(range(len(cosines)), own, strict=True):
        for kind, chosen in enumerate((same[row] & counted[row], ~same[row] & counted[row])):
            places = np.searchsorted(candidates, cosines[row, chosen], side="right")  # thresholds that it reaches
            reached[kind, individual] += np.bincount(places, minlength=len(candidates) + 1)
    at_or_above = reached[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]  # [2, d, t + 1]; place 0 holds all
    return Pairs(names, candidates, at_or_above[0, :, 1:], at_or_above[1, :, 1:], at_or_above[:, :, 0].T)


def verification(pairs: Pairs, weights: np.ndarray) -> dict[str, np.ndarray]:
    """TAR at each of FARS, and EER, each float64 [r], under r weightings [r, d] of the individuals."""
    true_total, false_total = (weights @ pairs.counts).T  # [r]
    accepted = weights @ pairs.true / true_total[:, None]  # [r, t], falling
    false = weights @ pairs.false / false_total[:, None]
    rows = np.arange(len(weights))
    found = {}
    for far in FARS:
        allowed = false <= far
        first = allowed.argmax(axis=1)  # the lowest threshold of those that are allowed
        found[f"TAR_{_percent(far)}"] = np.where(allowed.any(axis=1), accepted[rows, first], 0.0)
    nearest = np.abs(false - (1 - accepted)).argmin(axis=1)
    found["EER"] = (false[rows, nearest] + 1 - accepted[rows, nearest]) / 2
    return found


def roc(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """(FAR [t], TAR [t]) over all pairs, both falling."""
    true, false = pairs.counts.sum(axis=0)
    return pairs.false.sum(axis=0) / false, pairs.true.sum(axis=0) / true


@dataclass(frozen=True)
class Drawing:
    """Queries under one drawing of strangers: the nearest entry of each, in the gallery without the strangers."""

    individual: np.ndarray  # int64 [q], place among the query individuals
    stranger: np.ndarray  # bool [q]
    cosine: np.ndarray  # float [q], of the nearest
    right: np.ndarray  # bool [q], it is the query's individual


def draw_strangers(
    cosines: np.ndarray, query: Entities, gallery: Entities, share: float, drawings: int, seed: int
) -> list[Drawing]:
    """So many drawings, in each of which `share` of the query individuals (at least one, never all) are strangers.

    Queries of others without a true match are left out, as in ranking.

    Raises:
        ValueError: there are fewer than two query individuals.
    """
    names, own = np.unique(query.identity, return_inverse=True)
    if len(names) < 2:
        raise ValueError("identification with strangers needs two query individuals")
    same, counted = _relations(query, gallery)
    matched = (same & counted).any(axis=1)
    found = []
    for strangers in drawn_strangers(names, share, drawings, seed):
        is_stranger = np.isin(query.identity, strangers)
        kept = counted & ~np.isin(gallery.identity, strangers)
        shown = np.where(kept, cosines, -np.inf)
        nearest = _nearest_wrong_first(shown, same)
        rows = np.flatnonzero((is_stranger | matched) & kept.any(axis=1))
        places = rows, nearest[rows]
        found.append(Drawing(own[rows], is_stranger[rows], shown[places], same[places]))
    return found


def drawn_strangers(names: np.ndarray, share: float, drawings: int, seed: int) -> Iterator[np.ndarray]:
    """Of at least two individuals those of each drawing that are strangers: at least one, never all."""
    rng = np.random.default_rng(seed)
    count = min(max(1, round(share * len(names))), len(names) - 1)
    for _ in range(drawings):
        yield names[rng.permutation(len(names))[:count]]


def identification(drawings: list[Drawing], weights: np.ndarray) -> dict[str, np.ndarray]:
    """DIR at each of FPIRS, the mean over the drawings, float64 [r] under r weightings [r, d] of the individuals.

    A drawing in which the weights leave no stranger or nobody else is left out.
    """
    sums, counts = np.zeros((len(FPIRS), len(weights))), np.zeros(len(weights))
    for one in drawings:
        right = ~one.stranger & one.right
        thresholds = np.unique(one.cosine[right])
        known, foreign = weights[:, one.individual] * ~one.stranger, weights[:, one.individual] * one.stranger
        usable = (known.sum(axis=1) > 0) & (foreign.sum(axis=1) > 0)
        counts += usable
        if not len(thresholds):
            continue
        reaches = one.cosine[:, None] >= thresholds  # [q, t]
        named = foreign @ reaches / np.maximum(foreign.sum(axis=1), 1e-12)[:, None]  # [r, t], falling
        found = (known * right) @ reaches / np.maximum(known.sum(axis=1), 1e-12)[:, None]
        for number, fpir in enumerate(FPIRS):
            allowed = named <= fpir
            value = np.where(allowed.any(axis=1), found[np.arange(len(weights)), allowed.argmax(axis=1)], 0.0)
            sums[number] += np.where(usable, value, 0.0)
    means = sums / np.maximum(counts, 1)
    return {
        f"DIR_{_percent(fpir)}": np.where(counts > 0, mean, np.nan) for fpir, mean in zip(FPIRS, means, strict=True)
    }


def resampled(individuals: int, times: int, seed: int) -> np.ndarray:
    """Weights float64 [times, d] of d individuals: how often each is drawn, of d draws with replacement."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(individuals, np.full(individuals, 1 / individuals), size=times).astype(np.float64)


def bounds(values: np.ndarray, level: float, seed: int) -> tuple[float, float]:
    """The interval of the mean over seeds, by percentiles: values [s, r] under s seeds and r resamplings.

    In each resampling seeds are drawn with replacement too, and their values' mean is taken.
    """
    seeds, times = values.shape
    drawn = np.random.default_rng(seed).integers(seeds, size=(seeds, times))
    means = np.nanmean(np.take_along_axis(values, drawn, axis=0), axis=0)
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _relations(query: Entities, gallery: Entities) -> tuple[np.ndarray, np.ndarray]:
    """bool [q, g] twice: of one individual; and whether the pair counts."""
    same = query.identity[:, None] == gallery.identity
    own_group = same & (query.group[:, None] == gallery.group)
    return same, ~own_group & (gallery.identity != JUNK)


def _nearest_wrong_first(cosines: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The place [q] of the largest cosine of each row; of equal ones a wrong one."""
    best = cosines == cosines.max(axis=1, keepdims=True)
    return np.where((best & ~same).any(axis=1), (best & ~same).argmax(axis=1), best.argmax(axis=1))


def _percent(share: float) -> str:
    """1 or 0_1, for names."""
    return f"{100 * share:g}".replace(".", "_")
