"""params.yaml as validated, frozen objects: the one place that knows the file.

Every stage calls :func:`load_config` before it does anything else, so that a wrong key, type, range or name fails with
its path in the file, the value found and what was allowed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from auxreid.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]  # names become stage keys and file names
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Triple = tuple[float, float, float]

BASELINES = ("untrained", "pretrained")  # rows that every comparison has besides the ablations
REFERENCE_ROW = "clip_reid"  # the row that the others are compared with


class Section(BaseModel):
    """A block of params.yaml: unknown keys are errors, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Study(Section):
    """What a `dvc repro` runs over."""

    people: tuple[Name, ...]
    dogs: tuple[Name, ...]
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


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

    @model_validator(mode="after")
    def _milestones_ascend(self) -> "FinetuneConfig":
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)} must ascend")
        return self


class EvaluateConfig(Section):
    """Pictures of an evaluation."""

    pictures: NonNegativeInt = 8  # queries of each kind (best, worst, random) in the ranked-list pictures


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


class PromptVariant(Section):
    """A way to come by one text feature per identity (stage 1)."""

    kind: Literal["learned", "random"]  # random: the learned tokens as drawn, without stage 1
    tokens: PositiveInt = 4


class AblationConfig(Section):
    """A row of Table 2: only what differs from CLIP-ReID."""

    form: Literal["thesis", "corrected"]
    prompts: Name
    finetune: dict[str, Any] = Field(default_factory=dict)  # keys of the recipe's finetune section to replace


class Config(Section):
    """All of params.yaml."""

    study: Study
    datasets: dict[Name, DatasetConfig]
    recipes: dict[Name, RecipeConfig]
    prompts: dict[Name, PromptVariant]
    ablations: dict[Name, AblationConfig]

    def recipe(self, dataset: str) -> RecipeConfig:
        """The recipe that a data set names."""
        return self.recipes[self.datasets[dataset].recipe]

    def finetune(self, dataset: str, ablation: str) -> FinetuneConfig:
        """The recipe's finetune section with the ablation's replacements."""
        base = self.recipe(dataset).finetune
        if base is None:
            raise ConfigError(f"recipes.{self.datasets[dataset].recipe} has no finetune section, {dataset!r} needs one")
        return FinetuneConfig(**(base.model_dump() | self.ablations[ablation].finetune))

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
    yield from _broken_studies(config)
    for name, ablation in config.ablations.items():
        if name in BASELINES:
            yield f"ablations.{name}: the name is taken by a baseline row"
        if ablation.prompts not in config.prompts:
            yield f"ablations.{name}.prompts = {ablation.prompts!r}: not in prompts ({_names(config.prompts)})"
        yield from _bad_replacements(config, name)
    if len(set(config.study.seeds)) < len(config.study.seeds):
        yield f"study.seeds = {list(config.study.seeds)}: a seed stands there twice"


def _broken_studies(config: Config) -> Iterator[str]:
    for group, section in (("people", "finetune"), ("dogs", "attributes")):
        for name in getattr(config.study, group):
            known = name in config.datasets and config.datasets[name].recipe in config.recipes
            if known and getattr(config.recipe(name), section) is None:
                recipe = config.datasets[name].recipe
                yield f"recipes.{recipe}.{section}: missing, study.{group} names {name!r} which uses this recipe"
    doubled = set(config.study.people) & set(config.study.dogs)
    if doubled:
        yield f"study: {_names(doubled)} under both people and dogs; name a data set once"


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
