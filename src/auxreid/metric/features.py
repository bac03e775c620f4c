"""Features of a pretrained encoder, once for all rows: of every image as it is, and of the training images in some
augmented views. With a frozen encoder, training is then a matter of seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from auxreid.clip.images import PlainImages, TrainImages, draw_views, loader, normalise
from auxreid.data.frames import Frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.progress import track
from auxreid.training.precision import FULL, lengthened, tower_precision

BATCH = 64
LEARNT = ("train", "val")  # whose individuals are learnt from, and held out in turn
SEARCHED = ("query", "gallery")
FEWEST_INDIVIDUALS = 4  # two to learn from and two to hold out


@dataclass(frozen=True)
class Features:
    """Features of n frames, of unit length, in the order of the frames that :func:`metric_frames` gives.

    `seen` are the places of the m frames that have views: those to learn from.
    """

    plain: Tensor  # float32 [n, d]
    views: Tensor  # float32 [v, m, d]; the first is the plain image
    seen: np.ndarray  # int64 [m], ascending

    def __post_init__(self) -> None:
        if self.views.shape[1:] != (len(self.seen), self.plain.shape[1]):
            shapes = tuple(self.views.shape), tuple(self.plain.shape)
            raise ValueError(f"views and features of shapes {shapes}, and {len(self.seen)} frames with views")


def metric_frames(frames: Frames, unlabelled: int, seed: int = 0) -> Frames:
    """The frames that a metric model has to do with: known individuals to learn from, at most so many training images
    of unknown ones (drawn by `seed`), query and gallery.

    Raises:
        DataError: too few known individuals to learn from and hold out.
    """
    known = np.isin(frames.split.astype(str), LEARNT) & (frames.identity > 0)
    count = len(np.unique(frames.identity[known]))
    if count < FEWEST_INDIVIDUALS:
        needed = f"a metric model needs {FEWEST_INDIVIDUALS} at least, some of them held out"
        raise DataError(f"{frames.meta.dataset}: {count} known individuals in train and val; {needed}")
    unknown = np.flatnonzero((frames.split == "train") & (frames.identity <= 0))
    drawn = np.random.default_rng(seed).permutation(unknown)[:unlabelled]
    searched = np.isin(frames.split.astype(str), SEARCHED)
    return frames.take(np.sort(np.concatenate([np.flatnonzero(known), drawn, np.flatnonzero(searched)])))


def make_features(backbone: nn.Module, input_config, frames: Frames, views: int, precision: str = FULL) -> Features:
    """Features of the frames that :func:`metric_frames` gives, with so many augmented views (drawn by seed 0)."""
    seen = np.flatnonzero(np.isin(frames.split.astype(str), LEARNT))
    size = input_config.height, input_config.width
    plain = encode(backbone, PlainImages(frames, *size), np.arange(len(frames)).tolist(), input_config, precision)
    rng, augmented = np.random.default_rng(0), TrainImages(frames, *size)
    more = [encode(backbone, augmented, draw_views(seen, rng), input_config, precision) for _ in range(views)]
    return Features(plain, torch.stack([plain[seen], *more]), seen)


@torch.no_grad()
def encode(backbone: nn.Module, images: Dataset, keys: Sequence, input_config, precision: str = FULL) -> Tensor:
    """Features of unit length, float32 [n, d] on the CPU, of the images with these n keys; by a GPU if there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone.eval().to(device, memory_format=torch.channels_last)
    batches = [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
    parts = []
    for batch in track(loader(images, batches), "encoding batches"):
        with tower_precision(precision, device):
            made = backbone(normalise(batch.to(device, non_blocking=True), input_config))
        parts.append(torch.nn.functional.normalize(lengthened(made)).cpu())
    return torch.cat(parts)


def save_features(path: Path, features: Features, frame_id: np.ndarray) -> None:
    """Write them with the numbers of their frames; the file appears by rename."""
    tensors = {
        "frame_id": torch.from_numpy(frame_id),
        "plain": features.plain.contiguous(),
        "views": features.views.contiguous(),
        "seen": torch.from_numpy(features.seen),
    }
    with finished_file(path) as unfinished:
        save_file(tensors, unfinished)


def load_features(path: Path, frames: Frames) -> tuple[Features, Frames]:
    """The features of a file, and the frames that they are of.

    Args:
        frames: of the whole data set.

    Raises:
        DataError: the file is missing.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such features; make them with: dvc repro metric_features@{path.parent.name}")
    tensors = load_file(path)
    rows = tensors["frame_id"].numpy()  # a frame's id is its row in the file
    return Features(tensors["plain"], tensors["views"], tensors["seen"].numpy()), frames.take(rows)
