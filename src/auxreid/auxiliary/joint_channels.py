"""Heat maps of the joints as further channels of the image, and their reconstruction from inside the encoder (after
Moskvyak et al., Keypoint-aligned embeddings for image retrieval and re-identification, 2020).

The first convolution begins with zero weights on them, so that training starts from the encoder as it is. A share of
the training images comes with empty channels: what tells where the joints are must then be found in the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clip.images import View
from auxreid.clip.input_channels import widen_input
from auxreid.clip.maps import Cells, map_width
from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.plumbing.base.errors import ConfigError
from auxreid.pose.gaussians import heat_maps, pixels_of
from auxreid.pose.joint_places import JointPlaces, check_joints, open_places

MAP = "late"


class JointChannels(Auxiliary):
    """A channel per joint: a Gaussian as high as the joint's confidence. Loss: weight * |m - r W map|^2 / |m|^2, with m
    the channels in the map's cells, also of images that came without them, and r their root mean square over the batch:
    a few cells of a channel are not 0, and W would overshoot so small numbers. It is 1 for a reconstruction of zeros.

    Args:
        places: of the images' joints; None where the channels stay empty and nothing is reconstructed.
        facts: `joints`, their names; `width` of the late map; `seed`.
    """

    maps = (MAP,)
    ranked = True

    def __init__(self, config, encoder: nn.Module, places: JointPlaces | None, facts: dict[str, Any]):
        super().__init__()
        self.config, self.places, self.facts = config, places, facts
        y, x, self.aspect = pixels_of(encoder)
        self.register_buffer("y", y, persistent=False)
        self.register_buffer("x", x, persistent=False)
        self.reconstruct = nn.Conv2d(facts["width"], len(facts["joints"]), 1)

    def inputs(self, rows, views):
        """Places [b, J, 3], and whether the channels are given, 0 or 1 [b]."""
        if self.places is None:
            return ()
        return self.places(rows, views), torch.from_numpy(self.given(rows, views))

    def given(self, rows: np.ndarray, views: Sequence[View]) -> np.ndarray:
        """1 where the channels are there, float32 [b]; drawn by image, view and seed, whichever process asks."""
        if self.config.blank:
            return np.zeros(len(rows), np.float32)
        if not self.training:
            return np.ones(len(rows), np.float32)
        keys = ((self.facts["seed"], int(row), *map(int, view)) for row, view in zip(rows, views, strict=True))
        draws = np.array([np.random.default_rng(key).random() for key in keys])
        return (draws >= self.config.left_out).astype(np.float32)

    def images(self, images, inputs):
        """[b, 3, h, w] -> [b, 3 + J, h, w]"""
        if inputs:
            channels = inputs[1][:, None, None, None] * self.channels(inputs[0])
        else:
            channels = images.new_zeros(len(images), len(self.facts["joints"]), *images.shape[2:])
        return torch.cat([images, channels], dim=1).contiguous(memory_format=torch.channels_last)

    def channels(self, places: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """[b, J, h, w] of the image's size, or in the means over the cells of a map of `size`."""
        pixels = Cells(self.y, self.x, self.aspect)
        return places[..., 2, None, None] * heat_maps(places, pixels, self.config.sigma, size)

    def observe(self, features, maps, inputs):
        """Means over channels and cells of p^2, p m and m^2 with p = W map, [b] each, while training."""
        if not (inputs and self.training):
            return ()
        wanted = self.channels(inputs[0], tuple(maps[MAP].shape[2:]))  # [b, J, h', w']
        found = self.reconstruct(maps[MAP].float())
        return tuple(one.mean((1, 2, 3)) for one in (found.square(), found * wanted, wanted.square()))

    def forward(self, features, observed, labels):
        """Terms: `reconstruction`, mean((r p - m)^2) / r^2 with r^2 = mean(m^2)."""
        found, both, wanted = (one.mean() for one in observed)
        root = wanted.clamp(min=torch.finfo(wanted.dtype).tiny).sqrt()
        missed = found - 2 * both / root + wanted / root.square()
        return features, {"loss": self.config.weight * missed, "reconstruction": missed}


def build(config, context: Context) -> JointChannels:
    """For training.

    Raises:
        ConfigError: the encoder lacks the late map, or was started from a row that has channels already.
        DataError: frames have no joints.
    """
    if getattr(context.encoder, "extra_channels", 0):
        raise ConfigError("joint_channels: the row's start has further input channels already; name another start")
    places = _places(config, context, context.seed)
    joints = list(places.joints)
    facts = {"joints": joints, "width": map_width(context.encoder, MAP), "seed": context.seed}
    widen_input(context.encoder, len(joints))
    return JointChannels(config, context.encoder, places, facts)


def restore(config, facts: dict[str, Any], context: Context) -> JointChannels:
    """For ranking. Raises DataError where the frames have other joints than it was trained with, or none."""
    places = None if config.blank else _places(config, context, facts["seed"])
    if places is not None:
        check_joints(places.joints, facts["joints"], context.keypoints)
    return JointChannels(config, context.encoder, places, facts)


def _places(config, context: Context, seed: int) -> JointPlaces:
    size, whose = context.encoder.input_config, "other" if config.shuffled else "own"
    return open_places(context.keypoints, context.frames, (size.height, size.width), whose, seed)
