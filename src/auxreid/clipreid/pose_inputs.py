"""The pose of training and test images as the fusion takes it: `pose(rows, mirrored, images) -> [b, p]`.

Keypoints and heat maps were precomputed on the images as they are; those of a mirrored image are mirrored here. The
random crop of at most ten pixels is not followed, as in the thesis.
"""

from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clipreid.body_coordinates import body_coordinates
from auxreid.pose.architecture import IMAGENET_MEAN, IMAGENET_STD
from auxreid.pose.checkpoint import load_checkpoint
from auxreid.pose.joints import flip_indices
from auxreid.pose.predict import GRID, pose_embedding
from auxreid.pose.table import KeypointTable, frame_rows, read_keypoints
from auxreid.training.batch_norm import share_batch_norms


class PoseInput(Protocol):
    """The pose of a batch; `drifting` are the networks by name that change while it is asked for."""

    drifting: dict[str, nn.Module]

    def __call__(self, rows: np.ndarray, mirrored: np.ndarray, images: Tensor) -> Tensor:
        """Rows [b], mirrored bool [b], uint8 images [b, h, w, 3] -> [b, p]"""


def open_pose(path: str | Path, frames, config) -> tuple[PoseInput, int]:
    """The pose input that `ablations.<row>.pose` asks for, and its number of joints.

    Args:
        path: a keypoint table of the data set, or HRNet's checkpoint for source hrnet_in_train_mode.
        frames: the n frames that rows count in.

    Raises:
        DataError: the file cannot be read or lacks one of the frames.
    """
    if config.source == "hrnet_in_train_mode":
        drifting = DriftingHRNet(Path(path))
        return drifting, len(drifting.spec.joints)
    table = read_keypoints(Path(path))
    if config.source == "hrnet":
        return HeatMaps(table, frames, config.swap_joints, str(path)), len(table.joints)
    made = BodyKeypoints if config.coordinates == "body" else Keypoints
    return made(table, frames, config.swap_joints, str(path)), len(table.joints)


class Keypoints:
    """Coordinates as shares of the image's width and height, [b, 2J]: x, y joint after joint."""

    drifting: ClassVar[dict[str, nn.Module]] = {}

    def __init__(self, table: KeypointTable, frames, swap_joints: bool, source: str):
        found = frame_rows(table, frames, source)
        self.points = table.keypoints[found][..., :2] / frames.size[:, None, :]  # [n, J, 2]
        self.order = _mirror_order(table.joints, swap_joints)

    def __call__(self, rows: np.ndarray, mirrored: np.ndarray, images: Tensor | None = None) -> Tensor:
        points = self.points[rows].astype(np.float32)  # [b, J, 2], a copy
        flipped = points[mirrored]
        flipped[..., 0] = 1 - flipped[..., 0]
        points[mirrored] = flipped[:, self.order]
        return torch.from_numpy(points.reshape(len(rows), -1))


class BodyKeypoints:
    """Coordinates in the body's own frame, [b, 2J]: x, y joint after joint."""

    drifting: ClassVar[dict[str, nn.Module]] = {}

    def __init__(self, table: KeypointTable, frames, swap_joints: bool, source: str):
        pixels = table.keypoints[frame_rows(table, frames, source)][..., :2]  # [n, J, 2]
        mirrored = pixels[:, _mirror_order(table.joints, swap_joints)]
        mirrored[..., 0] = frames.size[:, :1] - mirrored[..., 0]
        both = [body_coordinates(one, table.joints).astype(np.float32) for one in (pixels, mirrored)]
        self.points = np.stack(both)  # [2, n, J, 2], as they are and mirrored

    def __call__(self, rows: np.ndarray, mirrored: np.ndarray, images: Tensor | None = None) -> Tensor:
        return torch.from_numpy(self.points[mirrored.astype(np.int64), rows].reshape(len(rows), -1))


class HeatMaps:
    """HRNet's heat maps pooled to the 8 x 4 grid, [b, J * 32]."""

    drifting: ClassVar[dict[str, nn.Module]] = {}

    def __init__(self, table: KeypointTable, frames, swap_joints: bool, source: str):
        found = frame_rows(table, frames, source)
        self.maps = table.embedding[found].reshape(len(found), len(table.joints), *GRID)  # [n, J, 8, 4]
        self.order = _mirror_order(table.joints, swap_joints)

    def __call__(self, rows: np.ndarray, mirrored: np.ndarray, images: Tensor | None = None) -> Tensor:
        maps = self.maps[rows]  # [b, J, 8, 4], a copy
        maps[mirrored] = maps[mirrored][:, self.order, :, ::-1]
        return torch.from_numpy(maps.reshape(len(rows), -1))


class DriftingHRNet:
    """The thesis's form of hrnet_mean_norm: a frozen HRNet left in training mode, run on every training batch.

    Its weights do not change, but its batch norms use the batch's statistics, of all processes together, and drift with
    them. It sees the batch as it is augmented, before erasing.
    """

    def __init__(self, path: Path):
        self.net, self.spec = load_checkpoint(path)
        share_batch_norms(self.net.train().requires_grad_(False))
        self.drifting = {"hrnet": self.net}
        self.scale = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)

    @torch.no_grad()
    def __call__(self, rows: np.ndarray, mirrored: np.ndarray, images: Tensor) -> Tensor:
        self.net.to(images.device)
        mean, std = (values.to(images.device, non_blocking=True) for values in self.scale)
        pixels = ((images.float() - mean) / std).permute(0, 3, 1, 2)  # [b, 3, h, w]
        size = (self.spec.height, self.spec.width)
        if pixels.shape[2:] != size:
            pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
        return pose_embedding(self.net.head(self.net.extract_feat(pixels)))


def _mirror_order(joints: tuple[str, ...], swap: bool) -> list[int]:
    return flip_indices(joints) if swap else list(range(len(joints)))
