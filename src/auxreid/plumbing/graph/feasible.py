"""Whether the study can be run on its data sets as they were ingested.

This is told and nothing is made of it, so that it may read all of params.yaml and no hash need hold it.
"""

from collections.abc import Iterator
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.applicability import applicable_rows, baselines, captions_of, makes_keypoints
from auxreid.plumbing.graph.borrowed import hrnet_of
from auxreid.plumbing.graph.table import split_of
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.rows import AblationConfig

TRAINING = ("pretrain", "pretrain_branch", "prompts", "finetune")  # stages of the chain that this stops
INGESTED = "results/ingest/{}/frames.arrow"
IMPORTED = "results/pose/{}/hrnet.safetensors"


def feasibility_faults(config: Config) -> list[str]:
    """A line for everything that the data sets of the study make impossible, as they were ingested last."""
    faults = [fault for dataset in config.study.datasets for fault in dataset_faults(config, dataset)]
    return [*faults, "if the data were changed since: `dvc repro ingest`"] if faults else []


def tell_of_ingest(config: Config, ingested: str) -> None:
    """Print what a data set that was just ingested makes impossible, also where only a part of it is used."""
    users = [one for one in config.study.datasets if ingested in _read_for(config, one)]
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


def _read_for(config: Config, dataset: str) -> set[str | None]:
    """The data sets that the rows of one follow from: itself, that of its captions, and those whose models label it."""
    source = captions_of(config, dataset)
    labelled = (dataset, source) if source is not None else (dataset,)
    return {dataset, source, hrnet_of(config, dataset), *(config.datasets[one].attributes_by for one in labelled)}


def _faults(config: Config, dataset: str, path: Path) -> Iterator[str]:
    from auxreid.clipreid.feasibility import Study, study_faults
    from auxreid.data.frames import open_frames

    yield from _lender_faults(config, dataset)
    if config.datasets[dataset].trained_on is not None:
        yield from _testing_faults(config, dataset, path)
        return
    recipe, name, source = config.recipe(dataset), config.datasets[dataset].recipe, captions_of(config, dataset)
    others, labelled = Path(INGESTED.format(source)), source is not None and _is_labelled(config, source)
    trained = (row for row in applicable_rows(config, dataset) if config.ablations[row].rank is None)
    rows = {row: config.ablations[row] for row in trained}
    joints = _joints(config, dataset) if any(map(_measures_the_body, rows.values())) else ()
    seeds = {seed for row in (*baselines(config, dataset), *rows) for seed in config.seeds(row)}
    for split in sorted({split_of(config, dataset, seed) for seed in seeds}):
        frames, captioned = open_frames(path, split), None
        if source == dataset:
            captioned = frames.where("train")
        elif source is not None and others.is_file():
            captioned = open_frames(others).where("train")
        yield from study_faults(frames, Study(name, recipe, rows, captioned, joints, labelled))


def _testing_faults(config: Config, dataset: str, path: Path) -> Iterator[str]:
    """Of a data set on which nothing is trained."""
    from auxreid.clipreid.feasibility import ranking_faults
    from auxreid.data.frames import open_frames

    rows = (*baselines(config, dataset), *applicable_rows(config, dataset))
    for split in sorted({split_of(config, dataset, seed) for row in rows for seed in config.seeds(row)}):
        yield from (f"{dataset}: {fault}" for fault in ranking_faults(open_frames(path, split)))


def _is_labelled(config: Config, dataset: str) -> bool:
    return config.datasets[dataset].attributes_by is not None


def _measures_the_body(row: AblationConfig) -> bool:
    return row.pose is not None and row.pose.coordinates is not None


def _joints(config: Config, dataset: str) -> tuple[str, ...]:
    """The joints of the data set's HRNet, its own or another data set's; none where they are not known yet.

    One that is fitted has those of the images that were ingested, a given one its own, once it was imported.
    """
    from auxreid.data.frames import open_frames
    from auxreid.pose.checkpoint import read_spec

    lender = hrnet_of(config, dataset)
    pose = config.recipe(lender).pose
    ingested, imported = Path(INGESTED.format(lender)), Path(IMPORTED.format(lender))
    if pose is None:
        return ()
    if pose.checkpoint == "fit":
        return tuple(open_frames(ingested).meta.joints) if ingested.is_file() else ()
    spec = read_spec(imported) if imported.is_file() else None
    return spec.joints if spec is not None and spec.source == pose.checkpoint else ()


def _lender_faults(config: Config, dataset: str) -> Iterator[str]:
    """Of data sets whose models are to label this one: that they have nothing to train these on."""
    from auxreid.data.frames import open_frames

    body, source = config.datasets[dataset], captions_of(config, dataset)
    for one in dict.fromkeys((dataset, source or dataset)):
        by = config.datasets[one].attributes_by
        path = Path(INGESTED.format(by))
        if by is not None and path.is_file() and not open_frames(path).meta.attributes:
            yield f"datasets.{one}.attributes.predicted_by = {by!r}: none of its images has an attribute"
    by = body.keypoints_by
    path = Path(INGESTED.format(by))
    if by is not None and makes_keypoints(config, dataset) and path.is_file():
        fits = config.recipe(by).pose.checkpoint == "fit"
        if fits and not open_frames(path).meta.joints:
            yield f"datasets.{dataset}.keypoints.predicted_by = {by!r}: none of its images has keypoints"
