"""A comparison as tables: a CSV with everything for programs, and two tables for people (figures; differences)."""

import csv
import io
from dataclasses import dataclass

from auxreid.evaluation.comparison import INTERVAL_METRICS, Comparison, Interval, Row

METRICS = ("mAP", "mINP", "CMC_1", "CMC_5", "CMC_10", "CMC_20")
SHOWN_METRICS = ("CMC_1", "CMC_5", "CMC_10", "mINP")  # beside mAP
WITH_DEVIATION = ("mAP", "CMC_1")  # for the others the CSV has it: the table must stay narrow enough to read
RERANKED_SHOWN = ("mAP", "CMC_1")
THESIS_METRICS = ("mAP", "CMC_1")
NO_VALUE = "-"
NOT_APPLICABLE = "not applicable: "


@dataclass(frozen=True)
class DisplayTable:
    """A table for people; all cells are text, the first `texts` columns are words and the others numbers."""

    title: str
    headings: list[str]
    lines: list[list[str]]
    texts: int
    note: str  # what the reader has to know about the figures


def csv_table(comparison: Comparison) -> str:
    """The table for programs: per cent and points of per cent (p-values as they are), empty where unknown."""
    lines = [_csv_record(comparison, row) for row in comparison.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    for name in comparison.not_applicable:
        writer.writerow({"row": name, "form": comparison.forms[name], "seeds": 0, "remark": remark(comparison, name)})
    return text.getvalue()


def _csv_record(comparison: Comparison, row: Row) -> dict[str, object]:
    record: dict[str, object] = {"row": row.name, "form": row.form, "seeds": len(row.seeds)}
    for metric in METRICS:
        record[metric] = f"{row.mean(metric):.2f}"
        record[f"{metric}_std"] = _number(row.deviation(metric), ".2f", missing="")
    for metric in INTERVAL_METRICS:
        interval = comparison.intervals[row.name][metric]
        record |= {f"{metric}_low": f"{interval.low:z.2f}", f"{metric}_high": f"{interval.high:z.2f}"}
    for metric in METRICS:
        mean, deviation = (row.mean(metric, True), row.deviation(metric, True)) if row.is_reranked else (None, None)
        record[f"reranked_{metric}"] = _number(mean, ".2f", missing="")
        record[f"reranked_{metric}_std"] = _number(deviation, ".2f", missing="")
    return record | _csv_difference(comparison, row) | {"remark": remark(comparison, row.name)}


def _csv_difference(comparison: Comparison, row: Row) -> dict[str, object]:
    if comparison.reference is None:
        return {}
    name = f"mAP_minus_{comparison.reference.name}"
    found, thesis = comparison.differences.get(row.name), comparison.thesis.get(row.name)
    record: dict[str, object] = {
        name: _number(found and found.value, "z.2f", missing=""),
        f"{name}_low": _number(found and found.interval.low, "z.2f", missing=""),
        f"{name}_high": _number(found and found.interval.high, "z.2f", missing=""),
        f"{name}_seeds": len(found.seeds) if found else "",
        "p": _number(found and found.p, ".6f", missing=""),
        "p_holm": _number(found and found.p_holm, ".6f", missing=""),
    }
    if comparison.thesis:
        for metric in THESIS_METRICS:
            record[f"thesis_{metric}"] = _number(thesis and getattr(thesis, metric), ".1f", missing="")
        record[f"thesis_{name}"] = _number(found and found.thesis, "z.1f", missing="")
        record["thesis_inside"] = _yes_or_no(found and found.inside, missing="")
    return record


def display_tables(comparison: Comparison) -> list[DisplayTable]:
    """The tables for people: figures, and where there is a reference row the differences to it."""
    tables = [_figures_table(comparison)]
    return tables if comparison.reference is None else [*tables, _differences_table(comparison)]


def _figures_table(comparison: Comparison) -> DisplayTable:
    """Per cent with one decimal, mean and for some ± standard deviation; rows that are not applicable have dashes."""
    reranked = any(row.is_reranked for row in comparison.rows)
    headings = ["row", "form", "seeds", "mAP", _interval_heading(comparison), *map(_heading, SHOWN_METRICS)]
    headings += [f"re-ranked {_heading(metric)}" for metric in RERANKED_SHOWN if reranked]
    lines = [_figures_line(comparison, row, reranked) for row in comparison.rows]
    for name in comparison.not_applicable:
        lines.append([name, comparison.forms[name] or NO_VALUE, *[NO_VALUE] * (len(headings) - 2)])
    return DisplayTable(comparison.dataset, headings, lines, texts=2, note=_figures_note(comparison, reranked))


def _figures_line(comparison: Comparison, row: Row, reranked: bool) -> list[str]:
    line = [row.name, row.form or NO_VALUE, str(len(row.seeds)), _mean_and_deviation(row, "mAP")]
    line.append(_interval(comparison.intervals[row.name]["mAP"], ".1f"))
    line += [_mean_and_deviation(row, metric) for metric in SHOWN_METRICS]
    if reranked:
        line += [f"{row.mean(metric, True):.1f}" if row.is_reranked else NO_VALUE for metric in RERANKED_SHOWN]
    return line


def _differences_table(comparison: Comparison) -> DisplayTable:
    name = comparison.reference.name
    headings = ["row", f"mAP − {name}", _interval_heading(comparison), "p (Holm)"]
    if comparison.thesis:
        headings += ["thesis's mAP", "thesis's CMC@1", "thesis's difference", "inside"]
    lines = [_differences_line(comparison, row) for row in comparison.rows]
    title = f"{comparison.dataset}, differences to {name}"
    return DisplayTable(title, headings, lines, texts=1, note=_differences_note(comparison))


def _differences_line(comparison: Comparison, row: Row) -> list[str]:
    found, thesis = comparison.differences.get(row.name), comparison.thesis.get(row.name)
    line = [row.name, *[NO_VALUE] * 3]
    if found is not None:
        line[1:] = _signed(found.value), _interval(found.interval, "+z.1f"), _p_value(found.p_holm)
    if comparison.thesis:
        line += [_number(thesis and getattr(thesis, metric), ".1f", missing=NO_VALUE) for metric in THESIS_METRICS]
        line.append(NO_VALUE if found is None or found.thesis is None else _signed(found.thesis))
        line.append(_yes_or_no(found and found.inside, missing=NO_VALUE))
    return line


def markdown_tables(comparison: Comparison) -> str:
    """The tables for people as GitHub's Markdown, each with its note, then the remarks."""
    parts = []
    for level, table in enumerate(display_tables(comparison), start=1):
        rule = [":--"] * table.texts + ["--:"] * (len(table.headings) - table.texts)
        lines = "\n".join("| " + " | ".join(cells) + " |" for cells in (table.headings, rule, *table.lines))
        parts.append(f"{'#' * level} {table.title}\n\n{lines}\n\n{table.note}\n")
    remarks = remark_lines(comparison)
    if remarks:
        parts.append("\n".join(f"- {line}" for line in remarks) + "\n")
    return "\n".join(parts)


def remark_lines(comparison: Comparison) -> list[str]:
    """One line for each row that needs a remark, in the order of the rows."""
    found = ((name, remark(comparison, name)) for name in comparison.forms)
    return [f"{name}: {text}" for name, text in found if text]


def remark(comparison: Comparison, name: str) -> str:
    """What the reader has to know about a row: why it has no figures, how it was run, why it has no difference."""
    texts = []
    if name in comparison.not_applicable:
        texts.append(NOT_APPLICABLE + comparison.not_applicable[name])
    if name in comparison.remarks:
        texts.append(comparison.remarks[name])
    reference = comparison.reference
    alone = name != getattr(reference, "name", None) and name not in comparison.differences
    if reference is not None and alone and name not in comparison.not_applicable:
        texts.append(f"no seed in common with {reference.name}, hence no difference")
    return "; ".join(texts)


def _figures_note(comparison: Comparison, reranked: bool) -> str:
    first, settings = comparison.rows[0].scores[0], comparison.settings
    text = f"Per cent; protocol {first.protocol}, {first.queries} queries against {first.gallery} gallery entries."
    if any(len(row.seeds) > 1 for row in comparison.rows):
        text += " Mean ± sample standard deviation over seeds."
    text += f" Interval of mAP: percentile bootstrap over queries, {settings.resamples} resamples, models as trained."
    return text + (" Re-ranked: k-reciprocal re-ranking." if reranked else "")


def _differences_note(comparison: Comparison) -> str:
    settings, name = comparison.settings, comparison.reference.name
    text = f"Points of per cent against {name}, on the same queries and the seeds that both rows have; paired bootstrap"
    text += f" interval. p: two-sided paired sign-flip test over queries, {settings.flips} flips, after Holm's"
    text += f" correction over the {len(comparison.differences)} rows."
    if comparison.thesis:
        text += " The thesis's columns are its Table 2: CLIP RN50 at 256x128 on the whole of Market-1501;"
        text += " inside: whether its difference lies in our interval."
    return text


def _heading(metric: str) -> str:
    return metric.replace("_", "@")


def _interval_heading(comparison: Comparison) -> str:
    return f"{100 * comparison.settings.level:g} % interval"


def _mean_and_deviation(row: Row, metric: str) -> str:
    deviation = row.deviation(metric) if metric in WITH_DEVIATION else None
    return f"{row.mean(metric):.1f}" + (f" ± {deviation:.1f}" if deviation is not None else "")


def _interval(interval: Interval, form: str) -> str:
    return f"[{interval.low:{form}}, {interval.high:{form}}]"


def _signed(value: float) -> str:
    return f"{value:+z.1f}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float | None, form: str, missing: str) -> str:
    return missing if value is None else format(value, form)


def _yes_or_no(value: bool | None, missing: str) -> str:
    return missing if value is None else "yes" if value else "no"
