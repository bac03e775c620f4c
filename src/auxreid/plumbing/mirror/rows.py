"""The rows of the comparison as runs: one for each row of compare's table, above the runs of its seeds.

A run of a seed is one training; what a reader looks for is the row: its mean over seeds, its interval, how far it is
from the reference row. compare has computed that; here it is copied. A row's run is known by the digest of its line in
the table, so that a line which did not change keeps its run, and one that did supersedes it.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auxreid.plumbing.base.comparison_columns import MINUS, difference_columns
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.result import Result, metric_table, naming_changes
from auxreid.plumbing.mirror.store import Store
from auxreid.plumbing.stage.record import Point

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

    from auxreid.plumbing.dvc.experiments import Experiment
    from auxreid.plumbing.mirror.experiment_results import Trial

TABLE = "table.csv"
FIGURES = (
    "mAP",
    "mAP_std",
    "mINP",
    "CMC_1",
    "CMC_1_std",
    "CMC_5",
    "CMC_10",
    "CMC_20",
    "reranked_mAP",
    "reranked_CMC_1",
)


@dataclass(frozen=True)
class Row:
    """A line of the table, by column, and when its last seed was evaluated."""

    name: str
    dataset: str
    cells: Mapping[str, str]
    finished: int
    seeds: tuple[str, ...] = ()  # digests of the results of its seeds, as far as they are shown

    def digest(self) -> str:
        content = [self.dataset, self.name, sorted(self.cells.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def trial_digest(self) -> str:
        """Of the line as an experiment's: two experiments may have equal figures, and so may the present row."""
        return hashlib.sha256(json.dumps([self.digest(), self.seeds]).encode()).hexdigest()

    def figures(self) -> dict[str, float]:
        """Fractions of 1, as in the runs of the seeds; the table has per cent."""
        return {name: round(float(self.cells[name]) / 100, 6) for name in FIGURES if self.cells.get(name)}

    def texts(self) -> dict[str, str]:
        """The columns that are no single figure."""
        found = {view.FORM: self.cells.get("form") or "-", view.SEEDS: self.cells["seeds"]}
        if interval := self.interval("mAP", ".3f"):
            found[view.INTERVAL] = interval
        for column in difference_columns(self.cells):
            if self.cells[column]:
                value = float(self.cells[column]) / 100
                heading = view.difference_heading(column.removeprefix(MINUS))
                found[heading] = f"{value:+.3f} {self.interval(column, '+.3f')}"
        if self.cells.get(view.PREDICTED):
            found[view.PREDICTED] = self.cells[view.PREDICTED]
        if self.cells.get("p_holm"):
            found[view.P_VALUE] = f"{float(self.cells['p_holm']):.3f}"
        return found

    def interval(self, column: str, style: str) -> str:
        low, high = (self.cells.get(f"{column}_{end}") for end in ("low", "high"))
        return f"[{float(low) / 100:{style}}, {float(high) / 100:{style}}]" if low and high else ""

    def tags(self) -> dict[str, str]:
        return self.texts() | {
            view.ROW: self.name,
            view.RESULT: self.digest(),
            view.DATASET: self.dataset,
            view.NOTE: f"Row {self.name} on {self.dataset}, as compare's table has it.",
            view.SOURCE_NAME: "pipeline/compare.py",
            view.SOURCE_TYPE: "LOCAL",
        }


def read_rows(result: Result, seeds: Mapping[str, Sequence[Result]]) -> list[Row]:
    """The lines with figures of a comparison's table. Raises DataError if somebody is writing there."""
    part = result.main
    with naming_changes(part.folder.parent), (part.folder.parent / TABLE).open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    result.check()
    found = []
    for cells in lines:
        if cells.get("mAP"):  # others are not applicable
            shown = seeds.get(cells["row"], ())
            ends = [one.evaluation or one.main for one in shown]
            finished = max((one.record.finished for one in ends), default=part.record.finished)
            digests = tuple(sorted(one.digest() for one in shown))
            found.append(Row(cells["row"], part.record.dataset, cells, finished, digests))
    return found


def publish_rows(
    store: Store, experiment: str, published: Sequence[tuple[Result, "MlflowRun"]]
) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Makes a run for each row of the comparison that is among the published results, and puts its seeds below it.

    Returns labels by what had to be done, as publish's report names it, and what was left out and why. Each step can be
    repeated.
    """
    done: dict[str, list[str]] = {}
    comparison = next((result for result, _ in published if is_comparison(result)), None)
    if comparison is None:
        return done, []
    try:
        rows = read_rows(comparison, seeds_by_row(result for result, _ in published))
    except DataError as error:
        return done, [(comparison.name, str(error))]
    runs = store.runs(experiment, view.IS_ROW)
    for row in rows:
        done.setdefault(ensure_row(store, experiment, runs, row), []).append(label(row))
    runs = store.runs(experiment, view.IS_ROW)  # again: another machine may have published meanwhile
    shown = {row.name: view.first_of_result(runs, row.digest()).info.run_id for row in rows}
    put_below(store, published, shown)
    over = next(run for result, run in published if result is comparison).info.run_id
    done["superseded"] = [
        f"{comparison.main.record.dataset}/{run.data.tags[view.ROW]} {run.info.run_id}"
        for run in runs
        if is_former(run, rows) and mark(store, run, shown.get(run.data.tags[view.ROW], over))
    ]
    return done, []


def retire_metric_rows(
    store: Store, runs: Sequence["MlflowRun"], published: Sequence[tuple[Result, "MlflowRun"]]
) -> list[str]:
    """Marks the runs of metric rows that the present metric table has no more as superseded by the table's run.

    A row that returns gets its runs back. Returns labels; none where no table is published.
    """
    table = metric_table(published)
    if table is None:
        return []
    record, present = table[0].main.record, table[1].info.run_id
    gone = [
        run
        for run in runs
        if view.METRIC_ROW in run.data.tags
        and view.RESULT in run.data.tags
        and view.EXPERIMENT not in run.data.tags
        and run.data.tags[view.METRIC_ROW] not in record.params["rows"]
    ]
    return [f"{record.dataset}/{run.info.run_name} {run.info.run_id}" for run in gone if mark(store, run, present)]


def is_former(run: "MlflowRun", rows: Sequence[Row]) -> bool:
    """Whether a row's run may have had a present row's place: not an experiment's, unless that was applied."""
    applied = {row.trial_digest() for row in rows}
    return view.EXPERIMENT not in run.data.tags or run.data.tags.get(view.RESULT) in applied


def publish_trial_rows(
    store: Store, experiment: str, found: Sequence[tuple["Trial", "MlflowRun"]]
) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Makes a run for each row that an experiment has trained or ranked anew, and puts its seeds below it.

    Where an experiment was run without its comparison, its seeds lie below the present row. Returns what
    :func:`publish_rows` does.
    """
    done: dict[str, list[str]] = {}
    left_out = []
    by_experiment: dict[Experiment, list[tuple[Trial, MlflowRun]]] = {}
    for trial, run in found:
        by_experiment.setdefault(trial.experiment, []).append((trial, run))
    runs = store.runs(experiment, view.IS_ROW)
    for some in by_experiment.values():
        shown = {
            run.data.tags[view.ROW]: run.info.run_id
            for run in runs
            if view.EXPERIMENT not in run.data.tags and view.SUPERSEDED not in run.data.tags
        }
        trials = [trial for trial, _ in some]
        try:
            for row in trial_rows(trials):
                outcome, shown[row.name] = ensure_trial_row(store, experiment, runs, row, trials[0])
                done.setdefault(outcome, []).append(view.experiment_run_name(label(row), trials[0].experiment.name))
        except DataError as error:
            left_out.append((f"experiment {trials[0].experiment.name}", str(error)))
        put_below(store, [(trial.result, run) for trial, run in some], shown)
    return done, left_out


def trial_rows(trials: Sequence["Trial"]) -> list[Row]:
    """The lines of an experiment's comparison that it has made anew; none where it has no comparison."""
    comparison = trials[0].comparison
    if comparison is None:
        return []
    return [row for row in read_rows(comparison, seeds_by_row(trial.result for trial in trials)) if row.seeds]


def seeds_by_row(results: Iterable[Result]) -> dict[str, list[Result]]:
    seeds: dict[str, list[Result]] = {}
    for result in results:
        if result.main.record.stage in view.ROW_STAGES:
            seeds.setdefault(result.main.record.ablation, []).append(result)
    return seeds


def ensure_trial_row(
    store: Store, experiment: str, runs: Sequence["MlflowRun"], row: Row, trial: "Trial"
) -> tuple[str, str]:
    """Sees to it that an experiment's row has a complete run; returns what had to be done, and the run's id."""
    digest = row.trial_digest()
    run = view.first_of_result(runs, digest)
    if run is not None and run.data.tags.get(view.STATE) == "complete":
        restored = store.delete_tag(run, view.SUPERSEDED)
        return "restored" if restored else "unchanged", run.info.run_id
    title = view.experiment_run_name(row.name, trial.experiment.name)
    return fill_row(store, experiment, run, row, title, {**row.tags(), **trial.tags(), view.RESULT: digest})


def is_comparison(result: Result) -> bool:
    return result.main.record.stage == "compare" and TABLE in result.main.record.artifacts


def label(row: Row) -> str:
    return f"{row.dataset}/{row.name}"


def ensure_row(store: Store, experiment: str, runs: Sequence["MlflowRun"], row: Row) -> str:
    """Sees to it that a row has a complete run; returns what had to be done."""
    run = view.first_of_result(runs, row.digest())
    if run is not None and run.data.tags.get(view.STATE) == "complete":
        return "restored" if store.delete_tag(run, view.SUPERSEDED) else "unchanged"
    return fill_row(store, experiment, run, row, row.name, row.tags())[0]


def fill_row(
    store: Store, experiment: str, run: "MlflowRun | None", row: Row, name: str, tags: Mapping[str, str]
) -> tuple[str, str]:
    """Everything that a row's run shows; returns what had to be done, and the run's id."""
    outcome = "created" if run is None else "completed"
    tags = {**tags, view.STATE: "publishing"}
    if run is None:
        run = store.client.create_run(experiment, start_time=row.finished, tags=tags, run_name=name)
    else:
        store.set_tags(run.info.run_id, tags)
    store.log_points(run.info.run_id, [Point(name, 0, value, row.finished) for name, value in row.figures().items()])
    store.client.set_terminated(run.info.run_id, "FINISHED", end_time=row.finished)
    store.set_tags(run.info.run_id, {view.STATE: "complete"})
    return outcome, run.info.run_id


def put_below(store: Store, published: Sequence[tuple[Result, "MlflowRun"]], shown: Mapping[str, str]) -> None:
    """MLflow's own way to nest runs: by the tag that names the parent."""
    for result, run in published:
        parent = shown.get(result.main.record.ablation)
        is_seed = result.main.record.stage in view.ROW_STAGES
        if is_seed and parent is not None and run.data.tags.get(view.PARENT) != parent:
            store.set_tags(run.info.run_id, {view.PARENT: parent})


def mark(store: Store, run: "MlflowRun", present: str) -> bool:
    """Marks the run of a former line as superseded by the present run; tells whether it had to."""
    if run.info.run_id == present or run.data.tags.get(view.SUPERSEDED) == present:
        return False
    store.set_tags(run.info.run_id, {view.SUPERSEDED: present})
    return True
