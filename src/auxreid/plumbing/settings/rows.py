"""The rows of Table 2 and those beside it, and the prompts that they name."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.plumbing.settings.recipes import FinetuneConfig
from auxreid.plumbing.settings.section import Fraction, Name, NonNegativeFloat, PositiveInt, Section, changes_of

# Where a row or a variant names no targets, they are the identities.
AttributeTargets = Literal["attribute_share", "attribute_smoothing"]
TextTargets = Literal["attribute_share", "attribute_smoothing", "equal_text"]
SMOOTHING = "attribute_smoothing"
OF_ANY_ROW = ("form", "encoder_of", "rank")  # keys of a row that trains nothing


def _none_if_empty(block: Any) -> Any:
    """A block whose keys stand there without values, for `dvc exp run -S` to reach, is not there."""
    return None if isinstance(block, dict) and all(value is None for value in block.values()) else block


def _check_epsilon(epsilon: float | None, *targets: str | None) -> None:
    if (epsilon is not None) != (SMOOTHING in targets):
        raise ValueError(f"epsilon goes with targets {SMOOTHING!r}, and only with them")


class LearnedPrompts(Section):
    """CLIP-ReID's stage 1: learned tokens in "A photo of a X X X X person."."""

    kind: Literal["learned"]
    tokens: PositiveInt
    targets: AttributeTargets | None = None
    epsilon: Fraction | None = None  # mass that attribute_smoothing gives to the other identities
    # A row whose tuned encoder gives the image features, or one of `pretrainings`, whose text tower is taken too; null:
    # the pretrained one.
    encoder: Name | None = None

    @model_validator(mode="after")
    def _epsilon_is_used(self) -> "LearnedPrompts":
        _check_epsilon(self.epsilon, self.targets)
        return self


class RandomPrompts(Section):
    """The learned tokens as drawn, without stage 1."""

    kind: Literal["random"]
    tokens: PositiveInt


class AttributeSentences(Section):
    """Sentences made from attributes instead of stage 1, as the author wrote them or with the right columns."""

    kind: Literal["attributes"]
    form: Literal["thesis", "corrected"]


class AttributeTokens(Section):
    """Stage 1 with the attributes' words in the sentence beside the learned tokens."""

    kind: Literal["attribute_tokens"]
    tokens: PositiveInt


class Centroids(Section):
    """The mean image feature of each identity instead of a text (as PCL-CLIP, Li and Gong 2023)."""

    kind: Literal["centroids"]


PromptVariant = Annotated[
    LearnedPrompts | RandomPrompts | AttributeSentences | AttributeTokens | Centroids, Field(discriminator="kind")
]


class PoseFusionConfig(Section):
    """How a row lets the pose take part in stage 2 (THESIS section 4, keypoints_* and hrnet_*)."""

    source: Literal["keypoints", "hrnet", "hrnet_in_train_mode"]
    coordinates: Literal["body"] | None = None  # of keypoints: the body's own frame; null: shares of the image's sides
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

    @model_validator(mode="after")
    def _coordinates_are_of_keypoints(self) -> "PoseFusionConfig":
        if self.coordinates is not None and self.source != "keypoints":
            raise ValueError(f"coordinates go with source keypoints, and only with it; source is {self.source}")
        return self


class ViTConfig(Section):
    """Changes of a vision transformer for re-ID (He et al., TransReID, ICCV 2021), as the reference has them."""

    patch_stride: PositiveInt | None = None  # below the patch size: overlapping patches (OLP)
    camera_embedding: NonNegativeFloat | None = None  # weight of a learned vector per camera (SIE)


class AblationConfig(Section):
    """A row of Table 2, or one beside it: what differs from CLIP-ReID; all else is None."""

    form: Literal["thesis", "corrected", "added"]
    prompts: Name | None  # null: no text loss
    # The row whose tuned encoder stage 2 starts from, or one of `pretrainings`, or untrained or image_weights: the one
    # before CLIP's pre-training, which has seen no captions; null: the pretrained one.
    start: Name | None = None
    epoch_factor: PositiveInt | None = None  # on the recipe's epochs and milestones of stage 2; null: as they are
    id_targets: AttributeTargets | None = None
    text_targets: TextTargets | None = None
    positives: Literal["equal_attributes"] | None = None  # of the triplet loss; null: images of one identity
    epsilon: Fraction | None = None  # mass that attribute_smoothing gives to the other identities
    pose: Annotated[PoseFusionConfig | None, BeforeValidator(_none_if_empty)] = None
    vit: Annotated[ViTConfig | None, BeforeValidator(_none_if_empty)] = None
    stride_one: bool | None = None  # the last stride of a timm convolutional tower is removed; null: it stays
    auxiliary: Annotated[AuxiliaryConfig | None, BeforeValidator(_none_if_empty)] = None
    # Replaces keys of the recipe's finetune.
    finetune: Annotated[dict[str, Any] | None, changes_of(FinetuneConfig, "finetune")] = None
    # In the place of all that: the row, or the baseline, whose encoder is ranked anew, and how. Nothing is trained.
    encoder_of: Name | None = None
    rank: RankConfig | None = None

    @model_validator(mode="after")
    def _trains_or_ranks(self) -> "AblationConfig":
        if (self.encoder_of is None) != (self.rank is None):
            raise ValueError("encoder_of and rank go together: whose encoder is ranked, and how")
        own = [name for name in type(self).model_fields if name not in OF_ANY_ROW and getattr(self, name) is not None]
        if self.rank is not None and own:
            raise ValueError(f"a row with encoder_of and rank trains nothing; leave {', '.join(own)} empty")
        return self

    @property
    def needs_pose(self) -> bool:
        """Whether stage 2 reads a pose of the images, or what is fitted to rank another row's encoder."""
        idea = self.auxiliary is not None and self.auxiliary.needs_pose
        return self.pose is not None or idea or (self.rank is not None and self.rank.fits_joints)

    @property
    def ranks_pose(self) -> bool:
        """Whether the images that are ranked need theirs too, beside what another row's encoder needs."""
        if self.pose is not None:
            return self.pose.rank == "fused"
        if self.rank is not None:
            return self.rank.ranks_joints
        return self.auxiliary is not None and self.auxiliary.ranks_pose

    @property
    def ranks_attributes(self) -> bool:
        """Whether the images that are ranked need attributes, which a model predicts."""
        return self.rank is not None and self.rank.evidence is not None

    @property
    def ranks_cameras(self) -> bool:
        """Whether the camera of each image that is ranked must be known, whatever the encoder."""
        return self.rank is not None and self.rank.ranks_cameras

    @model_validator(mode="after")
    def _texts_for_text_targets(self) -> "AblationConfig":
        if self.prompts is None and self.text_targets is not None:
            raise ValueError(f"text_targets {self.text_targets!r} need texts, and prompts is null")
        return self

    @model_validator(mode="after")
    def _one_reads_the_pose(self) -> "AblationConfig":
        if self.pose is not None and self.auxiliary is not None:
            raise ValueError("pose and auxiliary do not go together: one of the two is trained beside the encoder")
        return self

    @model_validator(mode="after")
    def _epsilon_is_used(self) -> "AblationConfig":
        _check_epsilon(self.epsilon, self.id_targets, self.text_targets)
        return self


def variant_needs_attributes(variant: PromptVariant) -> bool:
    """Whether a prompts variant reads the identities' attributes."""
    return variant.kind.startswith("attribute") or getattr(variant, "targets", None) is not None
