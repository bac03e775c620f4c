"""What a row adds to stage 2 (`auxiliary` of its block): one class per idea, told apart by `kind`.

`kind` is the module of `auxreid.auxiliary` that computes it. Every idea has its controls as values of its own keys: the
information left out, and the information destroyed.
"""

from typing import Annotated, Literal

from pydantic import Field

from auxreid.plumbing.settings.section import NonNegativeFloat, Section

Map = Literal["middle", "late"]


class AttributeHeads(Section):
    """A classifier per attribute on f2 (after Lin et al. 2019)."""

    kind: Literal["attribute_heads"]
    weight: NonNegativeFloat  # of the sum over heads; 0: the heads do not reach the encoder
    shuffled: bool  # control: attributes permuted among the training identities


AuxiliaryConfig = Annotated[AttributeHeads, Field(discriminator="kind")]
NEEDS_ATTRIBUTES = ("attribute_heads",)
NEEDS_POSE = ()
