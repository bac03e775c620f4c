"""Test embeddings of a row whose fused feature is ranked."""

import numpy as np
import torch
from torch.nn import functional as F

from auxreid.clip.embed import encode_frames
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import open_pose
from auxreid.plumbing.base.errors import DataError
from auxreid.training.precision import FULL


def embed_for_ranking(encoder, fused: tuple | None, frames, pose_file: str, precision: str = FULL) -> np.ndarray:
    """Embedding that is ranked, before the BNNeck, L2-normalised (THESIS section 3).

    Args:
        encoder: an image tower with `.input_config`.
        fused: the fusion of its checkpoint, as `load_ranked_encoder` gives it.
        pose_file: the data set's keypoint table; it is read only where the fused feature is ranked.
        precision: of the encoder.

    Returns:
        float32 [n, d2 + d3]: concat(f2, f3), with the fused feature as f3 where the row ranks it.

    Raises:
        DataError: the table lacks a frame or has other joints than the fusion was trained with.
    """
    _, f2, f3 = encode_frames(encoder, frames, encoder.input_config, precision=precision)
    if fused is not None and fused[0].pose.rank == "fused":
        f3 = _fuse(f3, *fused, pose_file, frames)
    return F.normalize(torch.cat([f2, f3], dim=1), dim=1).numpy()


@torch.no_grad()
def _fuse(f3: torch.Tensor, header, tensors: dict, pose_file: str, frames) -> torch.Tensor:
    inputs, joints = open_pose(pose_file, frames, header.pose)
    if joints != header.joints:
        raise DataError(f"{pose_file}: has {joints} joints, the fusion was trained with {header.joints}")
    fusion = PoseFusion(f3.shape[1], joints, header.pose)
    fusion.load_state_dict(tensors)
    rows = np.arange(len(frames))
    return fusion.eval()(f3, inputs(rows, np.zeros(len(rows), dtype=bool)))
