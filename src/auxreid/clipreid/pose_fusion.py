"""Pose fused with the image embedding (THESIS section 4, keypoints_* and hrnet_mean_norm)."""

import torch
from torch import Tensor, nn

from auxreid.clipreid.keypoint_encoder import KeypointEncoder
from auxreid.clipreid.normalisation import build_normalisation
from auxreid.pose.predict import GRID

INPUT_MOMENTUM = 0.1


class PoseFusion(nn.Module):
    """Linear(concat(norm(f3), norm(pose))): the projector whose weights Figure 13 shows.

    Keypoints go through a trainable encoder to f3's width first; HRNet's pooled heat maps are used as they are.

    Args:
        width: of f3, and of the result.
        joints: of the pose.
        config: ablations.<row>.pose.
    """

    def __init__(self, width: int, joints: int, config):
        super().__init__()
        self.width = width
        from_keypoints = config.source == "keypoints"
        self.encoder = KeypointEncoder(joints, width) if from_keypoints else nn.Identity()
        pose_width = width if from_keypoints else joints * GRID[0] * GRID[1]
        self.image_norm = build_normalisation(config.normalisation, config.detach_norm)
        self.pose_norm = build_normalisation(config.normalisation, config.detach_norm)
        self.projector = nn.Linear(width + pose_width, width)
        self.register_buffer("input_size", torch.zeros(2))  # running mean |input| of the projector, image and pose half

    def forward(self, f3: Tensor, pose: Tensor) -> Tensor:
        """f3 [b, d] and the pose, [b, 2J] coordinates or [b, J * 32] heat maps, -> fused feature [b, d]"""
        halves = self.image_norm(f3), self.pose_norm(self.encoder(pose))
        if self.training:
            self._note_sizes(halves)
        return self.projector(torch.cat(halves, dim=1))

    def halves(self) -> tuple[Tensor, Tensor]:
        """The projector's weights on the image half [d, d] and on the pose half [d, p]."""
        weight = self.projector.weight.detach()
        return weight[:, : self.width], weight[:, self.width :]

    def listening(self) -> dict[str, float]:
        """How much the fused feature listens to each half: mean |weight| times mean |input|."""
        sizes = self.input_size.tolist()
        return {
            name: half.abs().mean().item() * size
            for name, half, size in zip(("image", "pose"), self.halves(), sizes, strict=True)
        }

    def _note_sizes(self, halves: tuple[Tensor, Tensor]) -> None:
        now = torch.stack([half.detach().abs().mean() for half in halves])
        running = (1 - INPUT_MOMENTUM) * self.input_size + INPUT_MOMENTUM * now
        self.input_size = torch.where((self.input_size == 0).all(), now, running)
