"""Test embeddings of a row, with what was trained beside its encoder."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clip.checkpoints import AuxiliaryHeader, Beside
from auxreid.clip.embed import Encode, encode_frames
from auxreid.clip.images import MIRRORED, PLAIN, View
from auxreid.clip.maps import captured
from auxreid.clipreid.auxiliary import Auxiliary, Context, restore_auxiliary
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import open_pose
from auxreid.plumbing.base.errors import DataError
from auxreid.training.precision import FULL, lengthened

Observe = Callable[[dict[str, Tensor], np.ndarray, View], tuple[Tensor, ...]]


def embed_for_ranking(
    encoder, beside: tuple[Beside, dict] | None, frames, pose_file: str | Path | None, precision: str = FULL
) -> np.ndarray:
    """Embedding that is ranked, before the BNNeck, L2-normalised (THESIS section 3).

    Args:
        encoder: an image tower with `.input_config`.
        beside: what its checkpoint has beside it, as `load_ranked_encoder` gives it.
        pose_file: the data set's keypoint table; it is read only where what is beside it takes a pose when it ranks.
        precision: of the encoder.

    Returns:
        float32 [n, d2 + d3]: concat(f2, f3), with the fused feature as f3 where the row ranks it.

    Raises:
        DataError: the table lacks a frame or has other joints than the fusion was trained with.
    """
    return embed_and_observe(encoder, beside, frames, pose_file, precision)[0].numpy()


def embed_and_observe(
    encoder,
    beside: tuple[Beside, dict] | None,
    frames,
    pose_file: str | Path | None,
    precision: str = FULL,
    observe: Observe = lambda maps, rows, view: (),
    maps: Sequence[str] = (),
    mirror: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The embedding [n, d] of :func:`embed_for_ranking`, and what else is observed in the same pass, each [n, ...].

    Args:
        observe: of the encoder's maps by name, each [b, d, h, w], the batch's rows [b] and how they are seen -> tensors
            [b, ...].
        maps: those that it reads, as clip/maps.py names them.
        mirror: features, and what is observed, are the means over each image and its mirror image.
    """
    auxiliary = None
    if beside is not None and isinstance(beside[0], AuxiliaryHeader):
        context = Context(encoder, frames, None, pose_file, None, 0)
        auxiliary = restore_auxiliary(beside[0].config, beside[0].facts, beside[1], context)

    def seen(encode: Encode, view: View) -> Encode:
        inner = encode if auxiliary is None else _with_auxiliary(encode, encoder, auxiliary, view)
        return _with_maps(inner, encoder, partial(observe, view=view), maps)

    def wrap(encode: Encode) -> Encode:
        return _mean(seen(encode, PLAIN), seen(encode, MIRRORED)) if mirror else seen(encode, PLAIN)

    encoded = encode_frames(encoder, frames, encoder.input_config, precision=precision, around=wrap)
    _, f2, f3, *observed = encoded
    if beside is not None and not isinstance(beside[0], AuxiliaryHeader) and beside[0].pose.rank == "fused":
        f3 = _fuse(f3, *beside, pose_file, frames)
    return F.normalize(torch.cat([f2, f3], dim=1), dim=1), tuple(observed)


def _mean(plain: Encode, mirrored: Encode) -> Encode:
    """The mean of what an image [h, w] and its mirror image give."""

    def encode_both(images: Tensor, rows: np.ndarray) -> tuple[Tensor, ...]:
        both = zip(plain(images, rows), mirrored(images.flip(3), rows), strict=True)
        return tuple((one + other) / 2 for one, other in both)

    return encode_both


def _with_maps(encode: Encode, encoder: nn.Module, observe: Callable, names: Sequence[str]) -> Encode:
    """The features, and behind them what is observed of the maps."""

    def encode_and_observe(images: Tensor, rows: np.ndarray) -> tuple[Tensor, ...]:
        with captured(encoder, names) as maps:
            features = encode(images, rows)
        return *features, *observe({name: lengthened(found) for name, found in maps.items()}, rows)

    return encode_and_observe


def _with_auxiliary(encode: Encode, encoder: nn.Module, auxiliary: Auxiliary, view: View) -> Encode:
    """The features of images [b, c, h, w], seen so, with what the row's idea makes of them."""
    auxiliary.to(next(encoder.parameters()).device)

    def encode_with(images: Tensor, rows: np.ndarray) -> tuple[Tensor, ...]:
        known = tuple(one.to(images.device) for one in auxiliary.inputs(rows, [view] * len(rows)))
        with captured(encoder, auxiliary.maps) as maps:
            features = encode(auxiliary.images(images, known), rows)
        return auxiliary.rank(features, auxiliary.observe(features, maps, known))

    return encode_with


@torch.no_grad()
def _fuse(f3: torch.Tensor, header, tensors: dict, pose_file: str, frames) -> torch.Tensor:
    inputs, joints = open_pose(pose_file, frames, header.pose)
    if joints != header.joints:
        raise DataError(f"{pose_file}: has {joints} joints, the fusion was trained with {header.joints}")
    fusion = PoseFusion(f3.shape[1], joints, header.pose)
    fusion.load_state_dict(tensors)
    rows = np.arange(len(frames))
    return fusion.eval()(f3, inputs(rows, np.zeros(len(rows), dtype=bool)))
