"""Images as the encoders see them: resizing, augmentation, normalisation (THESIS section 3, transforms)."""

import os

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the package index at import otherwise

Draw = tuple[int, int]  # row of the frames, and the seed of its augmentation


class TrainImages(Dataset):
    """Frames augmented for training: bicubic resize, flip 0.5, pad 10, random crop. Items are uint8 [3, h, w].

    An item is asked for as (row, seed), so that a batch does not depend on which worker made it, or on how many.
    """

    def __init__(self, frames, height: int, width: int, padding: int = 10):
        import albumentations as A

        self.frames = frames
        self.augment = A.Compose(
            [
                A.Resize(height, width, interpolation=cv2.INTER_CUBIC),
                A.HorizontalFlip(p=0.5),
                A.Pad(padding=padding, fill=0),
                A.RandomCrop(height, width),
            ]
        )

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, draw: Draw) -> Tensor:
        row, seed = draw
        self.augment.set_random_seed(seed)
        image = self.augment(image=self.frames.image(row))["image"]
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


class PlainImages(Dataset):
    """Frames as they are tested: bicubic resize alone. Items are uint8 [3, h, w]."""

    def __init__(self, frames, height: int, width: int):
        self.frames, self.height, self.width = frames, height, width

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, row: int) -> Tensor:
        image = self.frames.image(row)
        if image.shape[:2] != (self.height, self.width):
            image = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def loader(images: Dataset, **options) -> DataLoader:
    """DataLoader with as many workers as the environment variable AUXREID_WORKERS says (default 0)."""
    return DataLoader(images, num_workers=int(os.environ.get("AUXREID_WORKERS", "0")), **options)


def normalise(images: Tensor, input_config) -> Tensor:
    """uint8 [b, 3, h, w] -> float32 in the encoder's mean and std, channels last in memory."""
    mean = torch.tensor(input_config.mean, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(input_config.std, device=images.device).view(1, 3, 1, 1) * 255
    return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
