"""Descriptors fitted to an encoder on the training images of a data set, and images embedded by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.descriptors.header import DescriptorsHeader, weights_hash
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.pose.table import read_keypoints
from auxreid.training.precision import FULL

SHRINKAGE = 0.1


@dataclass(frozen=True)
class Descriptors:
    """What ranks images by an encoder that stays as it is."""

    header: DescriptorsHeader
    tensors: Mapping[str, Tensor]

    def embed(self, encoder, beside, frames, pose_file: str | Path | None, precision: str = FULL) -> np.ndarray:
        """Images as vectors float32 [n, d] whose squared Euclidean distance is the weighted sum of all distances.

        Args:
            encoder, beside: as `load_ranked_encoder` gives them.
            pose_file: the keypoint table of the frames, where the pools or what is beside the encoder take joints.

        Raises:
            DataError: the encoder or the joints are others than the descriptors were fitted to, or frames lack joints.
        """
        self.header.check_encoder(encoder)
        if self.header.rank.ranks_joints:
            self.header.check_joints(read_keypoints(Path(pose_file)).joints, pose_file)
        features = torch.from_numpy(embed_for_ranking(encoder, beside, frames, pose_file, precision))
        return F.normalize((features - self.tensors["mean"]) @ self.tensors["whitening"]).numpy()


def fit_descriptors(
    config: RankConfig,
    encoder,
    beside,
    frames_train,
    classes: np.ndarray,
    pose_file: Path | None,
    precision: str,
    seed: int,
) -> Descriptors:
    """Fit what a row's `rank` asks for on training images.

    Args:
        encoder, beside: as `load_ranked_encoder` gives them.
        frames_train: the n training frames.
        classes: their identities in 0..k-1 [n].
        pose_file: the data set's keypoint table, where the pools or what is beside the encoder take joints.
        seed: of what is drawn.
    """
    features = embed_for_ranking(encoder, beside, frames_train, pose_file, precision).astype(np.float64)
    means = np.stack([features[classes == one].mean(axis=0) for one in range(classes.max() + 1)])
    within = np.cov((features - means[classes]).T)
    within += SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    values, vectors = np.linalg.eigh(within)
    tensors = {"mean": features.mean(axis=0), "whitening": vectors / np.sqrt(values)}
    joints = read_keypoints(Path(pose_file)).joints if config.ranks_joints else ()
    header = DescriptorsHeader(rank=config, encoder=weights_hash(encoder), joints=joints, facts={})
    return Descriptors(header, {name: torch.from_numpy(one.astype(np.float32)) for name, one in tensors.items()})
