"""What a study takes from data sets for others: captions, and attributes and keypoints that their models predict.

A data set of which only that is used need not be in the study: it is ingested, its model is trained, and no more.
"""

from collections.abc import Iterator
from pathlib import Path

from auxreid.plumbing.graph.applicability import (
    applicable_rows,
    baselines,
    captions_of,
    makes_keypoints,
    pose_captions_of,
    row_needs_attributes,
)
from auxreid.plumbing.settings.config import BASELINES, FIRST_ENCODERS, Config
from auxreid.plumbing.settings.datasets import DatasetConfig
from auxreid.plumbing.settings.rows import variant_needs_attributes

Predicted = dict[str, str]  # captions, attributes, keypoints -> the data set whose model predicted them


def labelled_datasets(config: Config) -> tuple[str, ...]:
    """The data sets whose attributes another one's model predicts: of the study, and those whose captions are used."""
    return tuple(name for name in _read_datasets(config) if config.datasets[name].attributes_by is not None)


def attribute_datasets(config: Config) -> tuple[str, ...]:
    """The data sets that train an attribute model: of the study by their recipes, and those that label others."""
    own = (name for name in config.study.datasets if trains_attributes(config, name))
    return _once(own, (config.datasets[name].attributes_by for name in labelled_datasets(config)))


def trains_attributes(config: Config, dataset: str) -> bool:
    """Whether a data set's recipe says so, and its attributes are not another one's guesses."""
    body = config.datasets[dataset]
    return config.recipe(dataset).attributes is not None and body.attributes_by is None and body.trained_on is None


def attribute_model_of(config: Config, dataset: str) -> str:
    """The data set whose attribute model predicts what rows rank a data set by: that with which they were fitted."""
    trainer = config.datasets[dataset].trainer
    return config.datasets[trainer].attributes_by or trainer


def hrnet_of(config: Config, dataset: str) -> str:
    """The data set whose HRNet finds a data set's keypoints: mostly itself."""
    body = config.datasets[dataset]
    return body.keypoints_by or (dataset if body.trained_on is None else hrnet_of(config, body.trained_on))


def keypoint_datasets(config: Config) -> tuple[str, ...]:
    """The data sets whose images' keypoints are found: of the study, and those that a pre-training sees poses of."""
    own = (name for name in config.study.datasets if makes_keypoints(config, name))
    return _once(own, (pose_captions_of(config, name) for name in config.study.datasets))


def hrnet_datasets(config: Config) -> tuple[str, ...]:
    """The data sets that get an HRNet."""
    return _once(hrnet_of(config, name) for name in keypoint_datasets(config))


def ingested_datasets(config: Config) -> tuple[str, ...]:
    """The study's data sets, then those of which only the captions or a model are used."""
    return _once(_read_datasets(config), attribute_datasets(config), hrnet_datasets(config))


def row_predictions(config: Config, dataset: str, row: str) -> Predicted:
    """What models of other data sets have said to a row: itself, what it starts from, and the CLIP before all.

    A row that starts before CLIP's pre-training and has no texts has seen none of its captions.
    """
    if row in BASELINES:
        return {} if row in FIRST_ENCODERS else caption_predictions(config, dataset)
    if row in config.pretrainings:
        return pretraining_predictions(config, dataset, row)
    body, ablation = config.datasets[dataset], config.ablations[row]
    if body.trained_on is not None:
        found = row_predictions(config, body.trained_on, row)
        found |= {"keypoints": hrnet_of(config, dataset)} if config.ranks_pose(row) else {}
        return found | ({"attributes": attribute_model_of(config, dataset)} if ablation.ranks_attributes else {})
    found = row_predictions(config, dataset, ablation.encoder_of or ablation.start or "pretrained")
    if ablation.prompts is not None:
        found |= variant_predictions(config, dataset, ablation.prompts)
    if body.attributes_by is not None and row_needs_attributes(config, row):
        found["attributes"] = body.attributes_by
    if body.keypoints_by is not None and ablation.needs_pose:
        found["keypoints"] = body.keypoints_by
    return found


def variant_predictions(config: Config, dataset: str, variant: str) -> Predicted:
    """The same of the texts of stage 1, which come from CLIP's text tower, or its image tower."""
    body, by = config.prompts[variant], config.datasets[dataset].attributes_by
    found = caption_predictions(config, dataset)
    found |= row_predictions(config, dataset, getattr(body, "encoder", None) or "pretrained")
    return found | ({"attributes": by} if by is not None and variant_needs_attributes(body) else {})


def caption_predictions(config: Config, dataset: str) -> Predicted:
    """The same of a CLIP that is pre-trained."""
    source = captions_of(config, dataset)
    by = None if source is None else config.datasets[source].attributes_by
    return {} if by is None else {"captions": by}


def pretraining_predictions(config: Config, dataset: str, name: str) -> Predicted:
    """The same of a CLIP that is pre-trained with a third tower, whose poses are of the images with the captions."""
    found, source = caption_predictions(config, dataset), captions_of(config, dataset)
    by = None if source is None else config.datasets[source].keypoints_by
    return found | ({"keypoints": by} if by is not None and config.pretrainings[name].branch == "pose" else {})


def told(predicted: Predicted) -> str:
    """ "captions, attributes by market1501; keypoints by sample_people"."""
    by_lender: dict[str, list[str]] = {}
    for what, by in predicted.items():
        by_lender.setdefault(by, []).append(what)
    return "; ".join(f"{', '.join(parts)} by {by}" for by, parts in by_lender.items())


def lent(config: Config, dataset: str) -> dict[str, str]:
    """By row: on which other data set it is trained, and what others' models have said to it; not rows of their own."""
    trainer = config.datasets[dataset].trained_on
    elsewhere = [] if trainer is None else [f"trained on {trainer}"]
    rows = (*baselines(config, dataset), *applicable_rows(config, dataset))
    texts = {row: [*elsewhere, told(row_predictions(config, dataset, row))] for row in rows}
    return {row: text for row, parts in texts.items() if (text := "; ".join(filter(None, parts)))}


def prediction_lines(config: Config) -> list[str]:
    """A line for each data set and all that is predicted on it, with the rows that it is said to."""
    return [line for dataset in config.study.datasets for line in _lines(config, dataset)]


def _lines(config: Config, dataset: str) -> Iterator[str]:
    body = config.datasets[dataset]
    for by in _once([body.attributes_by, body.keypoints_by]):
        if _may_have_seen(body, config.datasets[by]):
            parts = "different parts of train_identities share nobody"
            yield f"{dataset}: {by}'s models have seen its people, since both read {body.folder}; {parts}"
    if (by := config.datasets[dataset].attributes_by) is not None and config.recipe(dataset).attributes is not None:
        yield f"{dataset}: no attribute model is trained on it: {by}'s predicts its attributes"
    if not config.recipe(dataset).has_chain:
        return
    if (trainer := config.datasets[dataset].trained_on) is not None:
        yield f"{dataset}: nothing is trained on it: its rows are those that were trained on {trainer}"
    rows: dict[str, list[str]] = {}
    for row in (*baselines(config, dataset), *applicable_rows(config, dataset)):
        for what, by in row_predictions(config, dataset, row).items():
            rows.setdefault(f"{what} predicted by {by}", []).append(row)
    for what, names in rows.items():
        yield f"{dataset}: {what}: {', '.join(names)}"


def _may_have_seen(told: DatasetConfig, lender: DatasetConfig) -> bool:
    """Whether two data sets train on the same people: they read one folder, and not as different parts of it."""
    if Path(told.folder) != Path(lender.folder):
        return False
    ours, theirs = told.train_identities, lender.train_identities
    if ours is None or theirs is None or ours.parts is None:
        return True
    return ours.parts != theirs.parts or ours.part == theirs.part


def _read_datasets(config: Config) -> tuple[str, ...]:
    """The study's data sets, and those of which the captions are used."""
    return _once(config.study.datasets, (captions_of(config, name) for name in config.study.datasets))


def _once(*names) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some if name is not None))
