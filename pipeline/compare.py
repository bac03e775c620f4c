"""DVC stage `compare`: every row of the study on one data set in one table, with figures.

usage: python pipeline/compare.py DATASET
"""

import sys
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from auxreid.config import BASELINES, REFERENCE_ROW
from auxreid.evaluation.cmc_figure import CURVE_RANKS, cmc_figure
from auxreid.evaluation.comparison import (
    Comparison,
    Row,
    csv_table,
    display_table,
    markdown_table,
    note,
    read_comparison,
)
from auxreid.evaluation.comparison_figures import bar_figure
from auxreid.evaluation.ranking import cmc_curve
from auxreid.evaluation.scores import read_ranked
from auxreid.graph import load_study
from auxreid.tracking.stage import stage_run

RESULTS = Path("results")
UNBOUNDED = 10_000  # characters; rich measures a table within some width
SUMMARY = ("mAP", "CMC_1")


def main(dataset: str) -> None:
    config = load_study()
    forms = dict.fromkeys(BASELINES, "") | {name: row.form for name, row in config.ablations.items()}
    params = {"rows": list(forms), "seeds": list(config.study.seeds)}
    with stage_run("compare", dataset, dataset=dataset, params=params) as run:
        layout = config.datasets[dataset].layout
        comparison = read_comparison(RESULTS, dataset, layout, forms, config.study.seeds, REFERENCE_ROW)
        (run.out / "table.csv").write_text(csv_table(comparison), encoding="utf-8")
        (run.out / "table.md").write_text(markdown_table(comparison), encoding="utf-8")
        bar_figure(comparison).savefig(run.figure("rows.png"))
        curves = {row.name: mean_curve(row) for row in comparison.rows}
        cmc_figure(curves, dataset).savefig(run.figure("cmc.png"))
        run.summary({f"{row.name}.{metric}": row.mean(metric) / 100 for row in comparison.rows for metric in SUMMARY})
        run.artifact("table.csv")
        run.artifact("table.md")
    show(comparison)


def mean_curve(row: Row) -> np.ndarray:
    """CMC curve averaged over seeds, float64 [k]."""
    ranks = min(CURVE_RANKS, *(one.gallery for one in row.scores))
    ranked = [read_ranked(RESULTS, one.dataset, one.ablation, one.seed) for one in row.scores]
    return np.mean([cmc_curve(one, ranks) for one in ranked], axis=0)


def show(comparison: Comparison) -> None:
    """Print the table at its full width: a figure cut short is worse than a long line."""
    headings, lines = display_table(comparison)
    table = Table(title=comparison.dataset, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 2 else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console = Console()
    needed = console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum
    console.width = max(console.width, needed)
    console.print(table)
    console.print(note(comparison), highlight=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
