"""How one data set is trained: the sections that are there decide which stages it has."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auxreid.plumbing.settings.metric import MetricConfig
from auxreid.plumbing.settings.search import SearchConfig
from auxreid.plumbing.settings.section import (
    DatasetName,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Triple,
)


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
    quick_gelu: bool | None = None  # of a local file that does not tell; null: as the tag, or the file, says


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
    output_stride: Literal[8, 16, 32]
    embed_dim: PositiveInt
    text: TextConfig


EncoderConfig = Annotated[OpenClipEncoder | ResNetEncoderConfig | TimmEncoderConfig, Field(discriminator="kind")]


class PretrainConfig(Section):
    """Contrastive pre-training of a small CLIP on captions made from attributes."""

    captions_from: DatasetName | None = None  # the data set whose images and captions it sees; null: its own
    epochs: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    image_lr_factor: PositiveFloat  # below 1 where the image tower starts from good weights
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
    bias_lr_factor: PositiveFloat
    weight_decay: NonNegativeFloat
    milestones: tuple[PositiveInt, ...]
    gamma: PositiveFloat
    warmup_epochs: NonNegativeInt
    warmup_factor: PositiveFloat
    w_id: NonNegativeFloat
    w_triplet: NonNegativeFloat
    w_i2t: NonNegativeFloat
    margin: NonNegativeFloat
    smoothing: Fraction
    erasing: Fraction
    max_epoch_factor: PositiveInt | None = None  # rows that ask for a larger epoch_factor run at this one

    @model_validator(mode="after")
    def _milestones_ascend(self) -> "FinetuneConfig":
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {list(self.milestones)} must ascend")
        return self


class RerankingConfig(Section):
    """k-reciprocal re-ranking: sizes of the neighbourhoods, and the weight of the original distance."""

    k1: PositiveInt
    k2: PositiveInt
    weight: Fraction


class EvaluateConfig(Section):
    """Pictures and re-ranking of an evaluation."""

    pictures: NonNegativeInt  # queries of each kind (best, worst, random) in the ranked-list pictures
    reranking: RerankingConfig | None = None  # a second set of figures; null: none


FULL_PRECISION = "32-true"
POSE_CELL = 32  # pixels: what HRNet's coarsest branch sees as one


class PoseConfig(Section):
    """HRNet: fitted here, imported from a local file, or one of mmpose's published checkpoints."""

    checkpoint: str  # "fit", a local file, or the name of a published one
    joints: str | None = None  # whose they are in a file without names, as mmpose calls it: ap10k; null: the data set's
    architecture: Literal["small", "w32", "w48"]
    height: Annotated[PositiveInt, Field(multiple_of=POSE_CELL)]
    width: Annotated[PositiveInt, Field(multiple_of=POSE_CELL)]
    epochs: PositiveInt | None = None  # of fitting, as the next two
    batch_size: PositiveInt | None = None
    lr: PositiveFloat | None = None
    held_out: Annotated[float, Field(gt=0.0, lt=1.0)]  # share of the individuals on which it is measured
    max_images: PositiveInt | None = None
    seed: NonNegativeInt

    @model_validator(mode="after")
    def _fitting_is_described(self) -> "PoseConfig":
        for name in ("epochs", "batch_size", "lr"):
            if (getattr(self, name) is not None) != (self.checkpoint == "fit"):
                raise ValueError(f"{name} goes with checkpoint 'fit', and only with it")
        if self.joints is not None and self.checkpoint == "fit":
            raise ValueError("joints is for a given checkpoint; one that is fitted has the data set's")
        return self


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
    backbone_lr_factor: NonNegativeFloat  # 0: only the heads are trained
    trained_stages: PositiveInt | None = None  # of the backbone, the last so many; null: all
    views: PositiveInt | None = None  # where only heads are trained, augmented images per frame; null: one per epoch
    folds: Annotated[int, Field(ge=2)] | None = None  # of the individuals of train and val, in place of val; null: none
    patience: PositiveInt | None = None  # epochs without a better one on val before it ends; null: never
    weight_decay: NonNegativeFloat
    warmup_epochs: NonNegativeInt
    label_smoothing: Fraction
    dropout: Fraction
    augmentation: Annotated[float, Field(ge=0.0, le=1.0)]  # 0: mirroring and light alone; 1: crops, turns and holes too
    mixup: PositiveFloat | None = None  # mixes the features of two frames, by Beta(mixup, mixup); null: never
    balance: Literal["none", "inverse_frequency", "sampler"]  # weights of rare words in the loss, or of their frames
    calibration: Literal["temperature", "frequencies"]  # of the logits; the latter with the words' frequencies too
    mirrored: bool  # predictions are from an image and its mirror image
    seed: NonNegativeInt

    @model_validator(mode="after")
    def _backbone_is_trained_or_frozen(self) -> "AttributesConfig":
        frozen = self.backbone_lr_factor == 0
        if frozen and self.trained_stages is not None:
            raise ValueError("trained_stages goes with a backbone_lr_factor above 0")
        if not frozen and self.views is not None:
            raise ValueError("views goes with backbone_lr_factor 0: what a trained backbone sees is new in each epoch")
        if self.folds is not None and self.views is None:
            raise ValueError("folds goes with views: it trains once per fold, on features that are kept")
        return self


class RecipeConfig(Section):
    """How one data set's stages are trained; the sections that are there decide which stages it has."""

    # Of the towers and the attributes' backbone: float32, or bfloat16 or float16 where autocast takes it. What leaves
    # them is float32 (see training/precision.py). HRNet is always float32.
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] | None = None
    input: InputConfig | None = None
    encoder: EncoderConfig | None = None
    pretrain: PretrainConfig | None = None
    prompts: PromptTraining | None = None
    finetune: FinetuneConfig | None = None
    evaluate: EvaluateConfig | None = None
    pose: PoseConfig | None = None
    attributes: AttributesConfig | None = None
    metric: MetricConfig | None = None
    search: SearchConfig | None = None

    @model_validator(mode="after")
    def _precision_goes_with_towers(self) -> "RecipeConfig":
        towers = (self.encoder, self.attributes, self.metric)
        if (self.precision is not None) != any(section is not None for section in towers):
            raise ValueError("precision goes with an encoder or attributes or metric, and only with those")
        return self

    @model_validator(mode="after")
    def _chain_is_complete(self) -> "RecipeConfig":
        chain = {name: getattr(self, name) for name in ("input", "encoder", "prompts", "finetune", "evaluate")}
        given = [name for name, section in chain.items() if section is not None]
        if given and len(given) < len(chain):
            raise ValueError(f"has {', '.join(given)} but no {', '.join(sorted(set(chain) - set(given)))}")
        if self.encoder is not None and self.encoder.kind == "open_clip" and self.pretrain is not None:
            raise ValueError("pretrain goes with an encoder of kind resnet or timm, and only with those")
        return self

    @model_validator(mode="after")
    def _metric_has_its_backbone(self) -> "RecipeConfig":
        if self.metric is not None and self.metric.features.backbone.kind == "attributes" and self.attributes is None:
            raise ValueError("metric.features.backbone is of kind attributes, and the recipe has no attributes section")
        return self

    @model_validator(mode="after")
    def _search_has_its_embedding(self) -> "RecipeConfig":
        kind = None if self.search is None else self.search.embedding.kind
        section = {"metric": "metric", "row": "finetune", None: None}[kind]
        if section is not None and getattr(self, section) is None:
            raise ValueError(f"search.embedding is of kind {kind}, and the recipe has no {section} section")
        return self

    @property
    def has_chain(self) -> bool:
        """Whether the recipe trains CLIP-ReID."""
        return self.finetune is not None
