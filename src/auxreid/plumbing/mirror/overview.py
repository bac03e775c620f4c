"""Which MLflow run shows which result of dvc.lock, which results have none, and which runs show no present result; and
the same of DVC's experiments, by name, with what they changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auxreid.plumbing.dvc.lockfile import read_lock
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.experiment_results import Trial, experiment_results
from auxreid.plumbing.mirror.publish import live_run
from auxreid.plumbing.mirror.result import Place, Result, gather, never_here, never_here_line
from auxreid.plumbing.mirror.rows import is_comparison
from auxreid.plumbing.mirror.store import SQLITE, database_path, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

HEADINGS = ("data set", "run", "MLflow run", "standing", "stages in dvc.lock")
TRIAL_HEADINGS = ("experiment", "data set", "run", "mAP", "changed", "MLflow run", "standing")
NOT_HERE = "its result is not in the workspace"


@dataclass(frozen=True)
class Line:
    """A result with its run, a result without one (run_id ""), or a run without a result (stages empty)."""

    dataset: str
    name: str
    run_id: str
    standing: str
    stages: tuple[str, ...] = ()
    results: int = 1


@dataclass(frozen=True)
class TrialLine:
    """A result of an experiment, its run (run_id "" if it has none) and what became of both."""

    experiment: str
    dataset: str
    name: str
    mAP: float | None
    changed: str
    run_id: str
    standing: str


def overview(root: Path = Path("."), uri: str | None = None) -> list[Line]:
    """Results first, as dvc.lock has them, then those that cannot be shown, then runs without a result.

    Runs of experiments have lines of their own, see :func:`trial_overview`. Raises DataError if dvc.lock cannot be
    read, or MLflow does not answer.
    """
    root = Path(root)
    locked = read_lock(root / "dvc.lock")  # once: a stage may end meanwhile
    results, skipped = gather(root, locked)
    runs = find_runs(root, uri)
    shown = [(result, run_of(result, runs.get(result.main.record.dataset, ()))) for result in results]
    lines = [result_line(result, run) for result, run in shown]
    unseen = never_here(root, locked)
    lines += [Line("", "", "", f"left out: {reason}", (stage,)) for stage, reason in skipped if stage not in unseen]
    if unseen:
        lines.append(Line("", "", "", f"left out: {never_here_line(len(unseen))}", ("...",), len(unseen)))
    taken = {run.info.run_id for _, run in shown if run is not None}
    unread = set(locked) - {part_place for result in results for part_place in places(result)}
    for dataset, found in runs.items():
        others = [run for run in found if run.info.run_id not in taken and view.EXPERIMENT not in run.data.tags]
        lines += [leftover_line(dataset, run, unread) for run in others]
    return lines


def trial_overview(root: Path = Path("."), uri: str | None = None) -> list[TrialLine]:
    """The results of DVC's experiments that the workspace has not, by experiment, the best mAP first; then what cannot
    be shown; then runs of experiments whose result DVC has no more, or not yet.

    A comparison has no line: what it says are its rows. Raises DataError as :func:`overview`.
    """
    root = Path(root)
    present = {result.digest() for result in gather(root, read_lock(root / "dvc.lock"))[0]}
    runs = find_runs(root, uri)
    with experiment_results(root, present) as (trials, skipped):
        shown = [(trial, run_of(trial.result, runs.get(trial.result.main.record.dataset, ()))) for trial in trials]
        lines = [trial_line(trial, run) for trial, run in shown if not is_comparison(trial.result)]
    lines.sort(key=lambda line: (line.experiment, line.mAP is None, -(line.mAP or 0), line.name))
    lines += [
        TrialLine(name.removeprefix("experiment "), "", "", None, "", "", f"left out: {why}") for name, why in skipped
    ]
    taken = {run.info.run_id for _, run in shown if run is not None}
    for dataset, found in runs.items():
        for run in found:
            tags = run.data.tags
            if view.EXPERIMENT in tags and run.info.run_id not in taken and tags.get(view.STAGE) != "compare":
                lines.append(leftover_trial_line(dataset, run))
    return lines


def trial_line(trial: Trial, run: "MlflowRun | None") -> TrialLine:
    last = trial.result.evaluation or trial.result.main
    run_id = "" if run is None else run.info.run_id
    name, figure = view.run_name(trial.result.main.record), last.record.summary.get("mAP")
    dataset = trial.result.main.record.dataset
    return TrialLine(trial.experiment.name, dataset, name, figure, trial.changed, run_id, standing(run))


def leftover_trial_line(dataset: str, run: "MlflowRun") -> TrialLine:
    """A run of an experiment without a result that DVC has."""
    tags = run.data.tags
    is_live = tags.get(view.STATE) == "live"
    why = f"live run: {run.info.status.lower()}" if is_live else "DVC has the experiment no more"
    name = run.info.run_name.removesuffix(view.experiment_run_name("", tags[view.EXPERIMENT]))
    figure, changed = run.data.metrics.get("mAP"), tags.get(view.CHANGED, "")
    return TrialLine(tags[view.EXPERIMENT], dataset, name, figure, changed, run.info.run_id, why)


def find_runs(root: Path, uri: str | None) -> dict[str, list["MlflowRun"]]:
    """Our runs by data set. An SQLite file that no publish has made yet holds none, and is not made by looking."""
    address = tracking_uri(root, uri)
    if address.startswith(SQLITE) and not database_path(address).exists():
        return {}
    store = open_store(root, uri)
    store.ping()
    with store.naming_an_outage():
        found = {one.name: store.runs(one.experiment_id, view.OURS) for one in store.experiments()}
    return {dataset: runs for dataset, runs in sorted(found.items()) if runs}


def run_of(result: Result, runs: Sequence["MlflowRun"]) -> "MlflowRun | None":
    return view.first_of_result(runs, result.digest()) or live_run(runs, result.main.record.attempt)


def places(result: Result) -> list[Place]:
    return [(part.locked.stage, part.locked.key) for part in result.parts()]


def result_line(result: Result, run: "MlflowRun | None") -> Line:
    stages = tuple(part.locked.name for part in result.parts())
    record = result.main.record
    run_id = "" if run is None else run.info.run_id
    is_marked = run is not None and view.EXPERIMENT in run.data.tags
    said = "marked as an experiment's: run `auxreid publish`" if is_marked else standing(run)
    return Line(record.dataset, view.run_name(record), run_id, said, stages)


def standing(run: "MlflowRun | None") -> str:
    """Of the run of a present result, or of an experiment's."""
    tags: Mapping[str, str] = {} if run is None else run.data.tags
    state = tags.get(view.STATE)
    if state == "complete" and view.SUPERSEDED not in tags:
        return "published"
    remedy = "run `auxreid publish`"
    if state == "complete":
        return f"marked as superseded: {remedy}"
    return f"{ {None: 'no run', 'live': 'live run only', 'publishing': 'half published'}[state] }: {remedy}"


def leftover_line(dataset: str, run: "MlflowRun", unread: set[Place]) -> Line:
    """A run that shows no result that dvc.lock names, and why it is there."""
    tags = run.data.tags
    place = (tags.get(view.STAGE), tags.get(view.KEY))
    if view.SUPERSEDED in tags:
        reason = f"superseded by {tags[view.SUPERSEDED]}"
    elif tags.get(view.STATE) == "live":
        reason = f"live run: {run.info.status.lower()}"
    elif place in unread:
        reason = NOT_HERE
    elif tags.get(view.STATE) == "publishing":
        reason = "half published, of a former result"
    else:
        reason = "orphan: dvc.lock has no such result"
    return Line(dataset, run.info.run_name, run.info.run_id, reason)


def print_trials(lines: Sequence[TrialLine]) -> None:
    """The experiments' results as a table; nothing where there are none."""
    if lines:
        cells = [
            (line.experiment, line.dataset, line.name, figure(line.mAP), line.changed, line.run_id, line.standing)
            for line in lines
        ]
        print_table(TRIAL_HEADINGS, cells)
        print(f"DVC's experiments: {len({line.experiment for line in lines})}")


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def print_overview(lines: Sequence[Line]) -> None:
    """The results as a table, and how many lack a counterpart."""
    cells = [(line.dataset, line.name, line.run_id, line.standing, ", ".join(line.stages)) for line in lines]
    print_table(HEADINGS, cells)
    without_run = sum(line.results for line in lines if not line.run_id)
    without_result = sum(not line.stages for line in lines)
    print(f"{len(lines)} lines: {without_run} results without a run, {without_result} runs without a result")


def print_table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """At its full width: a run's id cut short is of no use."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "standing", overflow="fold")
    for line in cells:
        table.add_row(*map(escape, line))
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    console.print(table)
