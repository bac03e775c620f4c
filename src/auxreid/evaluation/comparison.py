"""The table that sets a data set's models side by side: one row per model, its figures over all seeds."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auxreid.errors import DataError
from auxreid.evaluation.scores import Scores, read_scores, score_files
from auxreid.evaluation.thesis import LAYOUT, TABLE_2

METRICS = ("mAP", "mINP", "CMC_1", "CMC_5", "CMC_10", "CMC_20")
THESIS_METRICS = ("mAP", "CMC_1")
NO_VALUE = "-"


@dataclass(frozen=True)
class Row:
    """One model of the comparison; `form` is thesis or corrected, or empty for a baseline."""

    name: str
    form: str
    scores: tuple[Scores, ...]  # one per seed

    def values(self, metric: str) -> list[float]:
        """Per cent, one per seed."""
        return [100 * one.metrics[metric] for one in self.scores]

    def mean(self, metric: str) -> float:
        """Per cent."""
        return statistics.fmean(self.values(metric))

    def deviation(self, metric: str) -> float | None:
        """Sample standard deviation over seeds in points of per cent; None with a single seed."""
        return statistics.stdev(self.values(metric)) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """The rows of one data set, and the row that the others are compared with (None where it is not among them)."""

    dataset: str
    rows: tuple[Row, ...]
    reference: Row | None
    with_thesis: bool  # whether the thesis has figures for this data set

    def difference(self, row: Row) -> float | None:
        """mAP minus that of the reference row, in points of per cent."""
        return None if self.reference is None else row.mean("mAP") - self.reference.mean("mAP")


def read_comparison(
    root: Path, dataset: str, layout: str, forms: Mapping[str, str], seeds: Sequence[int], reference: str
) -> Comparison:
    """Read the scores of exactly these rows and seeds; score files of other rows are left alone.

    Args:
        root: the results folder.
        layout: the data set's; the thesis has figures for Market-1501's.
        forms: name of each row -> its form, in the order of the table.
        reference: the row that the others are compared with.

    Raises:
        DataError: a score file is missing (named, with the command that makes it) or broken, or the rows were not
            evaluated on the same queries and gallery.
    """
    rows = tuple(
        Row(name, form, tuple(read_scores(root, dataset, name, seed) for seed in seeds)) for name, form in forms.items()
    )
    _check_same_queries(root, rows)
    found = next((row for row in rows if row.name == reference), None)
    return Comparison(dataset, rows, found, with_thesis=layout == LAYOUT)


def _check_same_queries(root: Path, rows: Sequence[Row]) -> None:
    def setting(scores: Scores) -> tuple:
        return scores.protocol, scores.split, scores.queries, scores.gallery

    for row in rows:
        for one, first in zip(row.scores, rows[0].scores, strict=True):
            if setting(one) != setting(first):
                path, _ = score_files(root, one.dataset, one.ablation, one.seed)
                raise DataError(
                    f"{path}: protocol, split, queries and gallery are {setting(one)}, those of {first.ablation} with "
                    f"the same seed {setting(first)}; they cannot be compared, run dvc repro"
                )


def csv_table(comparison: Comparison) -> str:
    """The table for programs: means and standard deviations in columns of their own, per cent, empty where unknown."""
    lines = [_csv_record(comparison, row) for row in comparison.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _csv_record(comparison: Comparison, row: Row) -> dict[str, object]:
    record: dict[str, object] = {"row": row.name, "form": row.form, "seeds": len(row.scores)}
    for metric in METRICS:
        record[metric] = f"{row.mean(metric):.2f}"
        record[f"{metric}_std"] = _number(row.deviation(metric), ".2f", missing="")
    if comparison.reference is not None:
        record[f"mAP_minus_{comparison.reference.name}"] = f"{_unsigned_zero(comparison.difference(row), 2):.2f}"
    if comparison.with_thesis:
        for metric in THESIS_METRICS:
            record[f"thesis_{metric}"] = _number(_thesis(row, metric), ".1f", missing="")
    return record


def display_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The table for people: headings and lines; per cent with one decimal, mean ± standard deviation over seeds."""
    headings = ["row", "form", "seeds", *(metric.replace("_", "@") for metric in METRICS)]
    if comparison.reference is not None:
        headings.append(f"mAP − {comparison.reference.name}")
    if comparison.with_thesis:
        headings += [f"thesis's {metric.replace('_', '@')}" for metric in THESIS_METRICS]
    return headings, [_display_line(comparison, row) for row in comparison.rows]


def _display_line(comparison: Comparison, row: Row) -> list[str]:
    line = [row.name, row.form or NO_VALUE, str(len(row.scores))]
    for metric in METRICS:
        deviation = row.deviation(metric)
        line.append(f"{row.mean(metric):.1f}" + (f" ± {deviation:.1f}" if deviation is not None else ""))
    if comparison.reference is not None:
        own = row is comparison.reference
        line.append(NO_VALUE if own else f"{_unsigned_zero(comparison.difference(row), 1):+.1f}")
    if comparison.with_thesis:
        line += [_number(_thesis(row, metric), ".1f", missing=NO_VALUE) for metric in THESIS_METRICS]
    return line


def markdown_table(comparison: Comparison) -> str:
    """The table for people as GitHub's Markdown, with a line on what the columns are."""
    headings, lines = display_table(comparison)
    rule = [":--", ":--", *["--:"] * (len(headings) - 2)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *lines))
    return f"# {comparison.dataset}\n\n{table}\n\n{note(comparison)}\n"


def note(comparison: Comparison) -> str:
    """What the reader has to know about the figures."""
    first = comparison.rows[0].scores[0]
    text = f"Per cent; protocol {first.protocol}, {first.queries} queries against {first.gallery} gallery entries."
    if any(len(row.scores) > 1 for row in comparison.rows):
        text += " Mean ± sample standard deviation over seeds."
    if comparison.with_thesis:
        text += " The thesis's columns are its Table 2: CLIP RN50 at 256x128 on the whole of Market-1501."
    return text


def _thesis(row: Row, metric: str) -> float | None:
    """The thesis ran the thesis forms alone: a corrected row has no figure of its own there."""
    known = TABLE_2.get(row.name) if row.form == "thesis" else None
    return None if known is None else getattr(known, metric)


def _number(value: float | None, form: str, missing: str) -> str:
    return missing if value is None else format(value, form)


def _unsigned_zero(value: float, digits: int) -> float:
    """Rounded, with -0.0 as 0.0."""
    return round(value, digits) + 0.0
