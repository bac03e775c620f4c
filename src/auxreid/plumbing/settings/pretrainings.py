"""Pre-trainings beside the plain one, of which a row may start (`start` of its block, `encoder` of its prompts)."""

from typing import Literal

from auxreid.plumbing.settings.section import NonNegativeFloat, PositiveInt, Section


class Pretraining(Section):
    """CLIP's pre-training by a recipe's `pretrain`, with a third tower beside image and text."""

    branch: Literal["pose", "attributes"]  # what the third tower sees: the places of joints, or the known words
    width: PositiveInt  # of its hidden layer
    weight: NonNegativeFloat  # of its two terms, against image and against text; 0: it does not reach the others
    shuffled: bool  # control: joints of another image, or attributes of another individual
