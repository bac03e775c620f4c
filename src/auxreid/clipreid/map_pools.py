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

    def weights(self, like: Tensor, inputs: tuple[Tensor, ...], confident: bool = False) -> Tensor:
        """Pools of a map [b, d, h, w]: [b, P, h, w] around joints, or [P, h, w] that are alike in all images.

        Args:
            confident: of the joints of a pool, those that are seen better count for more.
        """
        key = *like.shape[2:], like.device
        if key not in self._kept:
            self._kept[key] = self._fixed(tuple(like.shape[2:]), like.device)
        if self.places is None:
            return self._kept[key]
        heights = inputs[0][..., 2] if confident else None
        return joint_pools(inputs[0], self.places.groups, self._kept[key], self.config.sigma, heights)

    def _fixed(self, size: tuple[int, int], device: torch.device) -> Tensor | Cells:
        """What does not depend on the images: the cells that joints are measured from, or the pools."""
        if self.places is not None:
            cells = cells_of(self.encoder, size)
            return Cells(cells.y.to(device), cells.x.to(device), cells.aspect)
        return {"stripes": stripe_pools, "global": global_pools}[self.config.pools](self.count, size).to(device)

    def confidences(self, inputs: tuple[Tensor, ...], like: Tensor) -> Tensor:
        """Of each pool the confidence of its surest joint [b, P]; 1 where the pools are not around joints.

        like: [b, P, ...] of the wanted type and device.
        """
        return like.new_ones(like.shape[:2]) if self.places is None else self._surest(inputs[0])

    def usual_confidences(self) -> Tensor:
        """Their medians over all frames, [P]."""
        if self.places is None:
            return torch.ones(self.count)
        return self._surest(torch.from_numpy(np.ascontiguousarray(self.places.places))).median(dim=0).values

    def _surest(self, places: Tensor) -> Tensor:
        known = places[..., 2].unbind(dim=1)  # [b] of each joint
        groups = ([known[joint] for joint in group] for group in self.places.groups)
        return torch.stack([torch.stack(group).amax(dim=0) for group in groups], dim=1)


def open_pools(config, context: Context, usual: np.ndarray | None = None) -> MapPools:
    """The pools that the `pools` of an idea's settings name. Arguments and errors as of `open_places`."""
    size = context.encoder.input_config
    places = None
    if config.pools in WHOSE:
        how = WHOSE[config.pools], context.seed, config.doubt, usual
        places = open_places(context.keypoints, context.frames, (size.height, size.width), *how)
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
