"""Which rows a data set can run: known from params.yaml alone, before anything is trained."""

from collections.abc import Iterator

from auxreid.plumbing.settings.config import BASELINES, Config
from auxreid.plumbing.settings.prediction_checks import no_classifier, nothing_to_fit
from auxreid.plumbing.settings.rows import AblationConfig, variant_needs_attributes


def why_not(config: Config, dataset: str, row: str) -> str | None:
    """Why a row does not apply to a data set, or None where it does."""
    return next(_reasons(config, dataset, row), None)


def why_no_pose(config: Config, dataset: str) -> str | None:
    """Why a data set gets no HRNet and no keypoints, or None where it does."""
    body, pose = config.datasets[dataset], config.recipe(dataset).pose
    if body.trained_on is not None:  # its keypoints are by the HRNet that the rows were trained with
        return why_no_pose(config, body.trained_on)
    if body.keypoints_by is not None:  # whose HRNet is known to be there
        return None
    if pose is None:
        return f"recipes.{body.recipe} has no pose section"
    return nothing_to_fit(dataset, body, pose)


def makes_keypoints(config: Config, dataset: str) -> bool:
    """Whether a row of the study reads a pose; where there are no rows, the keypoints are the result themselves."""
    if why_no_pose(config, dataset) is not None:
        return False
    rows = applicable_rows(config, dataset) if config.recipe(dataset).has_chain else ()
    if config.datasets[dataset].trained_on is not None:
        return any(config.ranks_pose(row) for row in rows)
    return not rows or any(_uses_pose(config, dataset, row) for row in rows)


def pose_captions_of(config: Config, dataset: str) -> str | None:
    """The data set whose poses a row of the study sees in a data set's pre-training, beside their images' captions."""
    if config.datasets[dataset].trained_on is not None or not config.recipe(dataset).has_chain:
        return None
    rows = (row for row in config.rows if _pretrained_with_pose(config, row))  # few, and the others cost more to ask
    return captions_of(config, dataset) if any(why_not(config, dataset, row) is None for row in rows) else None


def captions_of(config: Config, dataset: str) -> str | None:
    """The data set on whose captions a data set's CLIP is pre-trained; None where it is not."""
    dataset = config.datasets[dataset].trainer
    pretrain = config.recipe(dataset).pretrain
    source = dataset if pretrain is None or pretrain.captions_from is None else pretrain.captions_from
    return source if pretrain is not None and config.datasets[source].has_attributes else None


def why_no_pretraining(config: Config, dataset: str, name: str) -> str | None:
    """Why a data set's CLIP cannot be pre-trained with a third tower, or None where it can."""
    body, source = config.datasets[dataset], captions_of(config, dataset)
    if config.recipe(dataset).encoder.kind == "open_clip":
        return f"recipes.{body.recipe}.encoder brings its CLIP, which is not pre-trained here"
    if source is None:
        return why_no_texts(config, dataset)
    if config.pretrainings[name].branch != "pose":
        return None
    reason = why_no_pose(config, source)  # of the images whose captions it sees
    whose = "a pose" if source == dataset else f"the pose of {source}'s images, whose captions it sees"
    return None if reason is None else f"needs {whose}, and {reason}"


def why_no_texts(config: Config, dataset: str) -> str | None:
    """Why the chain of a data set has no text tower, and what could stand in; None where it has one."""
    body, recipe = config.datasets[dataset], config.recipe(dataset)
    if recipe.encoder.kind == "open_clip" or captions_of(config, dataset) is not None:
        return None
    if recipe.pretrain is None:
        missing = f"recipes.{body.recipe}.pretrain is null"
    else:
        missing = f"datasets.{dataset}.attributes names no table to pre-train one on"
    return (
        f"{missing}; recipes.{body.recipe}.pretrain.captions_from may name a data set with attributes, or its encoder "
        "be of kind open_clip, whose weights bring a text tower"
    )


def baselines(config: Config, dataset: str) -> tuple[str, ...]:
    """The encoders that are ranked before any fine-tuning, each called by what its weights are.

    untrained is the encoder as drawn, image_weights the same around a given image model, pretrained the CLIP.
    """
    encoder = config.recipe(config.datasets[dataset].trainer).encoder
    if encoder.kind == "open_clip":
        return ("pretrained",)
    first = "untrained" if getattr(encoder, "checkpoint", None) is None else "image_weights"
    return (first,) if captions_of(config, dataset) is None else (first, "pretrained")


def applicable_rows(config: Config, dataset: str) -> tuple[str, ...]:
    """The study's rows that the data set can run, in the order of params.yaml."""
    return tuple(row for row in config.rows if why_not(config, dataset, row) is None)


def not_applicable(config: Config, dataset: str) -> dict[str, str]:
    """The study's other rows, each with its reason."""
    return {row: reason for row in config.rows if (reason := why_not(config, dataset, row)) is not None}


def exclusions(config: Config) -> list[str]:
    """A line for every data set and row of the study that do not go together, with the reason."""
    return [
        f"{dataset}: row {row} is not applicable: {reason}"
        for dataset in config.study.datasets
        if config.recipe(dataset).has_chain
        for row, reason in not_applicable(config, dataset).items()
    ]


def _reasons(config: Config, dataset: str, row: str) -> Iterator[str]:
    body, recipe, ablation = config.datasets[dataset], config.recipe(dataset), config.ablations[row]
    if ablation.ranks_cameras and not body.has_cameras:
        yield f"ranks by cameras, and protocol {body.protocol} has none"
    if body.trained_on is not None:
        yield from _reasons_elsewhere(config, body.trained_on, row)
        return
    if row_needs_attributes(config, row) and not body.has_attributes:
        yield f"needs attributes, and datasets.{dataset}.attributes names no table and no predicted_by"
    if ablation.ranks_attributes and (reason := _why_no_predictions(config, dataset)) is not None:
        yield f"ranks by predicted attributes, and {reason}"
    if ablation.auxiliary is not None and ablation.auxiliary.needs_predictions and body.attributes_by is None:
        yield f"needs words of each image, and those of datasets.{dataset}.attributes are not predicted (predicted_by)"
    if _speaks_of_people(config, row) and body.of_animals:
        yield "the author's sentence describes people"
    if reads_texts(config, row) and (reason := why_no_texts(config, dataset)) is not None:
        yield f"needs a text tower, and {reason}"
    if ablation.needs_pose and (reason := why_no_pose(config, dataset)) is not None:
        yield f"needs a pose, and {reason}"
    if ablation.stride_one and recipe.encoder.kind != "timm":
        yield f"removes the last stride of a timm encoder, and recipes.{body.recipe} has none of that kind"
    if ablation.vit is not None and not _is_vit(recipe):
        yield f"changes a vision transformer, and recipes.{body.recipe} has none"
    if ablation.vit is not None and ablation.vit.camera_embedding is not None and not body.has_cameras:
        yield f"needs cameras, and protocol {body.protocol} has none"
    first, there = ablation.encoder_of or ablation.start, baselines(config, dataset)
    if first in BASELINES and first not in there:
        encoders = f"the encoders of recipes.{body.recipe} before stage 2 are: {', '.join(there)}"
        yield f"{config.verb(row)} {first}, and {encoders}"
    for name in config.pretrainings_of(row):
        if (reason := why_no_pretraining(config, dataset, name)) is not None:
            yield f"starts from {name}: {reason}"
    for other in sorted(config.rows_needed_by(row)):
        if (reason := why_not(config, dataset, other)) is not None:
            yield f"{config.verb(row)} {other}: {reason}"


def _reasons_elsewhere(config: Config, trainer: str, row: str) -> Iterator[str]:
    """Of a row that is trained on one data set and tested on another."""
    trained = config.trained_row(row)
    vit = None if trained is None else trained.vit
    if vit is not None and vit.camera_embedding is not None:
        yield f"its vectors are of the cameras of {trainer}, on which it is trained"
    if (reason := why_not(config, trainer, row)) is not None:
        yield f"{trainer}, on which it would be trained: {reason}"


def _why_no_predictions(config: Config, dataset: str) -> str | None:
    """Why no model may predict the attributes that a row ranks by; None where one may."""
    body = config.datasets[dataset]
    if body.attributes_by is not None:
        return None
    if (body.n_splits or 1) > 1:
        return f"the model of {dataset} is trained on split 0 of {body.n_splits}: it has seen people whom others test"
    return no_classifier(config, dataset)


def reads_texts(config: Config, row: str) -> bool:
    """Whether a row's texts come from a text tower: centroids stand in for texts and read none."""
    variant = config.prompts.get(config.ablations[row].prompts or "")
    return variant is not None and variant.kind != "centroids"


def row_needs_attributes(config: Config, row: str) -> bool:
    """Whether a row's texts, its stage 2 or what it ranks by read attributes."""
    variant = config.prompts.get(config.ablations[row].prompts or "")
    own = stage2_needs_attributes(config.ablations[row]) or config.ablations[row].ranks_attributes
    return own or (variant is not None and variant_needs_attributes(variant))


def stage2_needs_attributes(row: AblationConfig) -> bool:
    """Whether a row's stage 2 reads attributes."""
    if row.auxiliary is not None and row.auxiliary.needs_attributes:
        return True
    targets = (row.id_targets, row.text_targets)
    return row.positives == "equal_attributes" or any((one or "").startswith("attribute") for one in targets)


def _uses_pose(config: Config, dataset: str, row: str) -> bool:
    """Whether a row reads a data set's pose, in stage 2 or in the pre-training that it starts from."""
    if config.ablations[row].needs_pose:
        return True
    return _pretrained_with_pose(config, row) and captions_of(config, dataset) == dataset


def _pretrained_with_pose(config: Config, row: str) -> bool:
    return any(config.pretrainings[name].branch == "pose" for name in config.pretrainings_of(row))


def _speaks_of_people(config: Config, row: str) -> bool:
    variant = config.prompts.get(config.ablations[row].prompts or "")
    return variant is not None and variant.kind == "attributes" and variant.form == "thesis"


def _is_vit(recipe) -> bool:
    return recipe.encoder is not None and recipe.encoder.kind == "open_clip" and recipe.encoder.name.startswith("ViT")
