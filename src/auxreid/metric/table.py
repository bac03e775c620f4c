"""The open-set table: a line per row beside the untouched encoder, for programs and for people."""

import pandas as pd

from auxreid.metric.cells import NO_VALUE, csv_text, markdown, percent_columns, with_interval
from auxreid.metric.choice import UNTOUCHED
from auxreid.metric.results import OPEN_SET, Results, RowResult

HEADINGS = {
    "mAP": "mAP",
    "CMC_1": "CMC@1",
    "mINP": "mINP",
    "TAR_1": "TAR at FAR 1 %",
    "TAR_0_1": "TAR at FAR 0.1 %",
    "EER": "EER",
    "DIR_1": "DIR at FPIR 1 %",
    "DIR_10": "DIR at FPIR 10 %",
}
WORDS = ("row", "remark")


def csv_table(results: Results) -> str:
    """Per cent, empty where unknown."""
    table = pd.DataFrame.from_records([_record(results, row) for row in results.rows])
    return csv_text(table)


def _record(results: Results, row: RowResult) -> dict[str, object]:
    found: dict[str, object] = {
        "row": row.name,
        "chosen": "yes" if row.name == results.chosen else "",
        "seeds": len(row.seeds),
        "epochs": " ".join(map(str, row.epochs)),
        "validation_mAP": 100 * row.validation.mAP,
        "validation_difference": 100 * row.validation.difference,
        "validation_error": 100 * row.validation.error,
    }
    found |= percent_columns(row.figures | {"mAP_minus_untouched": row.difference})
    found |= {f"mAP_first_{size}": 100 * value for size, value in row.cuts.items()}
    return found | {"remark": remark(results, row)}


def display_table(results: Results) -> pd.DataFrame:
    """The table for people: per cent with one decimal, intervals in brackets; its columns are the headings."""
    rows = results.rows
    columns = {
        "row": [row.name for row in rows],
        "validation mAP": [_validation(row) for row in rows],
    }
    for name, heading in HEADINGS.items():
        columns[heading] = [with_interval(row.figures[name], ".1f") for row in rows]
    columns["mAP − untouched"] = [with_interval(row.difference, "+z.1f") for row in rows]
    for size in {size: None for row in rows for size in row.cuts}:
        columns[f"mAP, first {size}"] = [_percent(row.cuts.get(size)) for row in rows]
    columns["remark"] = [remark(results, row) for row in rows]
    return pd.DataFrame(columns)


def remark(results: Results, row: RowResult) -> str:
    """What the reader must not overlook: the choice, and a row that is worse than not training, by how sure that is."""
    said = ["chosen by validation"] if row.name == results.chosen else []
    if row.difference is not None:
        low, high = row.difference.low, row.difference.high
        if not any(row.epochs):
            said.append("stopped before it began: untouched")
        elif row.difference.value < 0:
            said.append("worse than untouched" + ("" if high < 0 else ", the interval holds 0"))
        elif row.difference.value > 0:
            said.append("better than untouched" + ("" if low > 0 else ", the interval holds 0"))
    return "; ".join(said)


def notes(results: Results) -> list[str]:
    """Lines below the table."""
    share, level = f"{100 * results.strangers:g} %", f"{100 * results.level:g} %"
    lines = [
        f"{results.queries} queries of {results.individuals} individuals never seen, {results.gallery} gallery "
        f"entries. {level} intervals over individuals and seeds: of mAP, CMC@1, mINP and the differences by Student's "
        "t, of the others by resampling.",
        f"DIR: the mean of {results.drawings} drawings, in each of which {share} of the query individuals are "
        "strangers, whose images are taken out of the gallery.",
        "Chosen: of the rows whose validation mAP is above untouched by more than a standard error (in brackets), the "
        f"one furthest above; if none is, {UNTOUCHED}. Test individuals take no part in it.",
        "first n: the mAP of the embedding's first n dimensions.",
    ]
    if all(len(row.seeds) < 2 for row in results.rows):
        lines.append("One seed says nothing of how another training would come out: intervals are over individuals.")
    return lines


def markdown_table(results: Results) -> str:
    """The display table in two, since a page is narrow: ranking, and what takes strangers in; then its notes."""
    cells, open_set = display_table(results), [HEADINGS[name] for name in OPEN_SET]
    ranking = markdown(cells.drop(columns=open_set), WORDS)
    told = "".join(f"- {line}\n" for line in notes(results))
    return "\n\n".join(
        [
            f"# {results.dataset}: metric rows",
            ranking,
            f"## {results.dataset}: verification, and identification with strangers",
            markdown(cells[["row", *open_set]], WORDS),
            told,
        ]
    )


def _validation(row: RowResult) -> str:
    if row.name == UNTOUCHED:
        return _percent(row.validation.mAP)
    return f"{_percent(row.validation.mAP)} ({100 * row.validation.difference:+.1f} ± {100 * row.validation.error:.1f})"


def _percent(value: float | None) -> str:
    return NO_VALUE if value is None else f"{100 * value:.1f}"
