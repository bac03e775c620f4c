"""The results of DVC's experiments: entries of their own dvc.lock, and records that lie in DVC's cache alone.

What a stage of an experiment left is laid out as a workspace has it, by links into the cache, and read as there.
"""

import json
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.dvc.cache import cache_folder, is_cached
from auxreid.plumbing.dvc.experiments import Experiment, changed_params, list_experiments, locked_at
from auxreid.plumbing.dvc.lockfile import LockedStage
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.result import BEFORE_RANKING, Place, Result, before_ranking, gather
from auxreid.plumbing.stage.record import read_record, record_folder

COMPARE = "compare"  # the stage
FOLDER = ".dir"  # how DVC's hash of a folder ends
NO_KEY = "no key of params.yaml"
Skipped = list[tuple[str, str]]  # what is left out, and why
Locked = Mapping[Place, LockedStage]


@dataclass(frozen=True)
class Trial:
    """A result that an experiment has and neither its baseline nor the workspace."""

    experiment: Experiment
    changed: str  # the parameters in which the experiment differs from its baseline
    result: Result
    comparison: Result | None  # of the experiment, on the result's data set; two experiments may have an equal one

    @property
    def name(self) -> str:
        return view.experiment_run_name(view.run_name(self.result.main.record), self.experiment.name)

    @property
    def label(self) -> str:
        return f"{self.result.main.record.dataset}/{self.name}"

    def tags(self) -> dict[str, str]:
        """What marks its run."""
        return {
            view.EXPERIMENT: self.experiment.name,
            view.BASELINE: self.experiment.baseline,
            view.COMMIT: self.experiment.commit,
            view.CHANGED: self.changed[: view.TAG_LIMIT],
        }


@contextmanager
def experiment_results(root: Path, present: Set[str]) -> Iterator[tuple[list[Trial], Skipped]]:
    """The results of all experiments, and why some cannot be shown; their files are there inside the block alone.

    Of a result that several experiments have, it is the oldest's.

    Args:
        present: digests of the workspace's results, which no experiment's are.
    """
    found: dict[str, Trial] = {}
    skipped: Skipped = []
    with TemporaryDirectory() as folder:
        for number, experiment in enumerate(list_experiments(root)):
            try:
                changed = " ".join(changed_params(root, experiment)) or NO_KEY
                results, left_out = own_results(root, experiment, Path(folder) / str(number))
            except DataError as error:
                skipped.append((f"experiment {experiment.name}", str(error)))
                continue
            skipped += [(f"experiment {experiment.name}", reason) for reason in left_out]
            compared = {one.main.record.dataset: one for one in results if one.main.record.stage == COMPARE}
            for result in results:
                if (digest := result.digest()) not in present:
                    comparison = compared.get(result.main.record.dataset)
                    found.setdefault(digest, Trial(experiment, changed, result, comparison))
        yield list(found.values()), skipped


def own_results(root: Path, experiment: Experiment, folder: Path) -> tuple[list[Result], list[str]]:
    """The results that an experiment has made itself, laid out in a folder; and, a line each, why others are not shown.

    Raises:
        DataError: a commit is not here, or its dvc.lock cannot be read.
    """
    locked, before = locked_at(root, experiment.commit), locked_at(root, experiment.baseline)
    own = {place for place, stage in locked.items() if is_new(stage, before.get(place))}
    unranked = {place for place in own if place[0] in BEFORE_RANKING and ("evaluate", place[1]) not in own}
    results, _ = gather(folder, lay_out(cache_folder(root), locked, own - unranked, folder))
    results = [result for result in results if own & last(result)]
    lost = own - unranked - {place for result in results for place in last(result)}
    reasons = [f"{locked[place].name} was not evaluated in it" for place in sorted(unranked)]
    if lost:
        names = ", ".join(sorted(locked[place].name for place in lost))
        reasons.append(f"DVC's cache lacks results of {names}; `dvc exp pull` brings those that were pushed")
    return results, reasons


def last(result: Result) -> set[Place]:
    """The stages that make a result an experiment's own one; its prompts have a result of their own."""
    return {(part.locked.stage, part.locked.key) for part in (result.main, result.evaluation) if part is not None}


def is_new(stage: LockedStage, before: LockedStage | None) -> bool:
    return before is None or before.content != stage.content


def lay_out(cache: Path, locked: Locked, own: Set[Place], folder: Path) -> dict[Place, LockedStage]:
    """Links what these stages left, and the other parts of their results, into a folder as a workspace has them.

    Returns the stages that can be read.
    """
    shown: dict[Place, LockedStage] = {}
    for stage, key in sorted(own):
        before = before_ranking(key, locked) if stage == "evaluate" else None
        places = [(stage, key), *([before] if before is not None else [])]
        with suppress(DataError):  # the cache lacks something
            for place in places:
                link_stage(cache, locked[place], folder)
            if before is not None and (prompts := prompts_of(folder, before)) in locked:
                link_stage(cache, locked[prompts], folder)
                places.append(prompts)
            shown |= {place: locked[place] for place in places}
    return shown


def prompts_of(folder: Path, trained: Place) -> Place:
    return "prompts", read_record(record_folder(folder / "results", *trained)).params.get("prompts_key")


def link_stage(cache: Path, stage: LockedStage, folder: Path) -> None:
    """Links a stage's record and the outputs that it names. Raises DataError if the cache lacks one."""
    record = record_folder(folder / "results", stage.stage, stage.key)
    if record.is_dir():
        return
    link(cache, stage.record_md5, record)
    for name in read_record(record).artifacts:
        path = f"results/{stage.stage}/{stage.key}/{name}"
        if (md5 := stage.written.get(path)) is not None:
            link(cache, md5, folder / path)


def link(cache: Path, md5: str, target: Path) -> None:
    """Links an object of DVC's cache, or all files of one that is a folder. Raises DataError if one is not there."""
    if not is_cached(cache, md5):
        raise DataError(f"{md5} is not in DVC's cache")
    place = (cache / md5[:2] / md5[2:]).resolve()
    if not md5.endswith(FOLDER):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(place)
        return
    for file in json.loads(place.read_bytes()):
        if ".." in (path := PurePosixPath(file["relpath"])).parts or path.is_absolute():
            raise DataError(f"{place}: names a file outside of the folder: {path}")
        link(cache, file["md5"], target / path)
