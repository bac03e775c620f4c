"""Images as the encoders see them: resizing, augmentation, normalisation (THESIS section 3, transforms)."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from auxreid.training.decoding import decoding_processes

PADDING = 10  # pixels around a training image, of which a crop of the former size is taken


class View(NamedTuple):
    """How a training image is seen: mirrored or not, and where its crop begins inside the padded image."""

    mirrored: bool
    top: int  # 0..2 * PADDING, PADDING is the middle
    left: int


PLAIN = View(mirrored=False, top=PADDING, left=PADDING)  # how a test image is seen
MIRRORED = PLAIN._replace(mirrored=True)

Draw = tuple[int, View]  # row of the frames, and its view


def draw_views(rows: np.ndarray, rng: np.random.Generator) -> list[Draw]:
    """A random view of each row [n]: mirrored with probability 0.5, any crop of the padded image.

    The views are drawn with the batch and not in the data set, so that they do not depend on which process reads an
    image, and are known to what has to follow them (keypoints).
    """
    mirrored = rng.random(len(rows)) < 0.5
    corners = rng.integers(2 * PADDING + 1, size=(len(rows), 2))
    return [
        (int(row), View(bool(flip), int(top), int(left)))
        for row, flip, (top, left) in zip(rows, mirrored, corners, strict=True)
    ]


class TrainImages(Dataset):
    """Frames augmented for training: bicubic resize, flip, zero padding, crop. Items are uint8 [h, w, 3].

    An item is asked for as (row, view); see :func:`draw_views`.
    """

    def __init__(self, frames, height: int, width: int):
        self.frames, self.height, self.width = frames, height, width

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, draw: Draw) -> Tensor:
        row, view = draw
        image = _resized(self.frames.image(row), self.height, self.width)
        image = image[:, ::-1] if view.mirrored else image
        seen = np.zeros_like(image)  # the crop, black where it reaches beyond the image
        down, right = view.top - PADDING, view.left - PADDING
        seen[_inside(-down, self.height), _inside(-right, self.width)] = image[
            _inside(down, self.height), _inside(right, self.width)
        ]
        return torch.from_numpy(seen)


class PlainImages(Dataset):
    """Frames as they are tested: bicubic resize alone. Items are uint8 [h, w, 3]."""

    def __init__(self, frames, height: int, width: int):
        self.frames, self.height, self.width = frames, height, width

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, row: int) -> Tensor:
        return torch.from_numpy(_resized(self.frames.image(row), self.height, self.width))


def loader(images: Dataset, batch_sampler: Sequence[Sequence]) -> DataLoader:
    """Batches of images, each by its items' keys, decoded in as many processes as :func:`decoding_processes` says."""
    processes = decoding_processes(images, chain.from_iterable(batch_sampler))
    return DataLoader(images, batch_sampler=batch_sampler, num_workers=processes, pin_memory=torch.cuda.is_available())


def normalise(images: Tensor, input_config) -> Tensor:
    """uint8 [b, h, w, 3] -> float32 [b, 3, h, w] in the encoder's mean and std, channels last in memory."""
    mean, std = (_times_255(tuple(values), images.device) for values in (input_config.mean, input_config.std))
    return images.float().sub_(mean).div_(std).permute(0, 3, 1, 2)  # a view: the channels are last already


@cache
def _times_255(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Kept, since sending it at every step would make the host wait for the device."""
    return torch.tensor(values, device=device) * 255


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def _inside(shift: int, length: int) -> slice:
    """The part of 0..length that is still inside after a shift."""
    return slice(max(0, shift), max(0, min(length, length + shift)))
