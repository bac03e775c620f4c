"""A row's figures on individuals never seen, over its seeds, with intervals over individuals.

mAP, CMC@1 and mINP are means over queries, and get the intervals of evaluation/statistics.py over seeds and
individuals. The others are no means; theirs are percentiles over resampled individuals and seeds. An individual is
drawn with all its queries, since its photographs are hard or easy together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxreid.data.frames import Frames
from auxreid.evaluation.protocols import Entities, query_and_gallery
from auxreid.evaluation.ranking import RankedQueries, distance_blocks, rank_blocks
from auxreid.evaluation.statistics import estimate
from auxreid.metric.by_individual import by_individual
from auxreid.metric.choice import UNTOUCHED, Gain, choose, gain
from auxreid.metric.open_set import (
    Pairs,
    bounds,
    draw_strangers,
    identification,
    pairs_of,
    resampled,
    verification,
)
from auxreid.metric.scores import MetricScores

RANKING = ("mAP", "CMC_1", "mINP")
OPEN_SET = ("TAR_1", "TAR_0_1", "EER", "DIR_1", "DIR_10")
FIXED_SEED = 0  # strangers and resamplings are part of the protocol, equal for all rows


@dataclass(frozen=True)
class Figure:
    """A figure as a fraction of 1, and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SeedResult:
    """One seed of a row on the test individuals."""

    query: Entities
    gallery: Entities
    ranked: RankedQueries
    pairs: Pairs
    cuts: Mapping[int, float]  # mAP by the number of dimensions that are kept


@dataclass(frozen=True)
class RowResult:
    """A row over its seeds."""

    name: str
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]  # that validation took; 0: as untouched
    validation: Gain
    figures: Mapping[str, Figure]
    cuts: Mapping[int, float]  # mAP, the mean over seeds
    difference: Figure | None  # of mAP to the untouched encoder; None for itself
    first: SeedResult  # of the first seed, for pictures
    precision: np.ndarray  # [s, d] of individuals, see by_individual


@dataclass(frozen=True)
class Results:
    """All rows of a data set, in the study's order, and the chosen one."""

    dataset: str
    rows: tuple[RowResult, ...]
    chosen: str
    level: float
    individuals: int  # that ask
    queries: int
    gallery: int
    strangers: float
    drawings: int


def read_results(
    dataset: str, rows: Mapping[str, Sequence[MetricScores]], frames: Mapping[int, Frames], test: Any, level: float
) -> Results:
    """The results of a study's rows, of whom one is the untouched encoder.

    Args:
        rows: each row's seeds.
        frames: query and gallery frames by split.
        test: the `test` block of a recipe's metric section.
        level: of the intervals.

    Raises:
        ValueError: no query has a true match, or there are too few individuals.
    """
    untouched: np.ndarray | None = None
    found: dict[str, RowResult] = {}
    for name in sorted(rows, key=lambda name: name != UNTOUCHED):  # it is what the others are compared with
        found[name] = _row(name, rows[name], frames, test, level, untouched)
        untouched = found[UNTOUCHED].precision
    ordered = tuple(found[name] for name in rows)
    chosen = choose({name: row.validation for name, row in found.items() if name != UNTOUCHED})
    first = found[UNTOUCHED].first
    counts = len(np.unique(first.query.identity)), len(first.query), len(first.gallery)
    return Results(dataset, ordered, chosen, level, *counts, test.strangers, test.drawings)


def _row(
    name: str,
    scores: Sequence[MetricScores],
    frames: Mapping[int, Frames],
    test: Any,
    level: float,
    untouched: np.ndarray | None,
) -> RowResult:
    results = [seed_result(one, frames[one.about.split], test.cuts) for one in scores]
    figures = {metric: _mean_figure(_by_individual(results, metric), level) for metric in RANKING}
    figures |= _open_set_figures(results, test, level)
    precision = _by_individual(results, "mAP")
    return RowResult(
        name=name,
        seeds=tuple(one.about.seed for one in scores),
        epochs=tuple(one.about.epoch for one in scores),
        validation=gain([one.validation for one in scores]),
        figures=figures,
        cuts={size: float(np.mean([one.cuts[size] for one in results])) for size in results[0].cuts},
        difference=None if untouched is None else _mean_figure(precision - untouched, level),
        first=results[0],
        precision=precision,
    )


def seed_result(scores: MetricScores, frames: Frames, cuts: Sequence[int]) -> SeedResult:
    """One seed's ranking, pairs, and mAP of each cut that is shorter than the embedding.

    Args:
        frames: the query and gallery frames of the seed's split, in any order.
    """
    place = np.searchsorted(scores.frame_id, frames.frame_id)
    embeddings, protocol = scores.embeddings[place], scores.about.protocol
    query, gallery = query_and_gallery(frames, embeddings, protocol)
    kept = {size: _mean_precision(frames, _cut(embeddings, size), protocol) for size in cuts}
    kept = {size: value for size, value in kept.items() if size <= embeddings.shape[1]}
    return SeedResult(query, gallery, _ranked(query, gallery), pairs_of(cosines(query, gallery), query, gallery), kept)


def cosines(query: Entities, gallery: Entities) -> np.ndarray:
    """float32 [q, g]; a track's mean is brought to unit length."""
    return _unit(query.embedding) @ _unit(gallery.embedding).T


def _open_set_figures(results: Sequence[SeedResult], test: Any, level: float) -> dict[str, Figure]:
    """Of the given individuals and of resampled ones; another split's individuals are resampled alike."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in OPEN_SET}
    for one in results:
        count = len(one.pairs.names)
        weights = np.concatenate([np.ones((1, count)), resampled(count, test.resamplings, FIXED_SEED)])
        among = cosines(one.query, one.gallery)
        drawn = draw_strangers(among, one.query, one.gallery, test.strangers, test.drawings, FIXED_SEED)
        for name, value in (verification(one.pairs, weights) | identification(drawn, weights)).items():
            values[name].append(value)
    stacked = {name: np.stack(seeds) for name, seeds in values.items()}
    return {
        name: Figure(float(np.nanmean(value[:, 0])), *bounds(value[:, 1:], level, FIXED_SEED))
        for name, value in stacked.items()
    }


def _by_individual(results: Sequence[SeedResult], metric: str) -> np.ndarray:
    values = [_query_values(one.ranked, metric) for one in results]
    return by_individual(values, [one.query.identity for one in results])


def _query_values(ranked: RankedQueries, metric: str) -> np.ndarray:
    if metric == "mAP":
        return ranked.average_precision
    if metric == "mINP":
        return ranked.inverse_negative_penalty
    return np.where(ranked.valid, ranked.first_match_rank == 1, np.nan)


def _mean_figure(values: np.ndarray, level: float) -> Figure:
    found = estimate(values)
    return Figure(found.mean, *found.interval(level))


def _mean_precision(frames: Frames, embeddings: np.ndarray, protocol: str) -> float:
    query, gallery = query_and_gallery(frames, embeddings, protocol)
    return float(np.nanmean(_ranked(query, gallery).average_precision))


def _ranked(query: Entities, gallery: Entities) -> RankedQueries:
    labels = query.identity, gallery.identity, query.group, gallery.group
    return rank_blocks(distance_blocks(query.embedding, gallery.embedding), *labels)


def _cut(embeddings: np.ndarray, size: int) -> np.ndarray:
    return _unit(embeddings[:, :size])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
