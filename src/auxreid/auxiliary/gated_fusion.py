"""Cross-attention from f3 to tokens of what else is known, behind a gate that starts closed: in the place of a linear
layer on both (after the adapter of MetaWild, Li et al. 2025; the gate as Flamingo's, Alayrac et al. 2022).

Tokens of joints are there at test too, and the fused feature may be ranked. Those of attributes are not: the true words
of a test image are its identity's, and predicted ones are agreed on among the images of an identity (data/labels.py).
So they are privileged information: the training alone sees them, and f3 itself is ranked.
"""

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.identity_attributes import UNKNOWN
from auxreid.clipreid.training_attributes import training_attributes
from auxreid.pose.joint_places import JointPlaces, check_joints, open_places


class GatedFusion(Auxiliary):
    """f3 + tanh(gate) * W attention(query: f3, keys and values: tokens), which a subclass makes by `tokens`.

    Args:
        width: of f3.
        config: `auxiliary` of the row.
    """

    def __init__(self, width: int, config):
        super().__init__()
        self.both = config.supervise == "both"
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.width))
        self.attention = nn.MultiheadAttention(config.width, config.heads, batch_first=True)
        self.result = nn.Linear(config.width, width)
        self.gate = nn.Parameter(torch.zeros(()), requires_grad=not config.closed)

    def fused(self, f3: Tensor, tokens: Tensor) -> Tensor:
        """f3 [b, d] and tokens [b, t, w] -> [b, d]"""
        found, _ = self.attention(self.query(f3)[:, None], tokens, tokens, need_weights=False)
        return f3 + torch.tanh(self.gate) * self.result(found[:, 0])

    def dims(self, dims):
        """With `supervise: both`, f3 stays supervised beside the fused feature."""
        return (*dims, dims[2]) if self.both else dims

    def forward(self, features, observed, labels):
        """Terms: `gate`, how far it is open; nothing is added to the loss."""
        fused = self.fused(features[2], self.tokens(observed, labels))
        opened = torch.tanh(self.gate.detach())
        supervised = (*features, fused) if self.both else (*features[:2], fused)
        return supervised, {"loss": torch.zeros_like(opened), "gate": opened}

    def rank(self, features, observed):
        """The fused feature in f3's place."""
        return *features[:2], self.fused(features[2], self.tokens(observed, None))


class OfJoints(GatedFusion):
    """A token per joint: a linear map of its place and confidence, and what is learned of the joint."""

    def __init__(self, width: int, config, places: JointPlaces):
        super().__init__(width, config)
        self.places, self.ranked, self.facts = places, config.ranked == "fused", {"joints": list(places.joints)}
        self.joints = nn.Embedding(len(places.joints), config.width)
        self.place = nn.Linear(3, config.width)

    def inputs(self, rows, views):
        """x and y in shares of the input's sides, and confidence [b, J, 3]."""
        return (self.places(rows, views),)

    def observe(self, features, maps, inputs):
        return inputs

    def tokens(self, observed, labels):
        return self.place(observed[0]) + self.joints.weight


class OfAttributes(GatedFusion):
    """A token per attribute, learned for each of its words and for its being unknown.

    Args:
        codes: int64 [k, A] of the training identities, -1 where unknown.
        counts: of the words of each attribute.
    """

    def __init__(self, width: int, config, codes: np.ndarray, counts: tuple[int, ...]):
        super().__init__(width, config)
        sizes = np.array(counts) + 1  # the last is that of the unknown
        starts = np.cumsum(sizes) - sizes
        self.register_buffer("words", torch.from_numpy(starts + np.where(codes == UNKNOWN, counts, codes)))  # [k, A]
        self.embedding = nn.Embedding(int(sizes.sum()), config.width)

    def tokens(self, observed, labels):
        return self.embedding(self.words[labels])


def build(config, context: Context) -> GatedFusion:
    """For training. Raises DataError where the frames have no attributes, or the keypoint table lacks a frame."""
    width = context.encoder.dims[2]
    if config.tokens == "joints":
        return OfJoints(width, config, _places(config, context))
    known = training_attributes(context, config.shuffled)
    return OfAttributes(width, config, known.codes, tuple(map(len, known.words)))


def restore(config, facts, context: Context) -> GatedFusion:
    """For ranking, with tokens of joints. Raises DataError for joints other than those of the training."""
    places = _places(config, context)
    check_joints(places.joints, facts["joints"], context.keypoints)
    return OfJoints(context.encoder.dims[2], config, places)


def _places(config, context: Context) -> JointPlaces:
    size = context.encoder.input_config.height, context.encoder.input_config.width
    return open_places(context.keypoints, context.frames, size, "other" if config.shuffled else "own", context.seed)
