"""params.yaml as validated, frozen objects: the one place that knows the file.

Every stage calls :func:`load_config` before it does anything else, so that a wrong key, type, range or name fails with
its path in the file, the value found and what was allowed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from auxreid.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # names become stage keys and file names
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Triple = tuple[float, float, float]
ContrastiveTargets = Literal["identity", "attribute_share", "attribute_smoothing"]
IdentityTargets = Literal["identity", "attribute_share", "attribute_smoothing"]
TextTargets = Literal["identity", "attribute_share", "attribute_smoothing", "equal_text"]
RegistryMetric = Literal[
    "mAP", "mINP", "CMC_1", "CMC_5", "CMC_10", "CMC_20", "reranked_mAP", "reranked_mINP", "reranked_CMC_1"
]

BASELINES = ("untrained", "pretrained")  # rows that every comparison has besides the ablations
REFERENCE_ROW = "clip_reid"  # the row that the others are compared with


class Section(BaseModel):
    """A block of params.yaml: unknown keys are errors, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class Study(Section):
    """What a `dvc repro` runs over."""

    people: tuple[Name, ...]
    dogs: tuple[Name, ...]
    seeds: Seeds
    rows: tuple[Name, ...] | None = None  # ablations to run; null: all of them
    row_seeds: dict[Name, Seeds] = Field(default_factory=dict)  # rows that run with other seeds than `seeds`


class KeypointFile(Section):
    """A COCO-format keypoint file inside a data set's folder."""

    file: str
    images: str = "."  # the folder that the file's image names are relative to


class DatasetConfig(Section):
    """Where a data set lies, how to read it, and by which protocol it is evaluated."""

    name: Name
    layout: Literal["market1501", "prid2011", "dogs"]
    folder: str
    protocol: Literal["market1501", "prid2011_single_shot", "prid2011_multi_shot", "dogs"]
    word: str = Field(pattern=r"^[a-z]+$")  # the noun of the prompt
    recipe: Name
    attributes: str | None = None
    keypoints: KeypointFile | None = None
    splits: str | None = None
    shared_identities: PositiveInt = 200  # PRID2011: the first so many people are seen by both cameras
    min_frames: PositiveInt = 22  # PRID2011 multi-shot: "more than 21 frames" in both cameras
    n_splits: PositiveInt = 10

    @model_validator(mode="after")
    def _protocol_fits_layout(self) -> "DatasetConfig":
        if not self.protocol.startswith(self.layout):
            raise ValueError(f"protocol {self.protocol!r} does not fit layout {self.layout!r}")
        return self


class InputConfig(Section):
    """Size in pixels and normalisation of the encoder's input."""

    height: PositiveInt
    width: PositiveInt
    mean: Triple
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class TextConfig(Section):
    """A text transformer of CLIP's kind that is trained here."""

    width: PositiveInt
    heads: PositiveInt
    layers: PositiveInt

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "TextConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class OpenClipEncoder(Section):
    """An open_clip model by name: RN50, ViT-B-16, ..."""

    kind: Literal["open_clip"]
    name: str
    pretrained: str  # an open_clip tag (downloaded), or a local file


class ResNetEncoderConfig(Section):
    """A small modified ResNet of CLIP's kind, with its text tower, trained here."""

    kind: Literal["resnet"]
    width: PositiveInt
    layers: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]
    embed_dim: PositiveInt
    text: TextConfig


class TimmEncoderConfig(Section):
    """A timm image tower, from a local checkpoint or at random, with a text tower that is trained here."""

    kind: Literal["timm"]
    name: str
    checkpoint: str | None = None
    output_stride: Literal[8, 16, 32] = 32
    embed_dim: PositiveInt
    text: TextConfig


EncoderConfig = Annotated[OpenClipEncoder | ResNetEncoderConfig | TimmEncoderConfig, Field(discriminator="kind")]


class PretrainConfig(Section):
    """Contrastive pre-training of a small CLIP on captions made from attributes."""

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    image_lr_factor: PositiveFloat = 1.0  # below 1 where the image tower starts from good weights
    weight_decay: NonNegativeFloat
    warmup_epochs: NonNegativeInt


class PromptTraining(Section):
    """Optimisation of stage 1 (THESIS section 3)."""

    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_epochs: NonNegativeInt
    warmup_lr: NonNegativeFloat
    min_lr: NonNegativeFloat


class FinetuneConfig(Section):
    """Optimisation of stage 2 (THESIS section 3)."""

    epochs: PositiveInt
    identities: Annotated[int, Field(ge=2)]  # P: a triplet needs a negative
    instances: Annotated[int, Field(ge=2)]  # K: and a positive
    lr: PositiveFloat
    bias_lr_factor: PositiveFloat = 2.0
    weight_decay: NonNegativeFloat
    milestones: tuple[PositiveInt, ...]
    gamma: PositiveFloat = 0.1
    warmup_epochs: NonNegativeInt
    warmup_factor: PositiveFloat
    w_id: NonNegativeFloat
    w_triplet: NonNegativeFloat = 1.0
    w_i2t: NonNegativeFloat = 1.0
    margin: NonNegativeFloat = 0.3
    smoothing: Fraction = 0.1
    erasing: Fraction = 0.5
    max_epoch_factor: PositiveInt | None = None  # rows that ask for a larger epoch_factor run at this one

    @model_validator(mode="after")
    def _milestones_ascend(self) -> "FinetuneConfig":
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)} must ascend")
        return self


class RerankingConfig(Section):
    """k-reciprocal re-ranking: sizes of the neighbourhoods, and the weight of the original distance."""

    k1: PositiveInt = 20
    k2: PositiveInt = 6
    weight: Fraction = 0.3


class EvaluateConfig(Section):
    """Pictures and re-ranking of an evaluation."""

    pictures: NonNegativeInt = 8  # queries of each kind (best, worst, random) in the ranked-list pictures
    reranking: RerankingConfig | None = RerankingConfig()  # a second set of figures; null: none


class PoseConfig(Section):
    """HRNet: fitted here, imported from a local file, or one of mmpose's published checkpoints."""

    checkpoint: str = "fit"
    architecture: Literal["small", "w32", "w48"]
    height: PositiveInt
    width: PositiveInt
    epochs: PositiveInt = 1
    batch_size: PositiveInt = 64
    lr: PositiveFloat = 2e-3
    held_out: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    max_images: PositiveInt | None = None
    seed: NonNegativeInt = 0


class AttributesConfig(Section):
    """Multi-task attribute classifier."""

    backbone: str
    weights: str | None = None  # null: random; "timm": timm's own download; else a local safetensors file
    height: PositiveInt
    width: PositiveInt
    mean: Triple
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    backbone_lr_factor: NonNegativeFloat = 1.0  # 0: only the heads are trained
    weight_decay: NonNegativeFloat
    warmup_epochs: NonNegativeInt
    label_smoothing: Fraction = 0.0
    dropout: Fraction = 0.0
    balance: Literal["none", "inverse_frequency"] = "none"
    seed: NonNegativeInt = 0


class RecipeConfig(Section):
    """How one data set's stages are trained; the sections that are there decide which stages it has."""

    input: InputConfig | None = None
    encoder: EncoderConfig | None = None
    pretrain: PretrainConfig | None = None
    prompts: PromptTraining | None = None
    finetune: FinetuneConfig | None = None
    evaluate: EvaluateConfig = EvaluateConfig()
    pose: PoseConfig | None = None
    attributes: AttributesConfig | None = None

    @model_validator(mode="after")
    def _chain_is_complete(self) -> "RecipeConfig":
        chain = {name: getattr(self, name) for name in ("input", "encoder", "prompts", "finetune")}
        given = [name for name, section in chain.items() if section is not None]
        if given and len(given) < len(chain):
            raise ValueError(f"has {', '.join(given)} but no {', '.join(sorted(set(chain) - set(given)))}")
        if self.encoder is not None and (self.encoder.kind == "open_clip") == (self.pretrain is not None):
            raise ValueError("pretrain goes with an encoder of kind resnet or timm, and only with those")
        return self

    @property
    def has_chain(self) -> bool:
        """Whether the recipe trains CLIP-ReID."""
        return self.finetune is not None


class LearnedPrompts(Section):
    """CLIP-ReID's stage 1: learned tokens in "A photo of a X X X X person."."""

    kind: Literal["learned"]
    tokens: PositiveInt = 4
    targets: ContrastiveTargets = "identity"
    epsilon: Fraction = 0.1  # mass that attribute_smoothing gives to the other identities
    encoder: Name | None = None  # a row whose tuned encoder gives the image features; null: the pretrained one


class RandomPrompts(Section):
    """The learned tokens as drawn, without stage 1."""

    kind: Literal["random"]
    tokens: PositiveInt = 4


class AttributeSentences(Section):
    """Sentences made from attributes instead of stage 1, as the author wrote them or with the right columns."""

    kind: Literal["attributes"]
    form: Literal["thesis", "corrected"]


class AttributeTokens(Section):
    """Stage 1 with the attributes' words in the sentence beside the learned tokens."""

    kind: Literal["attribute_tokens"]
    tokens: PositiveInt = 4


class Centroids(Section):
    """The mean image feature of each identity instead of a text (as PCL-CLIP, Li and Gong 2023)."""

    kind: Literal["centroids"]


PromptVariant = Annotated[
    LearnedPrompts | RandomPrompts | AttributeSentences | AttributeTokens | Centroids, Field(discriminator="kind")
]


class PoseFusionConfig(Section):
    """How a row lets the pose take part in stage 2 (THESIS section 4, keypoints_* and hrnet_*)."""

    source: Literal["keypoints", "hrnet", "hrnet_in_train_mode"]
    normalisation: Literal["none", "unit", "mean_norm"]
    swap_joints: bool  # left and right joints when an image is mirrored
    detach_norm: bool  # the running mean of norms gets no gradient
    supervise: Literal["fused", "both"]  # what the losses see in the place of f3: the fused feature, or both
    rank: Literal["image", "fused"]  # what is ranked beside f2: f3, or the fused feature

    @model_validator(mode="after")
    def _train_mode_ends_with_training(self) -> "PoseFusionConfig":
        if self.source == "hrnet_in_train_mode" and self.rank == "fused":
            raise ValueError("source hrnet_in_train_mode depends on the batch and cannot be ranked; use rank: image")
        return self


class ViTConfig(Section):
    """Changes of a vision transformer for re-ID (He et al., TransReID, ICCV 2021), as the reference has them."""

    patch_stride: PositiveInt | None = None  # below the patch size: overlapping patches (OLP)
    camera_embedding: NonNegativeFloat | None = None  # weight of a learned vector per camera (SIE)

    @model_validator(mode="after")
    def _changes_something(self) -> "ViTConfig":
        if self.patch_stride is None and self.camera_embedding is None:
            raise ValueError("names neither patch_stride nor camera_embedding; leave vit out")
        return self


class AblationConfig(Section):
    """A row of Table 2, or one beside it: only what differs from CLIP-ReID."""

    form: Literal["thesis", "corrected", "added"]
    prompts: Name | None  # null: no text loss
    start: Name | None = None  # the row whose tuned encoder stage 2 starts from; null: the pretrained one
    epoch_factor: PositiveInt = 1  # on the recipe's epochs and milestones of stage 2
    id_targets: IdentityTargets = "identity"
    text_targets: TextTargets = "identity"
    positives: Literal["identity", "equal_attributes"] = "identity"  # of the triplet loss
    epsilon: Fraction = 0.1  # mass that attribute_smoothing gives to the other identities
    pose: PoseFusionConfig | None = None
    vit: ViTConfig | None = None
    finetune: dict[str, Any] = Field(default_factory=dict)  # keys of the recipe's finetune section to replace

    @model_validator(mode="after")
    def _texts_for_text_targets(self) -> "AblationConfig":
        if self.prompts is None and self.text_targets != "identity":
            raise ValueError(f"text_targets {self.text_targets!r} need texts, and prompts is null")
        return self


class CompareConfig(Section):
    """How the rows of the study are told apart."""

    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95  # of the intervals
    resamples: PositiveInt = 2000  # of the queries, for the intervals
    flips: PositiveInt = 10_000  # of the differences' signs, for the p-values
    seed: NonNegativeInt = 0  # of both
    pictures: NonNegativeInt = 4  # queries per row that gained most, and as many that lost most


class RegistryConfig(Section):
    """Which encoder of a data set is the registered one in MLflow. Read by `auxreid publish` alone, by no stage."""

    metric: RegistryMetric = "mAP"  # of the evaluation; larger is better
    rows: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None  # that may be registered; null: all
    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")] = "best"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*\{dataset\}[A-Za-z0-9_.-]*$")] = "{dataset}-encoder"

    @field_validator("alias")
    @classmethod
    def _alias_is_free(cls, alias: str) -> str:
        if alias == "latest" or re.fullmatch(r"v\d+", alias):
            raise ValueError("MLflow keeps 'latest' and 'v' with a number for itself")
        return alias


class Config(Section):
    """All of params.yaml."""

    study: Study
    datasets: dict[Name, DatasetConfig]
    recipes: dict[Name, RecipeConfig]
    prompts: dict[Name, PromptVariant]
    ablations: dict[Name, AblationConfig]
    compare: CompareConfig = CompareConfig()
    registry: RegistryConfig | None = RegistryConfig()  # null: no encoder is registered

    def recipe(self, dataset: str) -> RecipeConfig:
        """The recipe that a data set names."""
        return self.recipes[self.datasets[dataset].recipe]

    def finetune(self, dataset: str, ablation: str) -> FinetuneConfig:
        """The recipe's finetune section with the ablation's replacements and its epoch factor applied."""
        base, row = self.recipe(dataset).finetune, self.ablations[ablation]
        if base is None:
            raise ConfigError(f"recipes.{self.datasets[dataset].recipe} has no finetune section, {dataset!r} needs one")
        replaced = FinetuneConfig(**(base.model_dump() | row.finetune))
        factor = min(row.epoch_factor, replaced.max_epoch_factor or row.epoch_factor)
        scaled = {"epochs": factor * replaced.epochs, "milestones": tuple(factor * m for m in replaced.milestones)}
        return replaced.model_copy(update=scaled)

    @property
    def rows(self) -> tuple[str, ...]:
        """The ablations of the study, in the order of params.yaml."""
        return tuple(name for name in self.ablations if self.study.rows is None or name in self.study.rows)

    def seeds(self, row: str) -> tuple[int, ...]:
        """The seeds that a row runs with."""
        return self.study.row_seeds.get(row, self.study.seeds)

    @property
    def studied(self) -> tuple[str, ...]:
        """The data sets of the study, people first."""
        return self.study.people + self.study.dogs


def load_config(path: str | Path = "params.yaml") -> Config:
    """Read and validate params.yaml.

    Raises:
        ConfigError: lists every fault with its path in the file, the value found and what is allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; run from the repository's root")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: found {type(raw).__name__}, expected a mapping of sections")
    return parse_config(raw, source=str(path))


def parse_config(raw: dict[str, Any], source: str = "params.yaml") -> Config:
    """Validate a parsed params.yaml; see :func:`load_config`."""
    raw = {key: value for key, value in raw.items() if not key.startswith("_")}  # blocks of shared YAML anchors
    if "datasets" in raw:
        raw["datasets"] = _with_names(raw["datasets"])
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_messages(error, source))) from error
    faults = [f"{source}: {fault}" for fault in _broken_references(config)]
    if faults:
        raise ConfigError("\n".join(faults))
    return config


def _with_names(datasets: Any) -> Any:
    if not isinstance(datasets, dict):
        return datasets
    return {name: {"name": name, **body} if isinstance(body, dict) else body for name, body in datasets.items()}


def _messages(error: ValidationError, source: str) -> Iterator[str]:
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        allowed = fault["msg"]
        found = "" if fault["type"] == "missing" else f" = {fault['input']!r}"
        yield f"{source}: {place}{found}: {allowed}"


def _broken_references(config: Config) -> Iterator[str]:
    """Names that point nowhere, checked across sections."""
    for group in ("people", "dogs"):
        for index, name in enumerate(getattr(config.study, group)):
            if name not in config.datasets:
                yield f"study.{group}.{index} = {name!r}: not in datasets ({_names(config.datasets)})"
    for name, dataset in config.datasets.items():
        if dataset.recipe not in config.recipes:
            yield f"datasets.{name}.recipe = {dataset.recipe!r}: not in recipes ({_names(config.recipes)})"
    for name in (config.registry and config.registry.rows) or ():
        if name not in config.ablations:
            yield f"registry.rows: {name!r} is not in ablations ({_names(config.ablations)})"
    yield from _broken_studies(config)
    yield from _missing_seeds(config)
    yield from _broken_rows(config)
    for name, variant in config.prompts.items():
        encoder = getattr(variant, "encoder", None)
        if encoder is not None and encoder not in config.ablations:
            yield f"prompts.{name}.encoder = {encoder!r}: not in ablations ({_names(config.ablations)})"


def _broken_rows(config: Config) -> Iterator[str]:
    for name, ablation in config.ablations.items():
        if name in BASELINES:
            yield f"ablations.{name}: the name is taken by a baseline row"
        if ablation.prompts is not None and ablation.prompts not in config.prompts:
            yield f"ablations.{name}.prompts = {ablation.prompts!r}: not in prompts ({_names(config.prompts)})"
        if ablation.start is not None and ablation.start not in config.ablations:
            yield f"ablations.{name}.start = {ablation.start!r}: not in ablations ({_names(config.ablations)})"
        yield from _bad_replacements(config, name)
    for name in config.ablations:
        if name in _rows_before(config, name):
            yield f"ablations.{name}: starts from itself, by way of {_names(_rows_before(config, name))}"


def variant_needs_attributes(variant: Any) -> bool:
    """Whether a prompts variant reads the identities' attributes."""
    return variant.kind.startswith("attribute") or getattr(variant, "targets", "").startswith("attribute")


def rows_needed_by(config: "Config", row: str) -> set[str]:
    """The rows whose tuned encoders a row uses directly: as stage 2's start, or for its prompts' image features."""
    ablation = config.ablations[row]
    variant = config.prompts.get(ablation.prompts) if ablation.prompts is not None else None
    return {name for name in (ablation.start, getattr(variant, "encoder", None)) if name in config.ablations}


def _rows_before(config: "Config", row: str) -> set[str]:
    """All rows that a row needs, directly or not."""
    found: set[str] = set()
    todo = [row]
    while todo:
        new = rows_needed_by(config, todo.pop()) - found
        found |= new
        todo += new
    return found


def _broken_studies(config: Config) -> Iterator[str]:
    for group, section in (("people", "finetune"), ("dogs", "attributes")):
        for name in getattr(config.study, group):
            known = name in config.datasets and config.datasets[name].recipe in config.recipes
            if known and getattr(config.recipe(name), section) is None:
                recipe = config.datasets[name].recipe
                yield f"recipes.{recipe}.{section}: missing, study.{group} names {name!r} which uses this recipe"
    rows = config.study.rows or ()
    for key, names in (("rows", rows), ("row_seeds", config.study.row_seeds)):
        for name in names:
            if name not in config.ablations:
                yield f"study.{key}: {name!r} is not in ablations ({_names(config.ablations)})"
    for name in rows:
        if name in config.ablations and (missing := _rows_before(config, name) - set(rows)):
            yield f"study.rows: {name!r} starts from {_names(missing)}, which must be among the rows too"
    by_row = {f"row_seeds.{row}": seeds for row, seeds in config.study.row_seeds.items()}
    for key, seeds in {"seeds": config.study.seeds, **by_row}.items():
        if len(set(seeds)) < len(seeds):
            yield f"study.{key} = {list(seeds)}: a seed stands there twice"
    doubled = set(config.study.people) & set(config.study.dogs)
    if doubled:
        yield f"study: {_names(doubled)} under both people and dogs; name a data set once"


def _missing_seeds(config: Config) -> Iterator[str]:
    """A row is trained with one seed from start to end, so the rows that it starts from must run with its seeds too."""
    for row in config.rows:
        for other in sorted(rows_needed_by(config, row)):
            if missing := sorted(set(config.seeds(row)) - set(config.seeds(other))):
                yield (
                    f"study: {row!r} runs with seeds {list(config.seeds(row))} and starts from {other!r}, which runs "
                    f"with {list(config.seeds(other))}: give {other!r} seeds {missing} too, under row_seeds"
                )


def _bad_replacements(config: Config, ablation: str) -> Iterator[str]:
    """Faults of `ablations.<name>.finetune`, found by applying it to every studied recipe."""
    for dataset in config.studied:
        if dataset in config.datasets and config.datasets[dataset].recipe in config.recipes:
            if config.recipe(dataset).finetune is None:
                continue
            try:
                config.finetune(dataset, ablation)
            except ValidationError as error:
                yield from _messages(error, f"ablations.{ablation}.finetune (on {dataset})")


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "none is defined"
