"""From frames to batches of images and attribute codes.

A training image is a pure function of (seed, epoch, frame): each draws from generators of its own, so that neither the
number of workers nor the order of loading changes a batch.
"""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from auxreid.attributes.losses import MISSING
from auxreid.data.frames import Frames

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the package index for a newer version
import albumentations as A
from albumentations.pytorch import ToTensorV2

Batch = tuple[Tensor, dict[str, Tensor]]  # images [b, 3, h, w], per attribute int64 [b]


def attribute_codes(frames: Frames, vocabulary: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Per attribute int64 [n]: the word's place in the vocabulary, -1 where the label is missing."""
    return {name: frames.attribute_codes(name) for name in vocabulary}


def with_labels(frames: Frames) -> Frames:
    """The frames that have a label for at least one attribute."""
    labelled = np.zeros(len(frames), dtype=bool)
    for name in frames.meta.attributes:
        labelled |= frames.attribute_codes(name) != MISSING
    return frames.take(labelled)


def eval_transform(spec: Any) -> A.Compose:
    """Resize to the input size and normalise; `spec` has height, width (pixels), mean and std."""
    return A.Compose([A.Resize(spec.height, spec.width, interpolation=3), *_to_tensor(spec)])


def train_transform(spec: Any) -> A.Compose:
    """Augmentation that keeps the labels true: colour is one of them, so hue and saturation move only a little."""
    return A.Compose(
        [
            A.RandomResizedCrop((spec.height, spec.width), scale=(0.7, 1.0), ratio=(0.8, 1.25), interpolation=3),
            A.HorizontalFlip(p=0.5),
            A.Rotate(limit=12, border_mode=0, p=0.4),
            A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.1, hue=0.01, p=0.8),
            A.CoarseDropout(num_holes_range=(1, 3), hole_height_range=(0.1, 0.25), hole_width_range=(0.1, 0.25), p=0.4),
            *_to_tensor(spec),
        ]
    )


def _to_tensor(spec: Any) -> list[A.BasicTransform]:
    return [A.Normalize(mean=spec.mean, std=spec.std, max_pixel_value=255.0), ToTensorV2()]


class AttributeDataset(Dataset):
    """Items are addressed by (epoch, index); see the module's docstring."""

    def __init__(self, frames: Frames, vocabulary: Mapping[str, Sequence[str]], transform: A.Compose, seed: int = 0):
        self.frames = frames
        self.codes = attribute_codes(frames, vocabulary)
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, dict[str, int]]:
        epoch, index = place
        # One pair of generators for all transforms: albumentations' own seeding gives each the same stream, so that
        # a flip and a dropout of equal probability would always come together.
        generator = np.random.default_rng((self.seed, epoch, index))
        self.transform.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        image = self.transform(image=self.frames.image(index))["image"]  # [3, h, w]
        return image, {name: int(codes[index]) for name, codes in self.codes.items()}


class EpochSampler(Sampler[tuple[int, int]]):
    """Places (epoch, index) of one epoch: each frame once, shuffled by (seed, epoch), or in order without a seed."""

    def __init__(self, length: int, seed: int | None = None):
        self.length = length
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self.length)
        if self.seed is not None:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        for index in order:
            yield self.epoch, int(index)


def train_loader(frames: Frames, vocabulary: Mapping[str, Sequence[str]], settings: Any, workers: int) -> DataLoader:
    """Shuffled, augmented batches; set `loader.sampler.epoch` before each epoch.

    A last batch that is not full is dropped, for its batch norm would be noisy, unless it is the only one.
    """
    dataset = AttributeDataset(frames, vocabulary, train_transform(settings), settings.seed)
    sampler = EpochSampler(len(frames), settings.seed)
    drop_last = len(frames) >= settings.batch_size
    return _loader(dataset, sampler, settings.batch_size, workers, drop_last)


def eval_loader(
    frames: Frames, vocabulary: Mapping[str, Sequence[str]], spec: Any, batch_size: int, workers: int
) -> DataLoader:
    """All frames in their order, without augmentation."""
    dataset = AttributeDataset(frames, vocabulary, eval_transform(spec))
    return _loader(dataset, EpochSampler(len(frames)), batch_size, workers, drop_last=False)


def _loader(dataset: Dataset, sampler: Sampler, batch_size: int, workers: int, drop_last: bool) -> DataLoader:
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        drop_last=drop_last,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
