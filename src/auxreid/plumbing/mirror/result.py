"""From records to results: which records together are one MLflow run, and what that run contains."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.dvc.cache import cache_folder, is_cached
from auxreid.plumbing.dvc.lockfile import LockedStage, digest, file_md5, folder_md5, read_lock
from auxreid.plumbing.mirror import view
from auxreid.plumbing.stage.record import (
    Point,
    Record,
    figure_paths,
    read_history,
    read_record,
    read_system_metrics,
    record_folder,
)

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

Place = tuple[str, str]  # stage, key
AGAIN = "publish again when the stage has ended"
BEFORE_RANKING = {"finetune": "stage2_final/", "descriptors": "descriptors_final/"}  # stages, prefixes of their figures


@dataclass(frozen=True)
class Part:
    """A stage's record, known to be the one that dvc.lock names."""

    locked: LockedStage
    record: Record
    folder: Path

    def files(self) -> list[tuple[Path, str]]:
        """Artifacts and figures, each with the folder of the artifact store to which it belongs."""
        artifacts = [
            (self.folder.parent / name, view.artifact_folder(PurePosixPath(name))) for name in self.record.artifacts
        ]
        figures = [
            (self.folder / "figures" / path, view.figure_folder(PurePosixPath(path)))
            for path in figure_paths(self.folder)
        ]
        return artifacts + figures

    def check(self) -> None:
        """Makes sure that nobody has changed it since. Raises DataError otherwise: a stage or DVC is writing there."""
        with naming_changes(self.folder):
            changed = [self.folder] if folder_md5(self.folder) != self.locked.record_md5 else []
            for name in self.record.artifacts:
                md5 = self.locked.written.get(f"results/{self.locked.stage}/{self.locked.key}/{name}")
                if md5 is not None and file_md5(self.folder.parent / name) != md5:
                    changed.append(self.folder.parent / name)
        if changed:
            raise DataError(f"{changed[0]} is not what dvc.lock names any more; {AGAIN}")


@contextmanager
def naming_changes(folder: Path) -> Iterator[None]:
    """Turns the error of a file that vanishes while a folder is read into one that says so."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{folder} changes while it is read ({error.strerror}: {error.filename}); {AGAIN}") from None


@dataclass(frozen=True)
class Input:
    """A file or folder of data, DVC's MD5 of it, and the stages that read it."""

    path: str
    md5: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What becomes one run. A row of the comparison that is no baseline has an evaluation, one that is trained mostly
    prompts; others, main."""

    main: Part  # gives name, times and attempt
    evaluation: Part | None = None
    prompts: Part | None = None

    @property
    def label(self) -> str:
        return f"{self.main.record.dataset}/{view.run_name(self.main.record)}"

    @property
    def name(self) -> str:
        """DVC's name of its last stage."""
        return (self.evaluation or self.main).locked.name

    def parts(self) -> list[Part]:
        return [part for part in (self.main, self.evaluation, self.prompts) if part is not None]

    def digest(self) -> str:
        return digest(part.locked for part in self.parts())

    def params(self) -> dict[str, object]:
        evaluation = self.evaluation.record.params if self.evaluation else {}
        return {**evaluation, **self.main.record.params}

    def points(self) -> tuple[list[Point], list[str]]:
        """Curves and final metrics under MLflow's names; and, for the reader, which points are missing among them."""
        points: list[Point] = []
        missing = []
        for part in self.parts():
            kept, dropped = view.curve(part.record.stage, read_history(part.folder))
            points += kept
            if dropped:
                missing.append(f"{part.record.stage} {dropped} nan or inf")
        points += read_system_metrics(self.main.folder)  # of one stage: three loads under one name would be no curve
        points += final_points((self.evaluation or self.main).record)
        if self.evaluation is not None:
            points += final_points(self.main.record, BEFORE_RANKING[self.main.record.stage])
        return points, missing

    def inputs(self) -> list[Input]:
        """The data that the result was made from, each with the stages that read it; not what its own parts wrote."""
        written = {path for part in self.parts() for path in part.locked.written}
        found: dict[tuple[str, str], list[str]] = {}
        for part in self.parts():
            for path, md5 in part.locked.data.items():
                if path not in written:
                    found.setdefault((path, md5), []).append(part.record.stage)
        return [Input(path, md5, tuple(stages)) for (path, md5), stages in found.items()]

    def files(self) -> list[tuple[Path, str]]:
        """Files to show and their folders. The prompts' own are left to the run of that stage."""
        return [entry for part in (self.evaluation, self.main) if part is not None for entry in part.files()]

    def check(self) -> None:
        """Raises DataError if what is shown of it was changed since it was gathered."""
        for part in self.parts():
            part.check()

    def content(self) -> "Content":
        """All that a run shows, read as a whole. Raises DataError if somebody is writing there."""
        with naming_changes(self.main.folder.parent):
            points, missing = self.points()
            content = Content(self.params(), points, missing, self.inputs(), self.files())
        self.check()
        return content


@dataclass(frozen=True)
class Content:
    """See the methods of Result that bear these names."""

    params: dict[str, object]
    points: list[Point]
    missing: list[str]
    inputs: list[Input]
    files: list[tuple[Path, str]]


def final_points(record: Record, prefix: str = "") -> list[Point]:
    """What a stage ends with, and behind it what that took, as `cost/...`."""
    values = record.summary | {f"cost/{name}": value for name, value in record.costs.items()}
    return [Point(f"{prefix}{name}", 0, value, record.finished) for name, value in values.items()]


def gather(root: Path, locked: Mapping[Place, LockedStage] | None = None) -> tuple[list[Result], list[tuple[str, str]]]:
    """All results that can be shown; and, by stage, why others cannot. locked is what dvc.lock says, if it was read.

    Raises DataError if dvc.lock is missing or cannot be read.
    """
    if locked is None:
        locked = read_lock(root / "dvc.lock")
    loaded: dict[Place, Part] = {}

    def load(place: Place) -> Part:
        if place not in loaded:
            with naming_changes(record_folder(root / "results", *place)):
                loaded[place] = load_part(root, locked, place)
        return loaded[place]

    results, skipped = [], []
    for place, stage in locked.items():
        try:
            result = assemble(place, locked, load)
        except DataError as error:
            skipped.append((stage.name, str(error)))
            continue
        if result is not None:
            results.append(result)
    return results, skipped + unlocked(root, locked)


def never_here(root: Path, locked: Mapping[Place, LockedStage]) -> set[str]:
    """The stages of dvc.lock whose record is neither in the workspace nor in DVC's cache: a clone's, before a pull."""
    absent = [stage for place, stage in locked.items() if not record_folder(root / "results", *place).is_dir()]
    if not absent or not (root / ".dvc").is_dir():
        return set()
    folder = cache_folder(root)
    return {stage.name for stage in absent if not is_cached(folder, stage.record_md5)}


def never_here_line(count: int) -> str:
    return f"{count} results of dvc.lock were never here; `dvc pull` brings those that were pushed"


def load_part(root: Path, locked: Mapping[Place, LockedStage], place: Place) -> Part:
    """Reads a record and makes sure that it, its folder and its artifacts are what dvc.lock speaks of."""
    stage, key = place
    if place not in locked:
        raise DataError(f"{stage} {key} is not in dvc.lock; run `dvc repro`")
    folder, name = record_folder(root / "results", stage, key), locked[place].name
    bring = f"run `dvc pull {name}` or `dvc checkout {name}`"  # without a target, both also delete what is left over
    if not folder.is_dir():
        raise DataError(f"{folder} is not here; {bring}")
    if folder_md5(folder) != locked[place].record_md5:
        if says_running(folder):
            raise DataError(f"{folder}: the stage is running, or was killed; {AGAIN}")
        raise DataError(f"{folder} is not the record that dvc.lock names; run `dvc repro` or `dvc checkout {name}`")
    record = read_record(folder)
    if record.status != "finished":
        raise DataError(f"{folder}: its status is {record.status!r}")
    missing = [name for name in record.artifacts if not (folder.parent / name).is_file()]
    if missing:
        raise DataError(f"{folder.parent}: {', '.join(missing)} is not here; {bring}")
    return Part(locked[place], record, folder)


def says_running(folder: Path) -> bool:
    try:
        return read_record(folder).status == "running"
    except DataError:
        return False


def assemble(place: Place, locked: Mapping[Place, LockedStage], load: Callable[[Place], Part]) -> Result | None:
    """The result whose last stage this is, or None where it is a part of another stage's result."""
    stage, key = place
    if stage in BEFORE_RANKING:
        if ("evaluate", key) not in locked:
            raise DataError(f"evaluate {key} is not in dvc.lock yet")
        return None
    if stage == "evaluate" and (before := before_ranking(key, locked)) is not None:
        main = load(before)
        prompts_key = main.record.params.get("prompts_key")
        return Result(main, load(place), load(("prompts", prompts_key)) if prompts_key else None)
    return Result(load(place))


def before_ranking(key: str, locked: Mapping[Place, LockedStage]) -> Place | None:
    """The stage that makes what a row is ranked by; None for a baseline's."""
    return next((place for stage in BEFORE_RANKING if (place := (stage, key)) in locked), None)


def unlocked(root: Path, locked: Mapping[Place, LockedStage]) -> list[tuple[str, str]]:
    results = root / "results"
    places = [(stage, key) for stage in names_in(results) for key in names_in(results / stage)]
    places = [place for place in places if record_folder(results, *place).is_dir()]
    reason = "has a record but is not in dvc.lock: it is running, has failed or was started by hand"
    return [(f"{stage} {key}", reason) for stage, key in places if (stage, key) not in locked]


def names_in(folder: Path) -> list[str]:
    """Sorted; none of a folder that is not there any more."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def metric_table(published: Iterable[tuple[Result, "MlflowRun"]]) -> tuple[Result, "MlflowRun"] | None:
    """The table of a data set's metric rows, with its run; None where none is among the published results."""
    return next(((result, run) for result, run in published if result.main.record.stage == view.METRIC_TABLE), None)
