"""Whether the study can be run on its data sets as they were ingested.

This is told and nothing is made of it, so that it may read all of params.yaml and no hash need hold it.
"""

from collections.abc import Iterator
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.applicability import applicable_rows, baselines, captions_of
from auxreid.plumbing.graph.table import split_of
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.rows import AblationConfig

TRAINING = ("pretrain", "prompts", "finetune")  # stages of the chain that this stops
INGESTED = "results/ingest/{}/frames.arrow"
IMPORTED = "results/pose/{}/hrnet.safetensors"


def feasibility_faults(config: Config) -> list[str]:
    """A line for everything that the data sets of the study make impossible, as they were ingested last."""
    faults = [fault for dataset in config.study.datasets for fault in dataset_faults(config, dataset)]
    return [*faults, "if the data were changed since: `dvc repro ingest`"] if faults else []


def tell_of_ingest(config: Config, ingested: str) -> None:
    """Print what a data set that was just ingested makes impossible, also where only its captions are used."""
    users = [one for one in config.study.datasets if ingested in (one, captions_of(config, one))]
    for dataset in users:
        for fault in dataset_faults(config, dataset):
            print(f"  note: cannot be trained: {fault}", flush=True)


def stop_if_infeasible(config: Config, dataset: str) -> None:
    """Raises DataError that names every fault of a data set."""
    faults = dataset_faults(config, dataset)
    if faults:
        raise DataError("\n".join(faults))


def dataset_faults(config: Config, dataset: str) -> list[str]:
    """The faults of one data set in the splits of the study; none where it is not ingested or trains no chain."""
    path = Path(INGESTED.format(dataset))
    if not config.recipe(dataset).has_chain or not path.is_file():
        return []
    return list(dict.fromkeys(_faults(config, dataset, path)))


def _faults(config: Config, dataset: str, path: Path) -> Iterator[str]:
    from auxreid.clipreid.feasibility import Study, study_faults
    from auxreid.data.frames import open_frames

    recipe, name, source = config.recipe(dataset), config.datasets[dataset].recipe, captions_of(config, dataset)
    others = Path(INGESTED.format(source))
    rows = {row: config.ablations[row] for row in applicable_rows(config, dataset)}
    joints = _given_joints(config, dataset) if any(map(_measures_the_body, rows.values())) else ()
    seeds = {seed for row in (*baselines(config, dataset), *rows) for seed in config.seeds(row)}
    for split in sorted({split_of(config, dataset, seed) for seed in seeds}):
        frames, captioned = open_frames(path, split), None
        if source == dataset:
            captioned = frames.where("train")
        elif source is not None and others.is_file():
            captioned = open_frames(others).where("train")
        yield from study_faults(frames, Study(name, recipe, rows, captioned, joints))


def _measures_the_body(row: AblationConfig) -> bool:
    return row.pose is not None and row.pose.coordinates is not None


def _given_joints(config: Config, dataset: str) -> tuple[str, ...]:
    """The joints of the HRNet that was imported as the recipe has it now; none where it was fitted, or not yet."""
    from auxreid.pose.checkpoint import read_spec

    pose, path = config.recipe(dataset).pose, Path(IMPORTED.format(dataset))
    if pose is None or pose.checkpoint == "fit" or not path.is_file():
        return ()
    spec = read_spec(path)
    return spec.joints if spec.source == pose.checkpoint else ()
