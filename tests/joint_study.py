"""What the tests of the ideas with joints train: frames with joints, a small convolutional tower, and the loop."""

from pathlib import Path

import numpy as np
import torch
from params import finetune_settings
from pydantic import TypeAdapter
from small_frames import small_frames
from torch import nn

from auxreid.clip.build import build_towers
from auxreid.clipreid.auxiliary import Auxiliary, Context, build_auxiliary
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.stage2_losses import Supervision
from auxreid.data.frames import Frames
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig
from auxreid.plumbing.settings.recipes import InputConfig, ResNetEncoderConfig, TextConfig
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints

JOINTS = ("neck", "left_hip", "right_hip")
HEIGHT, WIDTH = 64, 32
CLASSES = np.repeat(np.arange(3), 3)
SETTINGS = finetune_settings(
    epochs=2, identities=3, instances=2, lr=1e-2, milestones=[2], warmup_epochs=0, w_id=0.5, w_triplet=2.0, erasing=0.5
)


def joint_frames(folder: Path, **words) -> tuple[Frames, Path]:
    """Nine frames of three people, and their keypoint table; words: `vocabulary` and `words` of small_frames."""
    frames = small_frames(folder / "frames.arrow", (CLASSES + 1).tolist(), size=(WIDTH, HEIGHT), **words)
    points = np.random.default_rng(0).random((9, len(JOINTS), 3), np.float32) * [WIDTH, HEIGHT, 1]
    poses = Poses(points.astype(np.float32), np.zeros((9, len(JOINTS) * 32), np.float32))
    write_keypoints(folder / "keypoints.parquet", JOINTS, [(np.arange(9), poses)])
    return frames, folder / "keypoints.parquet"


def tower(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    text = TextConfig(width=16, heads=2, layers=1)
    config = ResNetEncoderConfig(kind="resnet", width=4, layers=(1, 1, 1, 1), embed_dim=8, text=text)
    encoder = build_towers(config, (HEIGHT, WIDTH))[0]
    encoder.encoder_config = config
    encoder.input_config = InputConfig(height=HEIGHT, width=WIDTH, mean=(0.5,) * 3, std=(0.5,) * 3)
    return encoder


def settings_of(block: dict):
    """A row's `auxiliary`, validated."""
    return TypeAdapter(AuxiliaryConfig).validate_python(block)


def idea(block: dict, data: tuple[Frames, Path], encoder: nn.Module, seed: int = 0) -> Auxiliary:
    """The idea of a block, with the weights of a seed."""
    torch.manual_seed(seed)
    return build_auxiliary(settings_of(block), Context(encoder, data[0], CLASSES, data[1], SETTINGS, seed))


def train(block: dict | None, data: tuple[Frames, Path]) -> tuple[nn.Module, Auxiliary | None, list[dict[str, float]]]:
    """Two epochs of a row with this `auxiliary`: the encoder, the idea and the curve."""
    encoder, curve = tower(), []
    added = None if block is None else idea(block, data, encoder)
    report = lambda metrics, epoch: curve.append(metrics)  # noqa: E731 (a callback)
    finetune_encoder(encoder, data[0], CLASSES, Supervision(), SETTINGS, 0, report, auxiliary=added)
    return encoder, added, curve


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)
