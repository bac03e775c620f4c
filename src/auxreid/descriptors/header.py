"""What is known of descriptors beside their tensors, and whether an encoder and a pose are those that they fit."""

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.plumbing.settings.section import Section
from auxreid.pose.joint_places import check_joints


class DescriptorsHeader(Section):
    """How they are made, and what they were fitted to."""

    rank: RankConfig
    encoder: str  # hash of the weights, as :func:`weights_hash` has it
    joints: tuple[str, ...]  # names, as in the keypoint table; none where images are ranked without joints
    facts: dict[str, Any]  # what else must be known to embed by them

    def check_encoder(self, encoder: nn.Module) -> None:
        """Raises DataError for another encoder than they were fitted to."""
        if weights_hash(encoder) != self.encoder:
            raise DataError("the descriptors were fitted to another encoder's maps; take the one that their row ranks")

    def check_joints(self, joints: Sequence[str], source: object) -> None:
        """Raises DataError for other joints than they were fitted with; `source` is whose these are."""
        if self.joints:
            check_joints(joints, self.joints, source)


def weights_hash(encoder: nn.Module) -> str:
    """SHA-256 (hex) over all tensors of a network, wherever they lie."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
