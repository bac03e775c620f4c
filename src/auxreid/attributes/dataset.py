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

from auxreid.attributes.losses import MISSING, inverse_frequency
from auxreid.data.frames import Frames
from auxreid.training.decoding import decoding_processes
from auxreid.training.share import ALONE, Share

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
    """Augmentation that keeps the labels true: colour is one of them, so hue and saturation move only a little.

    `spec.augmentation` is the strength of what hides parts of the individual. A net that is trained from nothing for
    a few epochs learns small parts, such as ears, only while they are seen.
    """
    strength, holes = spec.augmentation, (0.1, 0.25)
    area, aspect = 1 - 0.3 * strength, 1 - 0.2 * strength
    return A.Compose(
        [
            A.RandomResizedCrop((spec.height, spec.width), (area, 1.0), (aspect, 1 / aspect), interpolation=3),
            A.HorizontalFlip(p=0.5),
            A.Rotate(limit=12, border_mode=0, p=0.4 * strength),
            A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.1, hue=0.01, p=0.8),
            A.CoarseDropout((1, 3), hole_height_range=holes, hole_width_range=holes, p=0.4 * strength),
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


class FramesInOrder(Sampler[tuple[int, int]]):
    """Places (epoch, index) of all frames, as an AttributeDataset wants them."""

    def __init__(self, length: int):
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((0, index) for index in range(self.length))


class EpochSampler(Sampler[tuple[int, int]]):
    """Places (epoch, index) of one epoch: the frames shuffled by (seed, epoch) and cut into full batches.

    With chances [length], that sum to 1, as many frames are drawn instead, by these and with replacement. Of every
    batch, only the rows of this process's share come, one batch's after the other's.
    """

    def __init__(self, length: int, seed: int, batch: int, rows: slice, chances: np.ndarray | None = None):
        self.length, self.seed, self.batch, self.rows, self.chances = length, seed, batch, rows, chances
        self.epoch = 0

    def __len__(self) -> int:
        return self.length // self.batch * (self.rows.stop - self.rows.start)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        if self.chances is None:
            order = rng.permutation(self.length)
        else:
            order = rng.choice(self.length, self.length, p=self.chances)
        for start in range(0, self.length - self.batch + 1, self.batch):
            for index in order[start : start + self.batch][self.rows]:
                yield self.epoch, int(index)


def train_loader(
    frames: Frames, vocabulary: Mapping[str, Sequence[str]], settings: Any, share: Share = ALONE
) -> DataLoader:
    """Shuffled, augmented batches, or a process's share of each; set `loader.sampler.epoch` before each epoch.

    A last batch that is not full is dropped, for its batch norm would be noisy, unless it is the only one.

    Raises:
        ConfigError: a batch has fewer images than there are processes.
    """
    dataset = AttributeDataset(frames, vocabulary, train_transform(settings), settings.seed)
    batch = batch_size(len(frames), settings)
    rows = share.rows(batch)
    sampler = EpochSampler(len(frames), settings.seed, batch, rows, draw_chances(dataset.codes, vocabulary, settings))
    return _loader(dataset, sampler, rows.stop - rows.start)


def draw_chances(
    codes: Mapping[str, np.ndarray], vocabulary: Mapping[str, Sequence[str]], settings: Any
) -> np.ndarray | None:
    """[n], in sum 1: the chance of each frame to be drawn where `settings.balance` is "sampler", else None.

    It is proportional to the mean, over the attributes that the frame has a label of, of the inverse frequencies of its
    words. Attributes go together, so that no one of them gets words that are quite equally frequent.

    Args:
        codes: per attribute int64 [n], -1 where the label is missing; each frame has one label at least
    """
    if settings.balance != "sampler":
        return None
    sums, labels = 0.0, 0
    for name, one in codes.items():
        weights = inverse_frequency(torch.from_numpy(one), len(vocabulary[name])).double().numpy()
        labelled = one != MISSING
        sums, labels = sums + np.where(labelled, weights[one], 0.0), labels + labelled
    chances = sums / np.maximum(labels, 1)
    return chances / chances.sum()


def batch_size(frames: int, settings: Any) -> int:
    """The number of images in a training batch, of all processes together."""
    return min(settings.batch_size, frames)


def eval_loader(frames: Frames, vocabulary: Mapping[str, Sequence[str]], spec: Any, batch_size: int) -> DataLoader:
    """All frames in their order, without augmentation."""
    dataset = AttributeDataset(frames, vocabulary, eval_transform(spec))
    return _loader(dataset, FramesInOrder(len(frames)), batch_size)


def _loader(dataset: Dataset, sampler: Sampler, batch_size: int) -> DataLoader:
    processes = decoding_processes(dataset, sampler)
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=processes,
        persistent_workers=processes > 0,
        pin_memory=torch.cuda.is_available(),
    )
