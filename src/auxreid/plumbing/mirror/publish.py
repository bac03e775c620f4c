"""publish: makes MLflow show the results that dvc.lock names, and beside them those of DVC's experiments. It may be
repeated, and killed, at any time.

A run carries the digest of its result and a state: "publishing" from its first moment on, "complete" as the last thing
that is written. Hence a run that was left half done is recognised, and completed, by the next publish.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.dvc.lockfile import read_lock
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.experiment_results import Trial, experiment_results
from auxreid.plumbing.mirror.home import plain_path
from auxreid.plumbing.mirror.models import Models, ensure_models, plain_files
from auxreid.plumbing.mirror.registry import register_best, register_metric, register_single
from auxreid.plumbing.mirror.result import AGAIN, Content, Result, gather, naming_changes, never_here, never_here_line
from auxreid.plumbing.mirror.rows import publish_rows, publish_trial_rows, retire_metric_rows
from auxreid.plumbing.mirror.shared_views import ensure_views
from auxreid.plumbing.mirror.store import SQLITE, Store, naming_refusals, open_store, tracking_uri
from auxreid.plumbing.settings.study import RegistryConfig

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

Published = list[tuple[Result, "MlflowRun"]]
OUTCOMES = ("created", "adopted", "completed", "restored", "refilled", "unchanged", "superseded")


@dataclass
class PublishReport:
    """What a publish did, by run as "<data set>/<run name>". skipped has stages and the reasons."""

    uri: str
    created: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)  # live runs that became complete
    completed: list[str] = field(default_factory=list)  # left half done by a publish that was killed
    restored: list[str] = field(default_factory=list)  # superseded once, now the present result again
    refilled: list[str] = field(default_factory=list)  # complete, but somebody removed artifacts
    unchanged: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)  # runs whose place was taken, never deleted
    skipped: list[tuple[str, str]] = field(default_factory=list)
    skipped_trials: list[tuple[str, str]] = field(default_factory=list)  # experiments and their results, and why
    modelled: list[str] = field(default_factory=list)  # runs whose MLflow model was made or mended
    never_here: set[str] = field(default_factory=set)  # of these stages, those whose record nobody has brought
    registered: list[str] = field(default_factory=list)  # per data set: the encoder that is the registered one, and why


def publish(root: Path = Path("."), uri: str | None = None, registry: RegistryConfig | None = None) -> PublishReport:
    """Mirrors every finished record that dvc.lock names and the workspace holds into MLflow, one publish at a time.

    uri says where MLflow is; without it MLFLOW_TRACKING_URI does; without that it is root/mlruns/mlflow.db. registry
    is the rule by which encoders are registered; without it none is. Raises DataError if MLflow does not answer.
    """
    root = Path(root)
    with only_publisher(root):
        locked = read_lock(root / "dvc.lock")
        results, skipped = gather(root, locked)
        report = PublishReport(tracking_uri(root, uri), skipped=skipped, never_here=never_here(root, locked))
        with experiment_results(root, {result.digest() for result in results}) as (trials, left_out):
            report.skipped_trials += left_out
            if not results and not trials:
                return report
            store = open_store(root, uri)
            with store.naming_an_outage():
                for dataset in sorted({one.main.record.dataset for one in [*results, *(t.result for t in trials)]}):
                    present = [result for result in results if result.main.record.dataset == dataset]
                    published, models = publish_dataset(store, dataset, present, report)
                    if registry is not None:
                        lines = register_best(store, registry, dataset, published, skipped, models.of_run)
                        lines += register_single(store, registry, dataset, published, models.of_run)
                        lines += register_metric(store, registry, dataset, published, skipped, models.of_run)
                        report.registered += lines
                    tried = [trial for trial in trials if trial.result.main.record.dataset == dataset]
                    publish_trials(store, dataset, tried, report)
    return report


@contextmanager
def only_publisher(root: Path) -> Iterator[None]:
    """Waits for its turn. The lock is the operating system's, so that it is free again if its owner is killed."""
    path = root / "mlruns" / ".publish.lock"
    lock = FileLock(path)
    with naming_refusals():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{path}: another publish is running; waiting for it", flush=True)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def publish_dataset(
    store: Store, dataset: str, results: Sequence[Result], report: PublishReport
) -> tuple[Published, Models]:
    """Makes the runs, marks those whose place they took, makes the models. Returns the results with their runs.

    A result that a stage or DVC rewrites meanwhile is left out; what MLflow has of it is completed another time.
    """
    experiment = store.experiment(dataset)
    runs, shown = store.runs(experiment), []
    for result in results:
        try:
            outcome = ensure_run(store, experiment, runs, result)
        except DataError as error:
            report.skipped.append((result.name, str(error)))
            continue
        getattr(report, outcome).append(result.label)
        shown.append(result)
    runs = store.runs(experiment)  # again: another machine may have published to the same server meanwhile
    published = [(result, view.first_of_result(runs, result.digest())) for result in shown]
    for result, run in published:
        report.superseded += supersede(store, runs, result, run.info.run_id)
    report.superseded += retire_metric_rows(store, runs, published)
    models = ensure_models(store, experiment, published)
    report.modelled += models.filled
    report.skipped += models.skipped
    done, left_out = publish_rows(store, experiment, published)
    for outcome, labels in done.items():
        getattr(report, outcome).extend(labels)
    report.skipped += left_out
    return published, models


def publish_trials(store: Store, dataset: str, trials: Sequence[Trial], report: PublishReport) -> None:
    """Makes the runs of experiments' results, which take nobody's place, and the views of all that is there then."""
    experiment = store.experiment(dataset)
    runs, shown = store.runs(experiment), []
    for trial in trials:
        try:
            outcome = ensure_run(store, experiment, runs, trial.result, trial.name, trial.tags())
        except DataError as error:
            report.skipped_trials.append((trial.label, str(error)))
            continue
        getattr(report, outcome).append(trial.label)
        shown.append(trial)
    if shown:
        runs = store.runs(experiment)
        found = [(trial, view.first_of_result(runs, trial.result.digest())) for trial in shown]
        done, left_out = publish_trial_rows(store, experiment, found)
        for outcome, labels in done.items():
            getattr(report, outcome).extend(labels)
        report.skipped_trials += left_out
    ensure_views(store, experiment, store.runs(experiment, view.CURRENT))


def ensure_run(
    store: Store,
    experiment: str,
    runs: Sequence["MlflowRun"],
    result: Result,
    name: str | None = None,
    marks: Mapping[str, str] | None = None,
) -> str:
    """Sees to it that a result has a complete run; returns what had to be done. Raises DataError if it changes.

    name and marks are those of an experiment's result; a present one has the name of its record, and no marks.
    """
    digest, name, marks = result.digest(), name or view.run_name(result.main.record), marks or {}
    run = view.first_of_result(runs, digest)
    if run is not None:
        marked = put_marks(store, run, name, marks)
    if run is not None and run.data.tags.get(view.STATE) == "complete":
        restored = store.delete_tag(run, view.SUPERSEDED) or marked
        if not lost(store, run, result):
            return "restored" if restored else "unchanged"
        fill(store, run, result, result.content())
        return "refilled"
    content, outcome = result.content(), "completed"
    if run is None:
        outcome = "adopted"
        run = live_run(runs, result.main.record.attempt)
        if run is not None:
            put_marks(store, run, name, marks)
    tags = {**view.tags(result.main.record), **marks, view.RESULT: digest, view.STATE: "publishing"}
    if run is None:
        outcome, started = "created", result.main.record.started
        run = store.client.create_run(experiment, start_time=started, tags=tags, run_name=name)
    else:
        store.set_tags(run.info.run_id, tags)
        store.delete_tag(run, view.SUPERSEDED)
    fill(store, run, result, content)
    return outcome


def put_marks(store: Store, run: "MlflowRun", name: str, marks: Mapping[str, str]) -> bool:
    """Gives a run the marks of an experiment, or takes them away if there are none; tells whether it had to."""
    wrong = {tag: text for tag, text in marks.items() if run.data.tags.get(tag) != text}
    gone = [tag for tag in view.MARKS if tag in run.data.tags and tag not in marks]
    if run.info.run_name != name and (marks or gone):  # first: what is left half done is seen by the tags
        store.client.update_run(run.info.run_id, name=name)
    if wrong:
        store.set_tags(run.info.run_id, wrong)
    for tag in gone:
        store.delete_tag(run, tag)
    return bool(wrong or gone)


def live_run(runs: Sequence["MlflowRun"], attempt: str) -> "MlflowRun | None":
    """The run that followed an execution of a stage while it ran, if no publish has touched it."""
    found = (run for run in runs if run.data.tags.get(view.ATTEMPT) == attempt)
    return next((run for run in found if run.data.tags.get(view.STATE) == "live"), None)


def fill(store: Store, run: "MlflowRun", result: Result, content: Content) -> None:
    """Everything that a run shows. Each step can be repeated: it adds what is missing and nothing twice.

    Files are sent one after the other, for as long as that takes: whether they are those of the result is looked at
    again before the run is called complete.
    """
    run_id = run.info.run_id
    params, cut = view.param_texts(content.params)
    store.log_params(run_id, {name: text for name, text in params.items() if name not in run.data.params})
    store.log_points(run_id, content.points)
    store.log_inputs(run_id, content.inputs)
    for path, folder in plain_files(result, content.files):
        send(store, run_id, path, folder)
    result.check()
    remarks = {view.CUT_PARAMS: cut, view.MISSING_POINTS: content.missing}
    store.set_tags(run_id, {tag: view.listing(names) for tag, names in remarks.items() if names})
    store.client.set_terminated(run_id, "FINISHED", end_time=result.main.record.finished)
    store.set_tags(run_id, {view.STATE: "complete"})


def lost(store: Store, run: "MlflowRun", result: Result) -> bool:
    """Whether artifacts of a run are gone or cut short in the folder beside an SQLite file. A server has its own."""
    folder = plain_path(run.info.artifact_uri) if store.uri.startswith(SQLITE) else ""
    if not folder:
        return False
    with naming_changes(result.main.folder.parent):
        there = {path: Path(folder) / place / path.name for path, place in plain_files(result, result.files())}
        return any(not copy.is_file() or copy.stat().st_size != path.stat().st_size for path, copy in there.items())


def send(store: Store, run_id: str, path: Path, folder: str) -> None:
    """A file as an artifact. Raises DataError if it vanishes; what goes wrong with MLflow is as it is."""
    try:
        store.client.log_artifact(run_id, str(path), folder)
    except OSError:
        if path.is_file():
            raise
        raise DataError(f"{path} was removed while it was sent to MLflow; {AGAIN}") from None


def supersede(store: Store, runs: Sequence["MlflowRun"], result: Result, run_id: str) -> list[str]:
    """Marks the runs of former results in the same place, so that views can hide them.

    A live run is left alone, for it may be running or tell of a failure; unless it was started before the present
    result, or is of the very attempt that the complete run shows, as when a forced rerun gave the same result.
    """
    record = result.main.record
    marked = []
    for run in runs:
        tags = run.data.tags
        same_place = (tags.get(view.STAGE), tags.get(view.KEY)) == (record.stage, record.key)
        same_place &= view.EXPERIMENT not in tags  # which never had the place
        over = view.RESULT in tags or tags.get(view.ATTEMPT) == record.attempt or run.info.start_time < record.started
        if same_place and over and run.info.run_id != run_id and tags.get(view.SUPERSEDED) != run_id:
            store.set_tags(run.info.run_id, {view.SUPERSEDED: run_id})
            marked.append(f"{result.label} {run.info.run_id}")
    return marked


def format_report(report: PublishReport) -> str:
    """The report for a terminal: counts, what changed by name, and what was left out and why."""
    counts = ", ".join(f"{len(getattr(report, outcome))} {outcome}" for outcome in OUTCOMES)
    lines = [f"MLflow at {report.uri}: {counts}"]
    for outcome in OUTCOMES:
        if outcome != "unchanged":
            lines += [f"  {outcome}: {label}" for label in getattr(report, outcome)]
    if report.modelled:
        lines.append(f"  models made or mended: {', '.join(report.modelled)}")
    lines += [f"  left out: {stage}: {reason}" for stage, reason in report.skipped if stage not in report.never_here]
    lines += [f"  left out: {name}: {reason}" for name, reason in report.skipped_trials]
    if report.never_here:
        lines.append(f"  left out: {never_here_line(len(report.never_here))}")
    lines += [f"  registry: {line}" for line in report.registered]
    return "\n".join(lines)
