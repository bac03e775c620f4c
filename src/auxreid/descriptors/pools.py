"""Where a row with `rank` pools the maps of an encoder when images are ranked."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clip.maps import cells_of
from auxreid.pose.gaussians import global_pools, joint_pools, pooled, stripe_pools
from auxreid.pose.joint_places import another, frame_places, mirror_groups
from auxreid.pose.table import read_keypoints

AT_JOINTS = ("joints", "mean_joints", "other_joints")


class Pools:
    """`pools(maps, rows)`: pooled vectors of the maps of a batch.

    Args:
        config: the row's `rank`.
        encoder: with `.input_config`.
        places: joints of all frames, shares of width and height, [n, J, 3]; of mean_joints one for all, [1, J, 3]. None
            where nothing is pooled at joints.
        joints: their names.
    """

    def __init__(self, config, encoder: nn.Module, places: np.ndarray | None, joints: tuple[str, ...]):
        self.config, self.encoder, self.joints = config, encoder, joints
        self.places = None if places is None else torch.from_numpy(places)
        self.groups = mirror_groups(joints) if joints else []

    def __call__(self, maps: dict[str, Tensor], rows: np.ndarray) -> tuple[Tensor, ...]:
        """Maps [b, d, h, w] by name and rows [b] of the frames -> [b, P * d] per map, in the order of the config."""
        return tuple(self._pooled(maps[name], rows).flatten(1) for name in self.config.maps)

    def _pooled(self, found: Tensor, rows: np.ndarray) -> Tensor:
        size = found.shape[2], found.shape[3]
        if self.places is None:
            make = stripe_pools if self.config.pools == "stripes" else global_pools
            return pooled(found, make(self.config.count, size).to(found.device))
        places = self.places if len(self.places) == 1 else self.places[rows]  # [1 or b, J, 3]
        cells = cells_of(self.encoder, size)
        return pooled(found, joint_pools(places.to(found.device), self.groups, cells, self.config.sigma))


def open_pools(config, encoder: nn.Module, frames, pose_file: str | Path | None, seed: int) -> Pools:
    """The pools of a row on these frames; of mean_joints, at the mean joints of just these frames.

    Args:
        pose_file: a keypoint table of the frames; read where pools are at joints.
        seed: draws whose joints other_joints takes.

    Raises:
        DataError: the table cannot be read, lacks a frame, or its joints have no counterparts.
    """
    if config.pools not in AT_JOINTS:
        return Pools(config, encoder, None, ())
    table = read_keypoints(Path(pose_file))
    places = frame_places(table, frames, str(pose_file))  # [n, J, 3]
    if config.pools == "other_joints":
        places = places[another(len(places), seed)]
    elif config.pools == "mean_joints":
        places = places.mean(axis=0, keepdims=True)
    return Pools(config, encoder, places, table.joints)
