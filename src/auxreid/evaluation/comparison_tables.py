"""A comparison as tables: one for programs (CSV), two for people, which the console and Markdown show alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from auxreid.evaluation.comparison import INTERVAL_METRICS, Comparison, Interval, Row, Shortfall

METRICS = ("mAP", "mINP", "CMC_1", "CMC_5", "CMC_10", "CMC_20")
SHOWN_METRICS = ("CMC_1", "CMC_5", "CMC_10", "mINP")  # beside mAP
WITH_DEVIATION = ("mAP", "CMC_1")  # for the others the CSV has it: the table must stay narrow enough to read
RERANKED_SHOWN = ("mAP", "CMC_1")
THESIS_METRICS = ("mAP", "CMC_1")
NO_VALUE = "-"
NOT_APPLICABLE = "not applicable: "
PREDICTED = "predicted"  # a column of tables with rows whose attributes, captions or keypoints nobody has annotated


@dataclass(frozen=True)
class DisplayTable:
    """A table for people."""

    title: str
    cells: pd.DataFrame  # text; its columns are the headings
    texts: int  # so many columns at the left are words, the others numbers
    note: str  # what the reader has to know about the figures


def csv_table(comparison: Comparison) -> str:
    """The table for programs: per cent and points of per cent (p-values as they are), empty where unknown."""
    records = [_record(comparison, row) for row in comparison.rows]
    for name, form in comparison.forms.items():
        if name in comparison.not_applicable:
            records.append({"row": name, "form": form, "seeds": 0, "remark": remark(comparison, name)})
    table = pd.DataFrame.from_records(records, columns=list(records[0]))
    numbers = table.select_dtypes("number").columns
    digits = {column: 6 if column in ("p", "p_holm") else 2 for column in numbers}
    return (table.round(digits).replace({-0.0: 0.0})).to_csv(index=False, lineterminator="\n")


def cmc_table(comparison: Comparison, ranks: int) -> str:
    """Every row's CMC curve, the mean over its seeds, as CSV: a line per row and rank, in per cent.

    The baselines come last, so that other rows are counted, and coloured, as in the plots of their trainings.
    """
    curves = {row.name: row.curve(ranks) for row in sorted(comparison.rows, key=lambda row: not row.form)}
    lines = [
        {"row": name, "rank": rank, "CMC": round(100 * value, 2)}
        for name, curve in curves.items()
        for rank, value in enumerate(curve.tolist(), start=1)
    ]
    return pd.DataFrame(lines).to_csv(index=False, lineterminator="\n")


def row_metrics(comparison: Comparison) -> dict[str, dict[str, float]]:
    """By row, the few figures that `dvc metrics` shows: in per cent, the difference to the reference row in points."""
    found = {row.name: {metric: round(row.mean(metric), 2) for metric in INTERVAL_METRICS} for row in comparison.rows}
    for name, difference in comparison.differences.items():
        found[name]["difference"] = round(difference.value, 2) + 0.0  # no -0.0
    return found


def _record(comparison: Comparison, row: Row) -> dict[str, object]:
    record: dict[str, object] = {"row": row.name, "form": row.form, "seeds": len(row.seeds)}
    for reranked in (False, True):
        known = row.is_reranked or not reranked
        for metric in METRICS:
            name = f"reranked_{metric}" if reranked else metric
            record[name] = row.mean(metric, reranked) if known else None
            record[f"{name}_std"] = row.deviation(metric, reranked) if known else None
            if metric in INTERVAL_METRICS and not reranked:
                interval = comparison.intervals[row.name][metric]
                record |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    predicted = {PREDICTED: comparison.predictions.get(row.name, "")} if comparison.predictions else {}
    return record | _difference_record(comparison, row) | predicted | {"remark": remark(comparison, row.name)}


def _difference_record(comparison: Comparison, row: Row) -> dict[str, object]:
    if comparison.reference is None:
        return {}
    name = f"mAP_minus_{comparison.reference.name}"
    found, thesis = comparison.differences.get(row.name), comparison.thesis.get(row.name)
    test = found and found.test
    record: dict[str, object] = {
        name: found and found.value,
        f"{name}_low": found and found.interval.low,
        f"{name}_high": found and found.interval.high,
        f"{name}_seeds": str(len(found.seeds)) if found else "",
        "p": test and test.p,
        "p_holm": test and test.p_holm,
        f"{name}_detectable": test and test.detectable,
    }
    if comparison.thesis:
        record |= {f"thesis_{metric}": thesis and getattr(thesis, metric) for metric in THESIS_METRICS}
        record[f"thesis_{name}"] = found and found.thesis
        record["thesis_inside"] = _yes_or_no(found and found.inside, missing="")
    return record


def display_tables(comparison: Comparison) -> list[DisplayTable]:
    """The tables for people: figures, and where there is a reference row the differences to it."""
    tables = [_figures_table(comparison)]
    return tables if comparison.reference is None else [*tables, _differences_table(comparison)]


def _figures_table(comparison: Comparison) -> DisplayTable:
    """Per cent with one decimal, mean and for some ± standard deviation; rows that are not applicable have dashes."""
    rows = comparison.rows
    columns = {
        "row": [row.name for row in rows],
        "form": [row.form or NO_VALUE for row in rows],
        **_predicted(comparison),
        "seeds": [str(len(row.seeds)) for row in rows],
        "mAP": [_mean_and_deviation(row, "mAP") for row in rows],
        interval_heading(comparison): [interval_text(comparison.intervals[row.name]["mAP"], ".1f") for row in rows],
    }
    columns |= {_heading(metric): [_mean_and_deviation(row, metric) for row in rows] for metric in SHOWN_METRICS}
    reranked = any(row.is_reranked for row in rows)
    for metric in RERANKED_SHOWN if reranked else ():
        known = [f"{row.mean(metric, True):.1f}" if row.is_reranked else NO_VALUE for row in rows]
        columns[f"re-ranked {_heading(metric)}"] = known
    others = [
        {"row": name, "form": form or NO_VALUE}
        for name, form in comparison.forms.items()
        if name in comparison.not_applicable
    ]
    cells = pd.concat([pd.DataFrame(columns), pd.DataFrame(others)], ignore_index=True).fillna(NO_VALUE)
    words = 3 if comparison.predictions else 2
    return DisplayTable(comparison.dataset, cells, texts=words, note=_figures_note(comparison, reranked))


def _predicted(comparison: Comparison) -> dict[str, list[str]]:
    """A column of what other data sets' models predicted, where they did."""
    found = comparison.predictions
    return {PREDICTED: [found.get(row.name, NO_VALUE) for row in comparison.rows]} if found else {}


def _differences_table(comparison: Comparison) -> DisplayTable:
    name, known, thesis = comparison.reference.name, comparison.differences, comparison.thesis
    found = [known.get(row.name) for row in comparison.rows]
    columns = {
        "row": [row.name for row in comparison.rows],
        f"mAP − {name}": texts(found, lambda one: signed(one.value)),
        interval_heading(comparison): texts(found, lambda one: interval_text(one.interval, "+z.1f")),
    }
    if any(one.test for one in known.values()):
        columns["p (Holm)"] = texts(found, lambda one: one.test and p_text(one.test.p_holm))
    if thesis:
        figures = [thesis.get(row.name) for row in comparison.rows]
        columns["thesis's mAP"] = texts(figures, lambda one: f"{one.mAP:.1f}")
        columns["thesis's CMC@1"] = texts(figures, lambda one: f"{one.CMC_1:.1f}")
        columns["thesis's difference"] = texts(found, lambda one: None if one.thesis is None else signed(one.thesis))
        if any(one.test for one in known.values()):
            columns["inside"] = texts(found, lambda one: _yes_or_no(one.inside, missing=NO_VALUE))
    title = f"{comparison.dataset}, differences to {name}"
    return DisplayTable(title, pd.DataFrame(columns), texts=1, note=_differences_note(comparison))


def texts(values: Sequence[object | None], text: Callable[[object], str | None]) -> list[str]:
    """Each value as text, a dash where there is none."""
    return [(value is not None and text(value)) or NO_VALUE for value in values]


def markdown_tables(comparison: Comparison) -> str:
    """The tables for people as GitHub's Markdown, each with its note, then the remarks."""
    parts = []
    for level, table in enumerate(display_tables(comparison), start=1):
        parts.append(f"{'#' * level} {table.title}\n\n{markdown_cells(table)}\n\n{table.note}\n")
    remarks = remark_lines(comparison)
    if remarks:
        parts.append("\n".join(f"- {line}" for line in remarks) + "\n")
    return "\n".join(parts)


def markdown_cells(table: DisplayTable) -> str:
    """Words to the left, numbers to the right."""
    sides = ["left"] * table.texts + ["right"] * (len(table.cells.columns) - table.texts)
    return table.cells.to_markdown(index=False, colalign=sides, disable_numparse=True)


def remark_lines(comparison: Comparison) -> list[str]:
    """One line for each row that needs a remark, in the order of the rows."""
    found = ((name, remark(comparison, name)) for name in comparison.forms)
    return [f"{name}: {text}" for name, text in found if text]


def remark(comparison: Comparison, name: str) -> str:
    """What the reader has to know about a row: why it has no figures, how it was run, why it has no difference, and
    whether it is worse than not training."""
    texts = []
    if name in comparison.not_applicable:
        texts.append(NOT_APPLICABLE + comparison.not_applicable[name])
    if name in comparison.remarks:
        texts.append(comparison.remarks[name])
    reference = comparison.reference
    alone = name != getattr(reference, "name", None) and name not in comparison.differences
    if reference is not None and alone and name not in comparison.not_applicable:
        texts.append(f"no seed in common with {reference.name}, hence no difference")
    if name in comparison.shortfalls:
        texts.append(_worse_than_not_training(comparison.shortfalls[name]))
    return "; ".join(texts)


def _worse_than_not_training(found: Shortfall) -> str:
    """For who has few individuals: docs/metric.md has the rows that keep what the encoder knew."""
    by = f"{found.baseline} is {found.value:.1f} points of mAP above {interval_text(found.interval, '+z.1f')}"
    return f"worse than not training: {by}{', which may be chance' if 0 in found.interval else ''}"


def _figures_note(comparison: Comparison, reranked: bool) -> str:
    first = comparison.rows[0].scores[0]
    text = f"Per cent; protocol {first.protocol}, {_scored(comparison)} against {first.gallery} gallery entries."
    if any(len(row.seeds) > 1 for row in comparison.rows):
        text += " Mean ± sample standard deviation over seeds."
    return text + _spread(comparison) + (" Re-ranked: k-reciprocal re-ranking." if reranked else "")


def _scored(comparison: Comparison) -> str:
    """How many queries the figures are of: those with a true match, which under a seed are the same for every row."""
    per_seed = {
        scores.seed: int(queries.ranked.valid.sum())
        for row in comparison.rows
        for scores, queries in zip(row.scores, row.queries, strict=True)
    }
    low, high = min(per_seed.values()), max(per_seed.values())
    return f"{low} queries scored" if low == high else f"{low} to {high} queries scored for a seed"


def _spread(comparison: Comparison) -> str:
    """What the intervals of the rows hold."""
    counts = {len(row.seeds) for row in comparison.rows}
    text = ""
    if counts != {1}:
        text += " Intervals over seeds and queries: how far the figure moves with another training and other queries."
    if 1 in counts:
        text += " Of a single seed, an interval is over queries alone and the model taken as trained."
    return text


def _differences_note(comparison: Comparison) -> str:
    found, name = comparison.differences.values(), comparison.reference.name
    text = f"Points of per cent against {name}, on the same queries and the seeds that both rows have."
    tested = [one.test for one in found if one.test]
    if tested:
        text += f" p: two-sided, over seeds and queries, after Holm's correction over {counted(len(tested), 'row')}."
        text += power_text([one.detectable for one in tested], comparison.settings.power, "row")
    if any(len(one.seeds) == 1 for one in found):
        text += " Of a single seed nothing is claimed: another training may differ as much as two rows do."
    if comparison.thesis:
        text += " The thesis's columns are its Table 2: CLIP RN50 at 256x128 on the whole of Market-1501"
        text += "; inside: whether its difference lies in our interval." if tested else "."
    return text


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def power_text(detectable: Sequence[float], power: float, of_each: str) -> str:
    """What this study could have found, so that a difference it did not find is not read as one that is not there.

    Args:
        detectable: points that the corrected test of each finds with this power, at least one.
        of_each: what there is one of for each.
    """
    sizes = sorted(detectable)
    median = sizes[len(sizes) // 2]
    spread = f" (by {of_each} {sizes[0]:.1f} to {sizes[-1]:.1f})" if len(sizes) > 1 else ""
    text = f" By its own spread, this study finds a difference of {median:.1f} points{spread}"
    return text + f" with a probability of {100 * power:g} %."


def _heading(metric: str) -> str:
    return metric.replace("_", "@")


def interval_heading(comparison: Comparison) -> str:
    """What the intervals are over; of rows with one seed beside rows with several the note says which is which."""
    counts = {len(row.seeds) for row in comparison.rows}
    over = "queries" if counts == {1} else "seeds and queries"
    return f"{100 * comparison.settings.level:g} % interval over {over}"


def _mean_and_deviation(row: Row, metric: str) -> str:
    deviation = row.deviation(metric) if metric in WITH_DEVIATION else None
    return f"{row.mean(metric):.1f}" + (f" ± {deviation:.1f}" if deviation is not None else "")


def interval_text(interval: Interval, form: str) -> str:
    return f"[{interval.low:{form}}, {interval.high:{form}}]"


def signed(value: float) -> str:
    return f"{value:+z.1f}"


def p_text(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _yes_or_no(value: bool | None, missing: str) -> str:
    return missing if value is None else "yes" if value else "no"
