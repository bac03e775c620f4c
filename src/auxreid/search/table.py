"""The table of the evaluation: a line per way to ask, for programs and for people."""

import pandas as pd

from auxreid.metric.cells import NO_VALUE, csv_text, markdown, percent_columns, with_interval
from auxreid.search.evaluate import FUSION, MEANS, OPEN_SET, VISUAL_ONLY, Evaluation, Row

HEADINGS = {
    "mAP": "mAP",
    "CMC_1": "CMC@1",
    "CMC_5": "CMC@5",
    "DIR_1": "DIR at FPIR 1 %",
    "DIR_10": "DIR at FPIR 10 %",
    "EER": "EER",
}
RATES = {
    "match_FPIR": "match: strangers",
    "match_DIR": "match: found",
    "possible_FPIR": "possible: strangers",
    "possible_DIR": "possible: found",
    "ECE": "ECE",
}
WORDS = ("asked by", "remark")


def csv_table(evaluation: Evaluation) -> str:
    """Per cent, empty where unknown."""
    table = pd.DataFrame.from_records([_record(row) for row in evaluation.rows])
    return csv_text(table)


def _record(row: Row) -> dict[str, object]:
    found: dict[str, object] = {"asked_by": row.name, "queries": row.queries or None}
    figures = {name: row.figures.get(name) for name in (*MEANS, *OPEN_SET)}
    for name, other in (("mAP_minus_visual_only", VISUAL_ONLY), ("mAP_minus_fusion", FUSION)):
        figures[name] = row.against.get(other)
    found |= percent_columns(figures)
    found |= {name: 100 * row.rates[name] if name in row.rates else None for name in RATES}
    return found | {"remark": remark(row)}


def display_table(evaluation: Evaluation) -> pd.DataFrame:
    """The table for people: per cent with one decimal, intervals in brackets; its columns are the headings."""
    rows = evaluation.rows
    columns = {
        "asked by": [row.name for row in rows],
        "queries": [str(row.queries) if row.queries else NO_VALUE for row in rows],
    }
    for name, heading in HEADINGS.items():
        columns[heading] = [with_interval(row.figures.get(name), ".1f") for row in rows]
    for other in (VISUAL_ONLY, FUSION):
        columns[f"mAP − {other}"] = [with_interval(row.against.get(other), "+z.1f") for row in rows]
    for name, heading in RATES.items():
        columns[heading] = [f"{100 * row.rates[name]:.1f}" if name in row.rates else NO_VALUE for row in rows]
    columns["remark"] = [remark(row) for row in rows]
    return pd.DataFrame(columns)


def remark(row: Row) -> str:
    """Why there are no figures; else how sure it is that the way is better or worse than likeness alone."""
    if row.reason:
        return f"not possible: {row.reason}"
    found = row.against.get(VISUAL_ONLY)
    if found is None or found.value == 0:
        return ""
    side, sure = ("better", found.low > 0) if found.value > 0 else ("worse", found.high < 0)
    return f"{side} than {VISUAL_ONLY}" + ("" if sure else ", the interval holds 0")


def notes(evaluation: Evaluation) -> list[str]:
    """Lines below the table."""
    share, level = f"{100 * evaluation.strangers:g} %", f"{100 * evaluation.level:g} %"
    fusions = [one.fusion for one in evaluation.seeds]
    about, thresholds = fusions[0].about, fusions[0].thresholds
    lines = [
        f"{evaluation.queries} queries of {evaluation.individuals} dogs never seen, {evaluation.gallery} gallery "
        f"photographs, {len(fusions)} seeds. {level} intervals over individuals and seeds: of mAP, CMC and the "
        "differences by Student's t, of the others by resampling. Differences are of the same queries.",
        f"The fusion was learnt from {about['photographs']} photographs of {about['dogs']} calibration dogs; test dogs "
        "take no part in it.",
        f"DIR at FPIR: the mean of {evaluation.drawings} drawings, in each of which {share} of the query dogs are "
        "strangers, at the threshold that suits the drawing.",
        f"match, possible: by the thresholds of the fusion as they are, set on calibration dogs at a FPIR of "
        f"{100 * thresholds.match_fpir:g} and {100 * thresholds.possible_fpir:g} % in bases of {thresholds.searched} "
        "photographs: the share of strangers who are named, and of others who are named rightly.",
        "ECE: expected calibration error of the probability that the best dog is the right one, in these drawings.",
        "stated: true words of the query's dog, so many, drawn from its labels; text: a description made of three.",
        "hard filter: by likeness, among photographs for which the classifier says the same of all attributes.",
    ]
    if fusions[0].text is None:
        lines.append(f"Text is not compared with photographs: {about.get('no_text', 'nothing reads it')}.")
    else:
        lines.append(
            f"Text is compared with photographs too (weight {fusions[0].text.weight:.2f} beside the words alone); "
            "decisions leave that term out."
        )
    if about["pairs_from_feedback"]:
        lines.append(f"It has learnt from {about['pairs_from_feedback']} pairs that people judged, too.")
    if thresholds.note:
        lines.append(f"Few dogs: {thresholds.note}.")
    if not about["labelled"]:
        lines.append(
            "Calibration dogs have no attribute labels: statements count in full (weight 1), and what strangers would "
            "state is what their photographs make the most probable."
        )
    return lines


def markdown_table(evaluation: Evaluation) -> str:
    """The display table in three, since a page is narrow: ranking, strangers, what is not possible; then its notes."""
    cells, dataset = display_table(evaluation), evaluation.dataset
    shown = cells[cells["queries"] != NO_VALUE]
    open_set = [HEADINGS[name] for name in OPEN_SET] + list(RATES.values())
    parts = [
        f"# {dataset}: the search, asked in different ways",
        markdown(shown.drop(columns=open_set), WORDS),
        f"## {dataset}: strangers, and decisions",
        markdown(shown[["asked by", *open_set]], WORDS),
    ]
    missing = [f"- {row.name}: {remark(row)}\n" for row in evaluation.rows if row.reason]
    if missing:
        parts += [f"## {dataset}: what cannot be asked", "".join(missing).rstrip("\n")]
    return "\n\n".join([*parts, "".join(f"- {line}\n" for line in notes(evaluation))])


def summary(evaluation: Evaluation) -> dict[str, float]:
    """Final metrics by "<way>.<name>", as fractions of 1, for a tracking server; names of letters and underscores."""
    metrics: dict[str, float] = {}
    for row in evaluation.rows:
        way = row.name.replace(", ", "_").replace(" ", "_").replace("-", "_")
        metrics |= {f"{way}.{name}": figure.value for name, figure in row.figures.items()}
        metrics |= {f"{way}.{name}": value for name, value in row.rates.items()}
        for other, figure in row.against.items():
            metrics[f"{way}.mAP_minus_{other.replace(' ', '_')}"] = figure.value
    return metrics
