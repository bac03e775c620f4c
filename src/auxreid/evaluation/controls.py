"""Rows beside their controls: the same row without its information, and with the information destroyed.

A gain over the reference row proves nothing about information: a row also has other losses, other parameters, more to
train. What is the information's is what a row has before all of its controls.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auxreid.evaluation.comparison import (
    Comparison,
    Interval,
    Row,
    Significance,
    common_seeds,
    interval_of,
    measures,
    significances,
)
from auxreid.evaluation.statistics import Estimate, estimate
from auxreid.plumbing.settings.study import CompareConfig

Pair = tuple[str, str]  # a row and one of its controls
ABOVE, UNCORRECTED = "above all its controls", "above before Holm's correction"
BELOW, NOT_APART, NO_CLAIM = "below", "not told apart", "no claim"
NOT_AMONG = "is not among the rows of this study"


@dataclass(frozen=True)
class Against:
    """A row's mAP minus a control's, on the same queries and seeds, in points of per cent."""

    seeds: tuple[int, ...]  # those that both have
    mAP: tuple[float, float]  # of the row and of the control under these seeds, in per cent
    value: float
    interval: Interval
    test: Significance | None  # corrected over all pairs of the table; None with a single seed


@dataclass(frozen=True)
class Controls:
    """All pairs that params.yaml names, in its order."""

    dataset: str
    settings: CompareConfig
    pairs: Mapping[Pair, Against | None]  # None: not compared
    missing: Mapping[Pair, str]  # why not
    absent: Mapping[str, str]  # rows that have controls and are not there themselves -> why not
    verdicts: Mapping[str, str]  # row -> one of the five above

    @property
    def tests(self) -> list[Significance]:
        """Those that Holm's correction is over."""
        return [one.test for one in self.pairs.values() if one is not None and one.test is not None]


def compare_controls(comparison: Comparison) -> Controls:
    """The rows of a comparison beside the controls that its settings name."""
    rows, settings = {row.name: row for row in comparison.rows}, comparison.settings
    asked = [(row, control) for row, controls in settings.controls.items() for control in controls]
    missing = {pair: reason for pair in asked if (reason := _why_missing(comparison, rows, pair))}
    precision = dict(zip(rows, measures(comparison.rows)[0], strict=True))  # [s, n] each
    found = {pair: estimate_pair(precision, pair) for pair in asked if pair not in missing}
    tests = significances({pair: one for pair, one in found.items() if one.seeds > 1}, settings)
    against = {
        pair: _against(rows[pair[0]], rows[pair[1]], one, tests.get(pair), settings) for pair, one in found.items()
    }
    pairs = {pair: against.get(pair) for pair in asked}
    absent = {row: reason for row in settings.controls if (reason := _why_absent(comparison, row))}
    verdicts = {
        row: verdict([pairs[row, control] for control in controls], settings)
        for row, controls in settings.controls.items()
    }
    return Controls(comparison.dataset, settings, pairs, missing, absent, verdicts)


def estimate_pair(precision: Mapping[str, np.ndarray], pair: Pair) -> Estimate:
    """How far a row is from a control; precision: of each row [s, n], NaN where it has no value."""
    row, control = pair
    return estimate(precision[row] - precision[control])


def verdict(pairs: Sequence[Against | None], settings: CompareConfig) -> str:
    """What may be said of a row that has these differences to its controls; None: it was not compared with one.

    A row is above only if it is above each of them, so that one that was not compared, or with a single seed, leaves
    nothing to be claimed. It is below if it is below one. Both after the correction over all pairs of the table.
    """
    level = 1 - settings.level
    tested = [one for one in pairs if one is not None and one.test is not None]
    if any(one.interval.high < 0 and one.test.p_holm <= level for one in tested):
        return BELOW
    if len(tested) < len(pairs):
        return NO_CLAIM
    if not all(one.interval.low > 0 for one in tested):
        return NOT_APART
    return ABOVE if all(one.test.p_holm <= level for one in tested) else UNCORRECTED


def first_control(comparison: Comparison, row: Row) -> Row | None:
    """What a row is best compared with: the first of its controls that has a seed of its, else the reference row."""
    rows = {one.name: one for one in comparison.rows}
    named = [rows[name] for name in comparison.settings.controls.get(row.name, ()) if name in rows]
    others = [*named, comparison.reference]
    return next((one for one in others if one is not None and one is not row and common_seeds(row, one)), None)


def _why_missing(comparison: Comparison, rows: Mapping[str, Row], pair: Pair) -> str:
    """Why a pair cannot be compared; empty if it can."""
    reason = next(filter(None, (_why_absent(comparison, name) for name in pair)), "")
    return reason or ("" if common_seeds(*(rows[name] for name in pair)) else "no seed in common")


def _why_absent(comparison: Comparison, name: str) -> str:
    """Why a row is not there; empty if it is."""
    if name in comparison.not_applicable:
        return f"{name} is not applicable: {comparison.not_applicable[name]}"
    return "" if name in comparison.forms else f"{name} {NOT_AMONG}"


def _against(row: Row, control: Row, found: Estimate, test: Significance | None, settings: CompareConfig) -> Against:
    seeds = common_seeds(row, control)
    means = tuple(
        statistics.fmean(100 * scores.metrics["mAP"] for scores in one.scores if scores.seed in seeds)
        for one in (row, control)
    )
    return Against(seeds, means, 100 * found.mean, interval_of(found, settings.level), test)
