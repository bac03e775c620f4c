"""DVC stage `metric_table`: the metric rows of a data set beside the untouched encoder, on individuals never seen.

usage: python pipeline/metric_table.py DATASET
"""

from pathlib import Path

import checkout  # noqa: F401
from rich.console import Console

from auxreid.evaluation.protocols import open_evaluated
from auxreid.evaluation.ranked_lists import save_jpeg
from auxreid.metric.cells import console_table
from auxreid.metric.choice import UNTOUCHED
from auxreid.metric.figures import list_pictures, roc_figure
from auxreid.metric.results import Results, read_results
from auxreid.metric.scores import read_metric_scores
from auxreid.metric.table import WORDS, csv_table, display_table, markdown_table, notes
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script

RESULTS = Path("results")
WIDE = 400  # characters


def main(stage: Stage) -> None:
    dataset, seeds, test = stage.dataset, stage.entry["seeds"], stage.settings.test
    with stage.run(rows=stage.entry["rows"]) as run:
        rows = {row: [read_metric_scores(RESULTS, dataset, row, seed) for seed in seeds] for row in stage.entry["rows"]}
        splits = {scores.about.split for one in rows.values() for scores in one}
        frames = {split: open_evaluated(stage.reads["frames"], split) for split in splits}
        results = read_results(dataset, rows, frames, test, stage.settings.level)
        write_text(run.out / "table.csv", csv_table(results))
        write_text(run.out / "table.md", markdown_table(results))
        roc_figure(results).savefig(run.figure("roc.png"))
        for row in results.rows:
            if row.name in (results.chosen, UNTOUCHED):
                first = frames[rows[row.name][0].about.split]
                for kind, picture in list_pictures(row.first, first, test.pictures, seeds[0]).items():
                    save_jpeg(picture, run.figure(f"ranked_lists/{row.name}_{kind}.jpg"))
        run.summary(summary(results))
        run.artifact("table.csv")
        run.artifact("table.md")
    show(results)


def summary(results: Results) -> dict[str, float]:
    """Final metrics by "<row>.<name>", as fractions of 1; chosen is 1 for the row that validation took."""
    metrics: dict[str, float] = {}
    for row in results.rows:
        metrics |= {f"{row.name}.{name}": figure.value for name, figure in row.figures.items()}
        metrics |= {f"{row.name}.val_mAP": row.validation.mAP, f"{row.name}.chosen": float(row.name == results.chosen)}
    return metrics


def show(results: Results) -> None:
    """Print the table and its notes."""
    title = f"{results.dataset}: metric rows, per cent"
    console = Console(width=max(Console().width, WIDE))
    console.print(console_table(title, display_table(results), WORDS), markup=False)
    for line in notes(results):
        console.print(f"- {line}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_script(main)
