"""DVC stage `compare`: every row of the study on one data set in one table, with figures.

usage: python pipeline/compare.py DATASET
"""

import json
from collections.abc import Mapping
from pathlib import Path

import checkout  # noqa: F401
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from auxreid.data.frames import Frames, open_frames
from auxreid.evaluation.cmc_figure import CURVE_RANKS, cmc_figure
from auxreid.evaluation.comparison import Comparison, read_comparison
from auxreid.evaluation.comparison_figures import bar_figure, difference_figure
from auxreid.evaluation.comparison_tables import (
    DisplayTable,
    cmc_table,
    csv_table,
    display_tables,
    interval_heading,
    markdown_tables,
    remark_lines,
    row_metrics,
)
from auxreid.evaluation.controls import Controls, compare_controls, first_control
from auxreid.evaluation.controls_tables import controls_csv, controls_markdown, controls_table
from auxreid.evaluation.gained_lost import draw_changes, read_changes
from auxreid.evaluation.ranked_lists import save_jpeg
from auxreid.evaluation.where_gained import Part, groupings, parts, parts_csv, read_lists
from auxreid.evaluation.where_gained_figure import where_figure
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script

RESULTS = Path("results")
UNBOUNDED = 10_000  # characters; rich measures a table within some width
SUMMARY = ("mAP", "CMC_1")


def main(stage: Stage) -> None:
    forms, settings = stage.entry["rows"], stage.settings
    seeds = {row: settings.study.seeds_of(row) for row in forms}
    with stage.run(rows=list(forms)) as run:
        comparison = read_comparison(
            RESULTS,
            stage.dataset,
            stage.entry["layout"],
            forms,
            seeds,
            stage.entry["reference"],
            settings=settings.compare,
            not_applicable=stage.entry["not_applicable"],
            predictions=stage.entry["predictions"],
        )
        write_text(run.out / "table.csv", csv_table(comparison))
        write_text(run.out / "table.md", markdown_tables(comparison))
        controls = compare_controls(comparison)
        write_text(run.out / "controls.csv", controls_csv(controls))
        write_text(run.out / "controls.md", controls_markdown(controls))
        write_text(run.out / "cmc.csv", cmc_table(comparison, CURVE_RANKS))
        for row, figures in row_metrics(comparison).items():
            write_text(RESULTS / "rows" / stage.dataset / f"{row}.json", json.dumps(figures) + "\n")
        splits = sorted({scores.split for row in comparison.rows for scores in row.scores})
        frames = {split: open_frames(stage.reads["frames"], split, stage.reads["labels"]) for split in splits}
        draw(run, comparison, frames[splits[0]])
        gained = where_gained(comparison, frames, stage.reads["keypoints"])
        write_text(run.out / "where_gained.csv", parts_csv(gained))
        for (row, other), found in gained.items():
            figure = where_figure(stage.dataset, (row, other), found, interval_heading(comparison))
            figure.savefig(run.figure(f"where_gained/{row}.png"))
        run.summary(summary(comparison) | control_summary(controls))
        for name in ("table.csv", "table.md", *(("controls.csv", "controls.md") if controls_table(controls) else ())):
            run.artifact(name)
    show(comparison, controls)


def where_gained(
    comparison: Comparison, frames: Mapping[int, Frames], keypoints: Path | None
) -> dict[tuple[str, str], list[Part]]:
    """By row and what it is best compared with, the groups of ranked lists.

    Args:
        frames: of each split that rows are evaluated on.
        keypoints: the data set's keypoint table, where the study makes one.
    """
    found = {}
    for row in comparison.rows:
        other = first_control(comparison, row)
        if row.form and other is not None:
            lists = read_lists(RESULTS, row, other)
            found[lists.names] = parts(lists, groupings(lists, frames, keypoints), comparison.settings.level)
    return found


def draw(run: Run, comparison: Comparison, frames: Frames) -> None:
    """Bars, CMC curves, differences with intervals, and per row the queries that gained and lost most."""
    dataset, reference = comparison.dataset, comparison.reference
    bar_figure(comparison).savefig(run.figure("rows.png"))
    cmc_figure({row.name: row.curve(CURVE_RANKS) for row in comparison.rows}, dataset).savefig(run.figure("cmc.png"))
    if not comparison.differences:
        return
    difference_figure(comparison).savefig(run.figure("differences.png"))
    for row in comparison.rows:
        if row.name not in comparison.differences:
            continue
        changes = read_changes(RESULTS, row, reference, comparison.settings.pictures)
        if changes:
            names = (f"{reference.name}, seed {comparison.differences[row.name].seeds[0]}", row.name)
            save_jpeg(draw_changes(changes, names, frames), run.figure(f"gained_lost/{row.name}.jpg"))


def summary(comparison: Comparison) -> dict[str, float]:
    """Final metrics by "<row>.<name>", as fractions of 1."""
    metrics: dict[str, float] = {}
    for row in comparison.rows:
        found = {metric: row.mean(metric) for metric in SUMMARY}
        found |= {f"reranked_{metric}": row.mean(metric, reranked=True) for metric in SUMMARY if row.is_reranked}
        difference = comparison.differences.get(row.name)
        if difference is not None:
            low, high = difference.interval.low, difference.interval.high
            found |= {"difference": difference.value, "difference_low": low, "difference_high": high}
            if difference.test:
                metrics |= {f"{row.name}.p": difference.test.p, f"{row.name}.p_holm": difference.test.p_holm}
                found["difference_detectable"] = difference.test.detectable
        metrics |= {f"{row.name}.{name}": value / 100 for name, value in found.items()}
    return metrics


def control_summary(controls: Controls) -> dict[str, float]:
    """Final metrics by "<row>.minus_<control>": the difference and its interval as fractions of 1, and the p-values."""
    metrics: dict[str, float] = {}
    for (row, control), one in controls.pairs.items():
        if one is None:
            continue
        name = f"{row}.minus_{control}"
        metrics[name] = one.value / 100
        metrics |= {f"{name}_low": one.interval.low / 100, f"{name}_high": one.interval.high / 100}
        if one.test is not None:
            metrics |= {f"{name}_p": one.test.p, f"{name}_p_holm": one.test.p_holm}
    return metrics


def show(comparison: Comparison, controls: Controls) -> None:
    """Print the tables with what the reader has to know."""
    console = Console()
    for one in display_tables(comparison):
        show_table(console, one)
    for line in remark_lines(comparison):
        console.print(f"- {line}", highlight=False, markup=False)
    table = controls_table(controls)
    if table is not None:
        show_table(console, table)


def show_table(console: Console, one: DisplayTable) -> None:
    """Print a table at its full width: a figure cut short is worse than a long line."""
    table = Table(title=one.title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(one.cells.columns):
        table.add_column(heading, justify="left" if number < one.texts else "right", no_wrap=True)
    for line in one.cells.itertuples(index=False):
        table.add_row(*map(escape, line))
    needed = console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum
    console.width = max(console.width, needed)
    console.print(table)
    console.print(one.note, highlight=False)


if __name__ == "__main__":
    run_script(main)
