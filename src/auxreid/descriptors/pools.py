"""What a row with `rank` takes from an encoder's maps: pools of whole images, or of their mirror images too."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from auxreid.clip.images import View
from auxreid.clipreid.auxiliary import Context
from auxreid.clipreid.fused_embedding import Observe
from auxreid.clipreid.map_pools import MapPools, open_pools
from auxreid.pose.gaussians import pooled
from auxreid.pose.joint_places import JointPlaces


def pools_of(config, encoder, frames, pose_file: str | Path | None, seed: int, usual: Tensor | None = None) -> MapPools:
    """The pools of a row on these frames.

    Args:
        config: the row's `rank`.
        pose_file: a keypoint table of the frames; read where pools are at joints.
        seed: draws whose joints other_joints takes.
        usual: where joints usually are [J, 3]; by itself the mean over these frames.

    Raises:
        DataError: the table cannot be read, lacks a frame, or its joints have no counterparts.
    """
    known = None if usual is None else usual.numpy()
    return open_pools(config, Context(encoder, frames, None, pose_file, None, seed), known)


def pools_at(config, encoder, places: Tensor, joints: Sequence[str], count: int) -> MapPools:
    """Pools at the same joints [J, 3] in all of `count` frames."""
    size = encoder.input_config
    same = np.broadcast_to(places.numpy(), (count, *places.shape))
    return MapPools(config, encoder, JointPlaces(same, joints, (size.height, size.width)))


def observing(pools: MapPools, names: Sequence[str]) -> Observe:
    """Maps [b, d, h, w] by name and rows [b] of the frames -> [b, P * d] per map, in the order of the names."""

    def observe(maps: dict[str, Tensor], rows: np.ndarray, view: View) -> tuple[Tensor, ...]:
        inputs = pools.inputs(rows, [view] * len(rows))
        return tuple(_pooled(maps[name], pools, inputs) for name in names)

    return observe


def _pooled(found: Tensor, pools: MapPools, inputs: tuple[Tensor, ...]) -> Tensor:
    return pooled(found, pools.weights(found, tuple(one.to(found.device) for one in inputs))).flatten(1)
