"""Features of frames by an encoder, with or without its cameras."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.clip.images import PlainImages, loader, normalise
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.progress import track
from auxreid.training.precision import FULL, lengthened, tower_precision

Encode = Callable[[Tensor, np.ndarray], tuple[Tensor, ...]]  # images [b, 3, h, w] and their rows [b] -> [b, ...] each


@torch.no_grad()
def encode_frames(
    encoder: nn.Module,
    frames,
    input_config,
    batch_size: int = 128,
    precision: str = FULL,
    around: Callable[[Encode], Encode] = lambda encode: encode,
) -> tuple[torch.Tensor, ...]:
    """(f1 [n, d1], f2 [n, d2], f3 [n, d3]) of every frame, float32 on the CPU, without augmentation.

    Args:
        around: what else is done with each batch, made from the plain encoding of one: it may change the images before
            and the features after, and give other tensors [b, ...].

    They come from the device at the end, all at once: some 16 KB of its memory a frame for CLIP's RN50.

    Raises:
        DataError: as :func:`camera_places`.
    """
    device = _fastest_device(encoder)
    encoder.eval().to(device, memory_format=torch.channels_last)
    encode = around(row_encoder(encoder, frames, precision))
    images = PlainImages(frames, input_config.height, input_config.width)
    rows = np.array_split(np.arange(len(frames)), range(batch_size, len(frames), batch_size))
    batches = loader(images, batch_sampler=rows)
    parts = [
        encode(normalise(batch.to(device, non_blocking=True), input_config), part)
        for batch, part in zip(track(batches, "encoding batches"), rows, strict=True)
    ]
    return tuple(torch.cat(column).cpu() for column in zip(*parts, strict=True))


def _fastest_device(encoder: nn.Module) -> torch.device:
    """Where the encoder is; the GPU for one that was just read from a file, if there is one."""
    device = next(encoder.parameters()).device
    return torch.device("cuda") if device.type == "cpu" and torch.cuda.is_available() else device


def row_encoder(encoder: nn.Module, frames, precision: str = FULL) -> Encode:
    """`encode(images, rows)`: features, float32, of images [b, 3, h, w] that are the rows [b] of `frames`.

    An encoder with a camera embedding is told their cameras, any other sees the images alone.

    Raises:
        DataError: as :func:`camera_places`.
    """
    places = camera_places(encoder, frames)

    def encode(images: Tensor, rows: np.ndarray) -> tuple[Tensor, ...]:
        cameras = () if places is None else (places[rows].to(images.device, non_blocking=True),)
        with tower_precision(precision, images.device):
            features = encoder(images, *cameras)
        return tuple(lengthened(feature) for feature in features)

    return encode


def camera_places(encoder: nn.Module, frames) -> Tensor | None:
    """The place of each frame's camera among those that an encoder knows, int64 [n]; None where it asks for none.

    Raises:
        DataError: a frame is of another camera; names the data set, the camera and the frame.
    """
    cameras = getattr(encoder, "cameras", ())
    if not cameras:
        return None
    known = np.array(cameras)
    places = np.searchsorted(known, frames.camera).clip(max=len(known) - 1)
    unseen = np.flatnonzero(known[places] != frames.camera)
    if len(unseen):
        first = unseen[0]
        raise DataError(
            f"{frames.meta.dataset}: {len(unseen)} frames are of cameras that the encoder's camera embedding does not "
            f"know, e.g. camera {frames.camera[first]} of {frames.path[first]}; it was trained on {cameras}"
        )
    return torch.from_numpy(places)
