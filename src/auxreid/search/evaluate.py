"""The search on test dogs: each way to ask beside likeness alone and beside the fusion, over seeds, with intervals.

Means over queries have the intervals of evaluation/statistics.py over seeds and individuals, those of strangers have
percentiles over resampled individuals and seeds, as the metric table. Differences are those of the same queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auxreid.data.frames import Frames
from auxreid.evaluation.statistics import estimate
from auxreid.metric.by_individual import by_individual
from auxreid.metric.open_set import bounds, identification, resampled, verification
from auxreid.metric.results import FIXED_SEED, Figure
from auxreid.search.asked import Asking, NotPossibleError, Say, Seed
from auxreid.search.judged import Judged, judge

MEANS = ("mAP", "CMC_1", "CMC_5")
OPEN_SET = ("DIR_1", "DIR_10", "EER")
RATES = ("match_FPIR", "match_DIR", "possible_FPIR", "possible_DIR")
VISUAL_ONLY, FUSION = "visual only", "fusion"


@dataclass(frozen=True)
class Row:
    """A way to ask over the seeds; without figures where it is not possible, with the reason."""

    name: str
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)  # MEANS and OPEN_SET
    rates: Mapping[str, float] = field(default_factory=dict)  # RATES and ECE, means over seeds
    against: Mapping[str, Figure] = field(default_factory=dict)  # of mAP, to VISUAL_ONLY and FUSION
    queries: int = 0
    first: Judged | None = None  # of the first seed, for pictures


@dataclass(frozen=True)
class Evaluation:
    """All ways of a data set."""

    dataset: str
    rows: tuple[Row, ...]
    seeds: tuple[Seed, ...]
    level: float
    individuals: int
    queries: int
    gallery: int
    strangers: float
    drawings: int

    def row(self, name: str) -> Row:
        """That of this name."""
        return next(one for one in self.rows if one.name == name)


def evaluate(
    frames: Frames, seeds: Sequence[Seed], protocol: str, test: Any, level: float, say: Say | None = None
) -> Evaluation:
    """Ask for the test dogs in every way.

    Args:
        frames: query and gallery frames, in the order of the seeds' looks.
        test: strangers (a share of individuals), drawings and resamplings, as the `test` block of a recipe's metric
            section.
        level: of the intervals.
        say: see asked.Asking.

    Raises:
        ValueError: no query has a true match, or there are too few individuals.
    """
    askings = [Asking(frames, one, protocol, say) for one in seeds]
    ways = [one.ways() for one in askings]
    count = len(askings[0].query)
    precisions: dict[str, list[np.ndarray]] = {}
    rows = []
    for name in ways[0]:
        try:
            judged = [judge(way[name](), test.strangers, test.drawings, FIXED_SEED) for way in ways]
        except NotPossibleError as error:
            rows.append(Row(name, reason=str(error)))
            continue
        precisions[name] = [_padded(one.ranked.average_precision, one, count) for one in judged]
        rows.append(_row(name, judged, precisions, askings[0].query.identity, test, level))
    asked = askings[0]
    sizes = len(np.unique(asked.query.identity)), count, len(asked.gallery)
    return Evaluation(frames.meta.dataset, tuple(rows), tuple(seeds), level, *sizes, test.strangers, test.drawings)


def _row(
    name: str,
    judged: Sequence[Judged],
    precisions: Mapping[str, Sequence[np.ndarray]],
    identity: np.ndarray,
    test: Any,
    level: float,
) -> Row:
    figures = {metric: _mean_figure([_values(one, metric) for one in judged], judged, level) for metric in MEANS}
    rates = [one.rates() | {"ECE": one.decided.calibration_error} for one in judged]
    against = {}
    for other in (VISUAL_ONLY, FUSION):
        if other != name and other in precisions:
            pairs = zip(precisions[name], precisions[other], strict=True)
            differences = by_individual([own - theirs for own, theirs in pairs], [identity] * len(judged))
            against[other] = _figure(differences, level)
    return Row(
        name=name,
        figures=figures | _open_set(judged, test, level),
        rates={rate: float(np.mean([one[rate] for one in rates])) for rate in rates[0]},
        against=against,
        queries=len(judged[0].asked.rows),
        first=judged[0],
    )


def _values(judged: Judged, metric: str) -> np.ndarray:
    ranked = judged.ranked
    if metric == "mAP":
        return ranked.average_precision
    return np.where(ranked.valid, ranked.first_match_rank <= int(metric.removeprefix("CMC_")), np.nan)


def _padded(values: np.ndarray, judged: Judged, count: int) -> np.ndarray:
    """Of all queries, NaN where this way did not ask."""
    found = np.full(count, np.nan)
    found[judged.asked.rows] = values
    return found


def _mean_figure(values: Sequence[np.ndarray], judged: Sequence[Judged], level: float) -> Figure:
    found = _figure(by_individual(values, [one.asked.query.identity for one in judged]), level)
    return Figure(found.value, max(found.low, 0.0), min(found.high, 1.0))  # a share


def _figure(values: np.ndarray, level: float) -> Figure:
    found = estimate(values)
    return Figure(found.mean, *found.interval(level))


def _open_set(judged: Sequence[Judged], test: Any, level: float) -> dict[str, Figure]:
    """Of the individuals as they are and of resampled ones."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in OPEN_SET}
    for one in judged:
        count = len(one.pairs.names)
        weights = np.concatenate([np.ones((1, count)), resampled(count, test.resamplings, FIXED_SEED)])
        found = verification(one.pairs, weights) | identification(one.drawings, weights)
        for name in OPEN_SET:
            values[name].append(found[name])
    stacked = {name: np.stack(seeds) for name, seeds in values.items()}
    return {
        name: Figure(float(np.nanmean(value[:, 0])), *bounds(value[:, 1:], level, FIXED_SEED))
        for name, value in stacked.items()
    }
