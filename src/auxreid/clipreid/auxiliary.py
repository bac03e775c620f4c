"""What a row may add to stage 2: information beside the image, and what the training makes of it.

An idea is a module of `auxreid.auxiliary` with `build` and, where the row needs it when it is ranked, `restore`. The
loop knows no idea, and an idea is in no other row's code: `auxiliary.kind` of the row names the module, and the row's
stages depend on the hash of that module's code alone (results/sources/ideas/<kind>.json).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from auxreid.clip.image_towers import Features
from auxreid.clip.images import View
from auxreid.data.sampler import identity_batches

ROOM = "auxreid.auxiliary"


@dataclass(frozen=True)
class Context:
    """What an idea is built from."""

    encoder: nn.Module  # with .dims and .input_config; an idea may change it in place
    frames: Any  # those that rows count in: training frames, or those that are embedded
    classes: np.ndarray | None  # the training identities in 0..k-1 [n]; None at test
    keypoints: Path | None  # the data set's keypoint table, if the row names a pose for it
    settings: Any  # the finetune section; None at test
    seed: int


class Auxiliary(nn.Module):
    """An idea in the training loop; each hook does nothing by itself.

    Its parameters are trained with the encoder's. What it computes of single images is `observe`, on a process's own
    rows; `forward` sees the whole batch.
    """

    maps: tuple[str, ...] = ()  # of the encoder, as clip/maps.py names them
    facts: dict[str, Any] = {}  # noqa: RUF012 (set per instance): what `restore` must know, as JSON
    ranked = False  # whether it takes part when images are ranked; then `restore` is there

    def batches(self, identities: np.ndarray, settings, rng: np.random.Generator) -> list[np.ndarray]:
        """An epoch's batches of rows; P x K by itself."""
        return identity_batches(identities, settings.identities, settings.instances, rng)

    def inputs(self, rows: np.ndarray, views: Sequence[View]) -> tuple[Tensor, ...]:
        """What is known of images that are seen so, each [b, ...]."""
        return ()

    def images(self, images: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
        """The images [b, c, h, w], normalised and erased, as the encoder shall see them."""
        return images

    def observe(self, features: Features, maps: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the losses need of each image beside its features, each [b, ...]."""
        return ()

    def dims(self, dims: tuple[int, ...]) -> tuple[int, ...]:
        """The widths of the features that `forward` gives the losses of CLIP-ReID."""
        return dims

    def forward(
        self, features: tuple[Tensor, ...], observed: tuple[Tensor, ...], labels: Tensor
    ) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """The features that the losses of CLIP-ReID see, and further terms by name.

        The terms are unweighted, as they are logged; "loss" is what they add to the loss, and is there if any is.
        labels [b] in 0..k-1.
        """
        return features, {}

    def rank(self, features: Features, observed: tuple[Tensor, ...]) -> Features:
        """The features of which (f2, f3) is ranked, for an idea that is `ranked`."""
        return features


def build_auxiliary(config, context: Context) -> Auxiliary:
    """The idea that a row's `auxiliary` names, for training. Raises what the idea raises."""
    return _module(config.kind).build(config, context)


def restore_auxiliary(config, facts: dict[str, Any], tensors: dict[str, Tensor], context: Context) -> Auxiliary:
    """A trained idea in eval mode, for frames to be ranked; `context.encoder` becomes the one that it was trained with.

    Its module's `restore(config, facts, context)` makes it, and the tensors are its own.
    """
    auxiliary = _module(config.kind).restore(config, facts, context)
    auxiliary.load_state_dict(tensors)
    return auxiliary.eval()


def _module(kind: str):
    return import_module(f"{ROOM}.{kind}")
