"""Stage 2 on few small frames by an encoder that takes no time, with and without what a row adds."""

from pathlib import Path

import numpy as np
import torch
from params import finetune_settings
from pydantic import TypeAdapter
from small_frames import small_frames
from tiny_encoder import TinyEncoder

from auxreid.clipreid.auxiliary import Auxiliary, Context, build_auxiliary
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.stage2_losses import Supervision
from auxreid.data.frames import Frames
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig

VOCABULARY = {"colour": ["red", "green", "blue"], "size": ["small", "large"], "hat": ["yes", "no"]}
WORDS = {
    1: {"colour": "red", "size": "small", "hat": "yes"},
    2: {"colour": "red", "size": "large", "hat": None},
    3: {"colour": "green", "size": "large", "hat": "no"},
    4: {"colour": "blue", "size": "large", "hat": "no"},
}
CLASSES = np.repeat(np.arange(4), 3)
DIMS, SIZE = (3, 5, 4), (8, 4)


def tiny_settings(**changes):
    """Two epochs on 2 x 2 images."""
    few = {"epochs": 2, "identities": 2, "instances": 2, "milestones": [2], "warmup_epochs": 0, "erasing": 0.0}
    return finetune_settings(**few | {"lr": 1e-2} | changes)


def few_people(folder: Path) -> Frames:
    """Three frames each of four people, of whom VOCABULARY and WORDS tell."""
    return small_frames(folder / "frames.arrow", CLASSES + 1, size=SIZE[::-1], vocabulary=VOCABULARY, words=WORDS)


def built(frames: Frames, config: dict | None, settings) -> tuple[TinyEncoder, Auxiliary | None]:
    """An encoder, and the idea that `auxiliary: config` of a row names."""
    torch.manual_seed(0)
    encoder = TinyEncoder(DIMS, SIZE)
    if config is None:
        return encoder, None
    torch.manual_seed(0)
    parsed = TypeAdapter(AuxiliaryConfig).validate_python(config)
    return encoder, build_auxiliary(parsed, Context(encoder, frames, CLASSES, Path(), settings, 0))


def trained(
    frames: Frames, config: dict | None = None, **changes
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]], Auxiliary | None]:
    """The encoder's weights after a training without texts, what it reported, and the idea."""
    settings, curve = tiny_settings(**changes), []
    encoder, auxiliary = built(frames, config, settings)
    finetune_encoder(
        encoder, frames, CLASSES, Supervision(), settings, 0, lambda means, _: curve.append(means), auxiliary=auxiliary
    )
    return encoder.state_dict(), curve, auxiliary


def same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether they are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
