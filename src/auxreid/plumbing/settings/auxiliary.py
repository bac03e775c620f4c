"""What a row adds to stage 2 (`auxiliary` of its block): one class per idea, told apart by `kind`.

`kind` is the module of `auxreid.auxiliary` that computes it. Every idea has its controls as values of its own keys: the
information left out, and the information destroyed.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auxreid.plumbing.settings.section import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, Section

Map = Literal["middle", "late", "last"]


class Idea(Section):
    """What an idea reads beside the images: nothing, where its class does not say otherwise."""

    @property
    def needs_attributes(self) -> bool:
        """Whether training reads the identities' attributes."""
        return False

    @property
    def needs_predictions(self) -> bool:
        """Whether they must be predicted ones, since true ones are of individuals and not of single images."""
        return False

    @property
    def needs_pose(self) -> bool:
        """Whether training reads the data set's keypoint table, as Context.keypoints."""
        return False

    @property
    def ranks_pose(self) -> bool:
        """Whether the images that are ranked need their keypoints too, as Context.keypoints.

        Then `facts` of what is trained name the `joints`, which are asked for beside one's own photographs.
        """
        return False

    @property
    def widens_input(self) -> bool:
        """Whether the encoder that is trained takes more channels than an image has."""
        return False


class OfAttributes(Idea):
    """An idea that always reads the identities' attributes."""

    @property
    def needs_attributes(self) -> bool:
        return True


class AttributeHeads(OfAttributes):
    """A classifier per attribute on f2 (after Lin et al. 2019)."""

    kind: Literal["attribute_heads"]
    weight: NonNegativeFloat  # of the sum over heads; 0: the heads do not reach the encoder
    scale: Literal["sum", "uncertainty"]  # of the heads among each other: 1 each, or learned (Kendall et al. 2018)
    level: Literal["identity", "image"]  # whose words: the identity's, or those that each image was predicted to show
    shuffled: bool  # control: attributes permuted among the training identities, or the images

    @property
    def needs_predictions(self) -> bool:
        return self.level == "image"


class AttributeHard(OfAttributes):
    """Batches of identities that are alike in their attributes, and a triplet margin that grows with their share."""

    kind: Literal["attribute_hard"]
    near: Fraction  # of a batch's other identities, those that share most attributes with the first; 0: random ones
    growth: NonNegativeFloat  # margin * (1 + growth * share of equal attributes); 0: the margin itself
    weight: NonNegativeFloat  # of its triplet loss, in the place of finetune.w_triplet, which the row sets to 0
    shuffled: bool  # control: attributes permuted among the training identities


class SecondHead(Idea):
    """A projection of f2 beside f3 with losses of its own, ranked with both; no auxiliary information."""

    kind: Literal["second_head"]
    dim: PositiveInt


class Prototypes(Idea):
    """A remembered vector per identity, told from the others by cosines (after PCL-CLIP, Li and Gong 2023)."""

    kind: Literal["prototypes"]
    feature: Literal["f2", "f3"]
    initial: Literal["features", "attributes"]  # mean features of the start, or those plus what its attributes predict
    ridge: PositiveFloat | None = None  # of that prediction, per identity; null: there is none
    temperature: PositiveFloat  # the cosines are divided by it
    momentum: Fraction  # what a batch leaves of the vectors of its identities
    weight: NonNegativeFloat  # 0: nothing of it reaches the encoder
    shuffled: bool  # control: attributes permuted among the training identities

    @model_validator(mode="after")
    def _attributes_for_what_reads_them(self) -> "Prototypes":
        if (self.ridge is not None) != (self.initial == "attributes"):
            raise ValueError("ridge goes with initial: attributes, and only with it")
        if self.shuffled and self.initial != "attributes":
            raise ValueError("shuffled goes with initial: attributes; initial: features reads none")
        return self

    @property
    def needs_attributes(self) -> bool:
        return self.initial == "attributes"


class GatedFusion(Idea):
    """Cross-attention from f3 to tokens, behind a gate that starts closed (after MetaWild, Li et al. 2025)."""

    kind: Literal["gated_fusion"]
    tokens: Literal["joints", "attributes"]
    heads: PositiveInt
    width: PositiveInt  # of the tokens
    supervise: Literal["fused", "both"]  # what the losses see in the place of f3: the fused feature, or both
    ranked: Literal["image", "fused"]  # what is ranked beside f2: f3, or the fused feature
    closed: bool  # control: the gate stays closed, so that no token reaches the encoder
    shuffled: bool  # control: joints of another image, or attributes permuted among the training identities

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "GatedFusion":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    @model_validator(mode="after")
    def _attributes_end_with_training(self) -> "GatedFusion":
        if self.tokens == "attributes" and self.ranked == "fused":
            raise ValueError("tokens attributes are of identities, which are unknown at test; use ranked: image")
        return self

    @property
    def needs_attributes(self) -> bool:
        return self.tokens == "attributes"

    @property
    def needs_pose(self) -> bool:
        return self.tokens == "joints"

    @property
    def ranks_pose(self) -> bool:
        return self.ranked == "fused"


class Pooled(Idea):
    """Vectors pooled from the encoder's maps."""

    # Of `joints` two are destroyed (`other_joints`: of another image; `mean_joints`: of all), and two know no joints.
    pools: Literal["joints", "other_joints", "mean_joints", "stripes", "global"]
    sigma: PositiveFloat | None = None  # of the Gaussians around joints, as share of the input's height
    doubt: PositiveFloat | None = None  # confidence with which a joint keeps half its way from where it usually is
    count: PositiveInt | None = None  # of pools that are not around joints; joints have one a pair of them

    @property
    def around_joints(self) -> bool:
        return self.pools.endswith("joints")

    @property
    def needs_pose(self) -> bool:
        return self.around_joints

    @model_validator(mode="after")
    def _sigma_or_count(self) -> "Pooled":
        if (self.sigma is None) == self.around_joints or (self.count is None) != self.around_joints:
            raise ValueError(f"pools {self.pools!r}: sigma goes with pools around joints, count with all other pools")
        if self.doubt is not None and (not self.around_joints or self.pools == "mean_joints"):
            raise ValueError(f"pools {self.pools!r}: doubt goes with joints and other_joints")
        return self


class JointDescriptors(Pooled):
    """Local descriptors, supervised by identity and triplet losses of their own."""

    kind: Literal["joint_descriptors"]
    maps: Annotated[list[Map], Field(min_length=1)]
    dim: PositiveInt  # of each pool of each map
    weight: NonNegativeFloat  # 0: the descriptors do not reach the encoder


class HeadsAndDescriptors(OfAttributes):
    """Attribute heads and local descriptors in one training; each has its controls as its own keys."""

    kind: Literal["heads_and_descriptors"]
    heads: AttributeHeads
    descriptors: JointDescriptors

    @property
    def needs_predictions(self) -> bool:
        return self.heads.needs_predictions

    @property
    def needs_pose(self) -> bool:
        return self.descriptors.needs_pose


class JointParts(Pooled):
    """Parts of the last map, with an identity loss on all of them and a triplet loss on those that two images show."""

    kind: Literal["joint_parts"]
    dim: PositiveInt  # of each part
    visible: Fraction  # a part is, from this share of the confidence on that its joints usually have
    weight: NonNegativeFloat  # 0: the parts do not reach the encoder


class JointChannels(Idea):
    """Heat maps of the joints as further channels of the image, and their reconstruction from the late map."""

    kind: Literal["joint_channels"]
    sigma: PositiveFloat  # of the Gaussians, as share of the input's height
    left_out: Fraction  # of the training images, whose channels are empty
    weight: NonNegativeFloat  # of the reconstruction; 0: it does not reach the encoder
    shuffled: bool  # control: the joints of another image, in training and at test
    blank: bool  # control: all channels are empty, in training and at test

    @model_validator(mode="after")
    def _blank_channels_are_nobodys(self) -> "JointChannels":
        if self.blank and self.shuffled and not self.weight:
            raise ValueError(
                "blank: true with weight 0 reads no joints that shuffled could exchange; use shuffled: false"
            )
        return self

    @property
    def needs_pose(self) -> bool:
        return True

    @property
    def ranks_pose(self) -> bool:
        return not self.blank

    @property
    def widens_input(self) -> bool:
        return True


AuxiliaryConfig = Annotated[
    AttributeHeads
    | AttributeHard
    | SecondHead
    | Prototypes
    | GatedFusion
    | JointDescriptors
    | HeadsAndDescriptors
    | JointParts
    | JointChannels,
    Field(discriminator="kind"),
]
