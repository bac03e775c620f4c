"""Files and models that the study names and that are not there: known before anything runs."""

import os
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from auxreid.clip.model_names import timm_fault
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.near_names import near
from auxreid.plumbing.dvc.lockfile import LOCK_FILE, read_entries
from auxreid.plumbing.graph.borrowed import attribute_datasets, hrnet_datasets, ingested_datasets
from auxreid.plumbing.graph.table import NO_WEIGHTS, local_file
from auxreid.plumbing.settings.config import Config

SAMPLE = Path("data/sample")


@dataclass(frozen=True)
class Missing:
    """Something that is not there, and the stages that read it, by the start of DVC's name for them."""

    text: str
    stages: str

    def is_needed(self, made: Set[str]) -> bool:
        """Whether a stage must run that cannot: there is no result of it in dvc.lock, which might be pulled."""
        return not any(name.startswith(self.stages) for name in made)


def missing_files(config: Config) -> tuple[list[str], list[str]]:
    """(faults, remarks): what a stage without a result lacks, and what is missing for a rerun alone.

    Raises:
        DataError: something is missing, and dvc.lock is broken.
    """
    found = [one for dataset in ingested_datasets(config) for one in _of_data(config, dataset)]
    found += [one for dataset in config.study.datasets for one in _of_recipe(config, dataset)]
    found += [one for dataset in hrnet_datasets(config) for one in _of_hrnet(config, dataset)]
    found += [one for dataset in attribute_datasets(config) for one in _of_classifier(config, dataset)]
    made = read_entries(Path(LOCK_FILE)).keys() if found and Path(LOCK_FILE).is_file() else frozenset()
    faults = [one.text for one in found if one.is_needed(made)]
    remarks = [one.text for one in found if not one.is_needed(made)]
    return list(dict.fromkeys(faults)), list(dict.fromkeys(remarks))


def _of_data(config: Config, dataset: str) -> Iterator[Missing]:
    """A folder that is not there, or of one that is: the files in it that its block names."""
    body, where, stage = config.datasets[dataset], f"datasets.{dataset}", f"ingest@{dataset}"
    folder = Path(body.folder)
    if not folder.is_dir():
        if SAMPLE not in folder.parents:  # which `auxreid sample` renders
            what = "is no folder" if folder.exists() else f"no such folder{_near(folder)}"
            text = f"{where}.folder: {folder}: {what}; without it, ingest@{dataset} and what follows cannot run"
            yield Missing(text, stage)
        return
    given = {"attributes": body.attribute_table, "splits": body.splits}
    if body.keypoints is not None:
        given |= {"keypoints.file": body.keypoints.file, "keypoints.images": body.keypoints.images}
    for key, name in given.items():
        if name is not None and not (folder / name).exists():
            yield Missing(f"{where}.{key}: {folder / name}: no such file{_near(folder / name)}", stage)


def _of_recipe(config: Config, dataset: str) -> Iterator[Missing]:
    """Weights and models that the stages of a data set name."""
    recipe, where = config.recipe(dataset), f"recipes.{config.datasets[dataset].recipe}"
    if recipe.has_chain and config.datasets[dataset].trained_on is None:
        for fault in _of_encoder(recipe.encoder):
            yield Missing(f"{where}.encoder.{fault}", f"pretrain@{dataset}-")
    if recipe.metric is not None and config.metric_names and recipe.metric.features.backbone.kind == "timm":
        backbone, stage = recipe.metric.features.backbone, f"metric_features@{dataset}-"
        yield from _one(f"{where}.metric.features.backbone.name", backbone.name, timm_fault, stage)
        yield from _one(f"{where}.metric.features.backbone.weights", backbone.weights, file_fault, stage)
    if dataset in config.study.search:
        yield from _one(f"{where}.search.feedback", recipe.search.feedback, file_fault, f"search@{dataset}")


def _of_hrnet(config: Config, dataset: str) -> Iterator[Missing]:
    key, stage = f"recipes.{config.datasets[dataset].recipe}.pose", f"pose@{dataset}"
    pose = config.recipe(dataset).pose
    yield from _one(f"{key}.checkpoint", pose.checkpoint, _pose_fault, stage)
    yield from _one(f"{key}.joints", pose.joints, _joints_fault, stage)


def _of_classifier(config: Config, dataset: str) -> Iterator[Missing]:
    key, stage = f"recipes.{config.datasets[dataset].recipe}.attributes", f"attributes@{dataset}"
    settings = config.recipe(dataset).attributes
    yield from _one(f"{key}.backbone", settings.backbone, timm_fault, stage)
    yield from _one(f"{key}.weights", settings.weights, _attribute_weights_fault, stage)


def _one(key: str, value: str | None, fault_of: Callable[[str], str | None], stages: str) -> Iterator[Missing]:
    if value is not None and (fault := fault_of(value)) is not None:
        yield Missing(f"{key} = {value!r}: {fault}", stages)


def _of_encoder(encoder) -> Iterator[str]:
    """Faults that begin with the key below `encoder`."""
    if encoder.kind == "open_clip":
        is_tag = local_file(encoder.pretrained) == NO_WEIGHTS
        if not is_tag and (fault := file_fault(encoder.pretrained)) is not None:
            yield f"pretrained = {encoder.pretrained!r}: {fault}"
        else:
            yield from _of_open_clip(encoder)
    if encoder.kind == "timm":
        if (fault := timm_fault(encoder.name)) is not None:
            yield f"name = {encoder.name!r}: {fault}"
        if encoder.checkpoint is not None and (fault := file_fault(encoder.checkpoint)) is not None:
            yield f"checkpoint = {encoder.checkpoint!r}: {fault}"


def _of_open_clip(encoder) -> Iterator[str]:
    """An unknown model or tag, and a file that cannot be read or does not tell its activation."""
    from auxreid.clip.activation import settled  # torch, and seconds

    try:
        settled(encoder)
    except ConfigError as error:
        yield str(error).removeprefix("encoder.")


def file_fault(path: str) -> str | None:
    """Why a path is no file; None where it is one."""
    if Path(path).is_file():
        return None
    return "is no file" if Path(path).exists() else f"no such file{_near(Path(path))}"


def _pose_fault(checkpoint: str) -> str | None:
    from auxreid.pose.checkpoint import PUBLISHED

    if checkpoint == "fit" or checkpoint in PUBLISHED or (fault := file_fault(checkpoint)) is None:
        return None
    return f"{fault}; allowed: fit, {', '.join(PUBLISHED)}, or a file"


def _joints_fault(name: str) -> str | None:
    from auxreid.pose.checkpoint import descriptions

    return None if name in descriptions() else f"none that mmpose describes{near(name, list(descriptions()))}"


def _attribute_weights_fault(weights: str) -> str | None:
    if weights == "timm" or (fault := file_fault(weights)) is None:
        return None
    return f"{fault}; allowed: null, timm, or a safetensors file"


def _near(path: Path) -> str:
    """What lies where the path leaves the existing folders and is called like its next part."""
    there = next(parent for parent in path.absolute().parents if parent.is_dir())
    wanted = path.absolute().relative_to(there).parts[0]
    try:
        return near(wanted, os.listdir(there))
    except PermissionError:
        return ""
