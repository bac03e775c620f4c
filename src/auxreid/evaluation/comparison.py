"""A data set's models side by side: every row's figures over its seeds, how sure they are, and how far each row is from
the reference row on the same queries."""

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from auxreid.evaluation.ranking import cmc_curve
from auxreid.evaluation.scores import QueryScores, Scores, read_queries, read_scores, score_file
from auxreid.evaluation.statistics import Estimate, estimate, holm
from auxreid.evaluation.thesis import ThesisRow, thesis_row
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.study import CompareConfig

INTERVAL_METRICS = ("mAP", "CMC_1")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Row:
    """One model of the comparison; `form` is thesis or corrected, or empty for a baseline."""

    name: str
    form: str
    scores: tuple[Scores, ...]  # one per seed
    queries: tuple[QueryScores, ...]  # the same seeds

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(one.seed for one in self.scores)

    @property
    def is_reranked(self) -> bool:
        """Whether there are figures after re-ranking, for every seed."""
        return all(one.reranked is not None for one in self.scores)

    def values(self, metric: str, reranked: bool = False) -> list[float]:
        """Per cent, one per seed."""
        return [100 * (one.reranked if reranked else one.metrics)[metric] for one in self.scores]

    def mean(self, metric: str, reranked: bool = False) -> float:
        """Per cent."""
        return statistics.fmean(self.values(metric, reranked))

    def curve(self, ranks: int) -> np.ndarray:
        """CMC curve averaged over seeds, as fractions, float64 [k]: `ranks` values, or fewer of a smaller gallery."""
        ranks = min(ranks, *(one.gallery for one in self.scores))
        return np.mean([cmc_curve(one.ranked, ranks) for one in self.queries], axis=0)

    def deviation(self, metric: str, reranked: bool = False) -> float | None:
        """Sample standard deviation over seeds in points of per cent; None with a single seed."""
        return statistics.stdev(self.values(metric, reranked)) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Interval:
    """In per cent or in points of per cent: over seeds and queries, of a single seed over queries alone."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def within(self, least: float, most: float) -> "Interval":
        """What of it lies between these."""
        return Interval(*np.clip((self.low, self.high), least, most).tolist())


@dataclass(frozen=True)
class Significance:
    """Whether a row differs from the reference row, other trainings and other queries considered."""

    p: float  # two-sided
    p_holm: float  # corrected over all rows that are tested
    detectable: float  # points of per cent that the corrected test finds with the settings' power


@dataclass(frozen=True)
class Difference:
    """A row's mAP minus the reference row's, on the same queries and seeds, in points of per cent."""

    seeds: tuple[int, ...]  # those that both rows have
    value: float
    interval: Interval
    test: Significance | None  # None with a single seed, of which nothing is claimed, and of a baseline
    thesis: float | None  # the thesis's own difference; None where it has no figures for the row or the data set

    @property
    def inside(self) -> bool | None:
        """Whether the thesis's difference lies in our interval; None where either is not to be had."""
        return None if self.thesis is None or self.test is None else self.thesis in self.interval


@dataclass(frozen=True)
class Shortfall:
    """How far a trained row stays behind a baseline, in points of per cent of mAP on the same queries and seeds."""

    baseline: str  # the best one
    value: float  # above 0
    interval: Interval


@dataclass(frozen=True)
class Comparison:
    """The rows of one data set, and the row that the others are compared with (None where it is not among them)."""

    dataset: str
    settings: CompareConfig
    rows: tuple[Row, ...]
    reference: Row | None
    intervals: Mapping[str, Mapping[str, Interval]]  # row -> metric (INTERVAL_METRICS) -> interval
    differences: Mapping[str, Difference]  # row -> difference; only rows with a seed in common with the reference
    shortfalls: Mapping[str, Shortfall]  # row -> shortfall; only trained rows that are worse than not training
    thesis: Mapping[str, ThesisRow]  # row -> the thesis's figures; only rows that have some
    forms: Mapping[str, str]  # of every row, also of those that are not applicable
    not_applicable: Mapping[str, str]  # row -> why the data set cannot have it
    remarks: Mapping[str, str]  # row -> what the reader has to know about how it was trained
    predictions: Mapping[str, str]  # row -> what of its data models of other data sets predicted, and which


def read_comparison(
    root: Path,
    dataset: str,
    layout: str,
    forms: Mapping[str, str],
    seeds: Mapping[str, Sequence[int]],
    reference: str,
    *,
    settings: CompareConfig,
    not_applicable: Mapping[str, str],
    predictions: Mapping[str, str],
) -> Comparison:
    """Read the scores of exactly these rows and seeds, and compare them; score files of other rows are left alone.

    Args:
        root: the results folder.
        layout: the data set's; the thesis has figures for Market-1501's.
        forms: name of each row -> its form, in the order of the table.
        seeds: name of each row -> its seeds, at least one; rows that are not applicable need none.
        reference: the row that the others are compared with, on the seeds that both have.
        settings: of the intervals and tests.
        not_applicable: rows that are listed with this reason instead of figures.
        predictions: rows that used what other data sets' models predicted, each with what that was.

    Raises:
        DataError: a score file is missing (named, with the command that makes it) or broken, or two rows were not
            evaluated on the same queries and gallery (both files are named).
        ValueError: rows without seeds, or reasons for rows that are not in `forms`.
    """
    _check_rows(forms, seeds, not_applicable)
    rows = tuple(
        _read_row(root, dataset, name, form, seeds[name]) for name, form in forms.items() if name not in not_applicable
    )
    _check_same_queries(root, rows)
    found = next((row for row in rows if row.name == reference), None)
    known = {row.name: thesis_row(layout, row.name, row.form) for row in rows}
    thesis = {name: figures for name, figures in known.items() if figures is not None}
    precision, hit = measures(rows)
    return Comparison(
        dataset=dataset,
        settings=settings,
        rows=rows,
        reference=found,
        intervals=_intervals(rows, (precision, hit), settings),
        differences=_differences(rows, found, precision, thesis, settings),
        shortfalls=_shortfalls(rows, precision, settings),
        thesis=thesis,
        forms=dict(forms),
        not_applicable=dict(not_applicable),
        remarks={row.name: row.scores[0].remark for row in rows if row.scores[0].remark},
        predictions=dict(predictions),
    )


def _check_rows(
    forms: Mapping[str, str],
    seeds: Mapping[str, Sequence[int]],
    not_applicable: Mapping[str, str],
) -> None:
    unknown = not_applicable.keys() - forms.keys()
    if unknown:
        raise ValueError(f"reasons for {sorted(unknown)}, the rows are {list(forms)}")
    applicable = [name for name in forms if name not in not_applicable]
    seedless = [name for name in applicable if not seeds.get(name)]
    if seedless or not applicable:
        raise ValueError(f"nothing to compare: applicable rows {applicable}, of these without a seed {seedless}")


def _read_row(root: Path, dataset: str, name: str, form: str, seeds: Sequence[int]) -> Row:
    scores = tuple(read_scores(root, dataset, name, seed) for seed in seeds)
    return Row(name, form, scores, tuple(read_queries(root, dataset, name, seed) for seed in seeds))


def _check_same_queries(root: Path, rows: Sequence[Row]) -> None:
    """Rows are paired query by query, so that under a seed all of them must have the same ones."""
    first: dict[int, tuple[Scores, QueryScores]] = {}
    for row in rows:
        for scores, queries in zip(row.scores, row.queries, strict=True):
            other, its_queries = first.setdefault(scores.seed, (scores, queries))
            fault = _mismatch(scores, queries, other, its_queries)
            if fault:
                paths = [score_file(root, one.dataset, one.ablation, one.seed) for one in (scores, other)]
                raise DataError(f"{paths[0]} and {paths[1]} cannot be compared, run dvc repro: {fault}")


def _mismatch(scores: Scores, queries: QueryScores, other: Scores, its_queries: QueryScores) -> str:
    """What differs between two evaluations that should have asked the same; empty if nothing does."""
    for name in ("protocol", "split", "queries", "gallery"):
        if getattr(scores, name) != getattr(other, name):
            return f"{name} {getattr(scores, name)} and {getattr(other, name)}"
    for name in ("frame_id", "identity", "group"):
        one, two = getattr(queries, name), getattr(its_queries, name)
        if len(one) != len(two):
            return f"{len(one)} and {len(two)} queries"
        differ = one != two
        if differ.any():
            place = int(differ.argmax())
            return f"{name} of {differ.sum()} queries, the first is query {place}: {one[place]} and {two[place]}"
    return ""


def measures(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """AP and whether the first place is true (1 or 0), float64 [rows, s, n] each, as fractions.

    s are all seeds of all rows, n all queries that have a true match under any of them; NaN where a row lacks the seed,
    where the seed does not ask the query, and where the query has no true match.
    """
    seeds = sorted({seed for row in rows for seed in row.seeds})
    everything = np.unique(np.concatenate([queries.frame_id for row in rows for queries in row.queries]))  # [n]
    precision, hit = (np.full((len(rows), len(seeds), len(everything)), np.nan) for _ in range(2))
    for number, row in enumerate(rows):
        for seed, queries in zip(row.seeds, row.queries, strict=True):
            place = number, seeds.index(seed), np.searchsorted(everything, queries.frame_id)
            precision[place] = queries.ranked.average_precision
            hit[place] = np.where(queries.ranked.valid, queries.ranked.first_match_rank == 1, np.nan)
    known = ~np.isnan(precision).all(axis=(0, 1))
    return precision[..., known], hit[..., known]


def common_seeds(row: Row, other: Row) -> tuple[int, ...]:
    """The seeds that both rows have, in the order of the first."""
    return tuple(seed for seed in row.seeds if seed in other.seeds)


def paired_seeds(row: Row, other: Row) -> tuple[int, ...]:
    """As :func:`common_seeds`. Raises ValueError where there is none."""
    seeds = common_seeds(row, other)
    if not seeds:
        raise ValueError(f"{row.name} has seeds {row.seeds}, {other.name} {other.seeds}: none in common")
    return seeds


def _intervals(
    rows: Sequence[Row], values: tuple[np.ndarray, np.ndarray], settings: CompareConfig
) -> dict[str, dict[str, Interval]]:
    """Intervals of every row, within 0 and 100 per cent; values: [rows, s, n] for each of INTERVAL_METRICS."""
    return {
        row.name: {
            metric: interval_of(estimate(one[place]), settings.level).within(0, 100)
            for metric, one in zip(INTERVAL_METRICS, values, strict=True)
        }
        for place, row in enumerate(rows)
    }


def _differences(
    rows: Sequence[Row],
    reference: Row | None,
    precision: np.ndarray,
    thesis: Mapping[str, ThesisRow],
    settings: CompareConfig,
) -> dict[str, Difference]:
    """What sets the rows apart from the reference; precision: [rows, s, n]."""
    if reference is None:
        return {}
    values = {row.name: one for row, one in zip(rows, precision, strict=True)}
    paired = [row for row in rows if row is not reference and common_seeds(row, reference)]
    found = {row.name: estimate(values[row.name] - values[reference.name]) for row in paired}  # NaN if either is
    asked = {row.name: found[row.name] for row in paired if row.form}  # whether training helps at all is no question
    tests = significances({name: one for name, one in asked.items() if one.seeds > 1}, settings)
    return {
        row.name: Difference(
            seeds=common_seeds(row, reference),
            value=100 * found[row.name].mean,
            interval=interval_of(found[row.name], settings.level),
            test=tests.get(row.name),
            thesis=_thesis_difference(row, reference, thesis),
        )
        for row in paired
    }


def _shortfalls(rows: Sequence[Row], precision: np.ndarray, settings: CompareConfig) -> dict[str, Shortfall]:
    """Rows that are worse than the best baseline, by how much; precision: [rows, s, n]."""
    values = {row.name: one for row, one in zip(rows, precision, strict=True)}
    best = max((row for row in rows if not row.form), key=lambda row: row.mean("mAP"), default=None)
    found = {}
    for row in rows:
        if best is None or not row.form or not common_seeds(row, best):
            continue
        behind = estimate(values[best.name] - values[row.name])
        if behind.mean > 0:
            found[row.name] = Shortfall(best.name, 100 * behind.mean, interval_of(behind, settings.level))
    return found


def significances(found: Mapping[Key, Estimate], settings: CompareConfig) -> dict[Key, Significance]:
    """The tests of all that can be tested. Holm's first step, which one has to pass alone, sets the power."""
    p_values = [one.p_value() for one in found.values()]
    level = (1 - settings.level) / max(1, len(found))
    return {
        name: Significance(p, float(corrected), 100 * one.detectable(level, settings.power))
        for (name, one), p, corrected in zip(found.items(), p_values, holm(np.array(p_values)), strict=True)
    }


def interval_of(found: Estimate, level: float) -> Interval:
    """Of an estimate in fractions of 1."""
    low, high = found.interval(level)
    return Interval(100 * low, 100 * high)


def _thesis_difference(row: Row, reference: Row, thesis: Mapping[str, ThesisRow]) -> float | None:
    if row.name not in thesis or reference.name not in thesis:
        return None
    return thesis[row.name].mAP - thesis[reference.name].mAP
