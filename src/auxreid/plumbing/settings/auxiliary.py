"""What a row adds to stage 2 (`auxiliary` of its block): one class per idea, told apart by `kind`.

`kind` is the module of `auxreid.auxiliary` that computes it. Every idea has its controls as values of its own keys: the
information left out, and the information destroyed.
"""

from typing import Annotated, Literal

from pydantic import Field

from auxreid.plumbing.settings.section import NonNegativeFloat, Section

Map = Literal["middle", "late"]


class Idea(Section):
    """What an idea reads beside the images: nothing, where its class does not say otherwise."""

    @property
    def needs_attributes(self) -> bool:
        """Whether training reads the identities' attributes."""
        return False

    @property
    def needs_pose(self) -> bool:
        """Whether training reads the data set's keypoint table, as Context.keypoints."""
        return False

    @property
    def ranks_pose(self) -> bool:
        """Whether the images that are ranked need their keypoints too, as Context.keypoints."""
        return False


class AttributeHeads(Idea):
    """A classifier per attribute on f2 (after Lin et al. 2019)."""

    kind: Literal["attribute_heads"]
    weight: NonNegativeFloat  # of the sum over heads; 0: the heads do not reach the encoder
    shuffled: bool  # control: attributes permuted among the training identities

    @property
    def needs_attributes(self) -> bool:
        return True


AuxiliaryConfig = Annotated[AttributeHeads, Field(discriminator="kind")]
