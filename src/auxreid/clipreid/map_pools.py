"""The pools of an image's maps that a row's idea asks for: around its joints, or of a control that knows no joints."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clip.images import View
from auxreid.clip.maps import Cells, cells_of
from auxreid.clipreid.auxiliary import Context
from auxreid.pose.gaussians import global_pools, joint_pools, stripe_pools
from auxreid.pose.joint_places import JointPlaces, open_places

WHOSE = {"joints": "own", "other_joints": "other", "mean_joints": "mean"}  # joints, by the name of the pools


class MapPools:
    """`count` pools of every map; joints that mirror each other share one.

    `mean_joints` are the mean over the training frames and follow an image's mirror and crop as its own joints do: they
    know how people stand in their images, and nothing of this one.
    """

    def __init__(self, config, encoder: nn.Module, places: JointPlaces | None):
        """`places` are None where the pools are not around joints."""
        self.config, self.encoder, self.places = config, encoder, places
        self.count = config.count if places is None else len(places.groups)
        self._kept: dict[tuple, Tensor | Cells] = {}  # by a map's size and device, to which they go once

    def inputs(self, rows: np.ndarray, views: Sequence[View]) -> tuple[Tensor, ...]:
        """What `weights` needs of images that are seen so: the places of their joints [b, J, 3], or nothing."""
        return () if self.places is None else (self.places(rows, views),)

    def weights(self, like: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        """Pools of a map [b, d, h, w]: [b, P, h, w] around joints, or [P, h, w] that are alike in all images."""
        key = *like.shape[2:], like.device
        if key not in self._kept:
            self._kept[key] = self._fixed(tuple(like.shape[2:]), like.device)
        if self.places is None:
            return self._kept[key]
        return joint_pools(inputs[0], self.places.groups, self._kept[key], self.config.sigma)

    def _fixed(self, size: tuple[int, int], device: torch.device) -> Tensor | Cells:
        """What does not depend on the images: the cells that joints are measured from, or the pools."""
        if self.places is not None:
            cells = cells_of(self.encoder, size)
            return Cells(cells.y.to(device), cells.x.to(device), cells.aspect)
        return {"stripes": stripe_pools, "global": global_pools}[self.config.pools](self.count, size).to(device)


def open_pools(config, context: Context) -> MapPools:
    """The pools that the `pools` of an idea's settings name. Raises DataError as `open_places`."""
    size = context.encoder.input_config
    places = None
    if config.pools in WHOSE:
        whose = WHOSE[config.pools]
        places = open_places(context.keypoints, context.frames, (size.height, size.width), whose, context.seed)
    return MapPools(config, context.encoder, places)


class PoolProjections(nn.Module):
    """A linear layer of its own for each pool: [b, P, d] -> [b, P, e].

    Shared, it would make one vector P times of the control whose pools are all the whole map; and what whitens a pool
    when images are ranked by it is each pool's own as well. It has no bias, which distances and batch norms take out.
    """

    def __init__(self, pools: int, width: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(pools, width, dim) * width**-0.5)

    def forward(self, vectors: Tensor) -> Tensor:
        return torch.einsum("bpd,pde->bpe", vectors, self.weight)
