"""Which MLflow run shows which result of dvc.lock, which results have none, and which runs show no present result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auxreid.plumbing.dvc.lockfile import read_lock
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.publish import live_run
from auxreid.plumbing.mirror.result import Place, Result, gather, never_here, never_here_line
from auxreid.plumbing.mirror.store import SQLITE, database_path, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

HEADINGS = ("data set", "run", "MLflow run", "standing", "stages in dvc.lock")
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


def overview(root: Path = Path("."), uri: str | None = None) -> list[Line]:
    """Results first, as dvc.lock has them, then those that cannot be shown, then runs without a result.

    Raises DataError if dvc.lock cannot be read, or MLflow does not answer.
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
        lines += [leftover_line(dataset, run, unread) for run in found if run.info.run_id not in taken]
    return lines


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
    return Line(record.dataset, view.run_name(record), run_id, standing(run), stages)


def standing(run: "MlflowRun | None") -> str:
    """Of the run of a present result."""
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


def print_overview(lines: Sequence[Line]) -> None:
    """As a table at its full width: a run's id cut short is of no use."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading != HEADINGS[-2], overflow="fold")
    for line in lines:
        table.add_row(*map(escape, (line.dataset, line.name, line.run_id, line.standing, ", ".join(line.stages))))
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    console.print(table)
    without_run = sum(line.results for line in lines if not line.run_id)
    without_result = sum(not line.stages for line in lines)
    print(f"{len(lines)} lines: {without_run} results without a run, {without_result} runs without a result")
