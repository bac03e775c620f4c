"""Attributes and joints together: attribute heads on f2 beside local descriptors at the joints, each with its loss."""

from auxreid.auxiliary import attribute_heads, joint_descriptors
from auxreid.auxiliary.attribute_heads import AttributeHeads
from auxreid.auxiliary.joint_descriptors import JointDescriptors
from auxreid.clipreid.auxiliary import Auxiliary, Context


class HeadsAndDescriptors(Auxiliary):
    """The losses of both are added, and neither sees what the other does."""

    def __init__(self, heads: AttributeHeads, descriptors: JointDescriptors):
        super().__init__()
        self.heads, self.descriptors, self.maps = heads, descriptors, descriptors.maps
        self.of_heads = int(heads.of_images)  # how many of what `inputs` and `observe` give are theirs, the first ones

    def inputs(self, rows, views):
        return (*self.heads.inputs(rows, views), *self.descriptors.inputs(rows, views))

    def observe(self, features, maps, inputs):
        heads, descriptors = inputs[: self.of_heads], inputs[self.of_heads :]
        return (*self.heads.observe(features, maps, heads), *self.descriptors.observe(features, maps, descriptors))

    def forward(self, features, observed, labels):
        """Terms: those of both."""
        features, first = self.heads(features, observed[: self.of_heads], labels)
        features, second = self.descriptors(features, observed[self.of_heads :], labels)
        return features, first | second | {"loss": first["loss"] + second["loss"]}


def build(config, context: Context) -> HeadsAndDescriptors:
    """For training. Raises what both raise."""
    heads = attribute_heads.build(config.heads, context)
    return HeadsAndDescriptors(heads, joint_descriptors.build(config.descriptors, context))
