"""Small data for tests of the metric model: features and frames of a few individuals and of unknown ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from small_frames import small_frames
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.metric.features import Features
from auxreid.metric.row import Data
from auxreid.plumbing.settings.metric import OF_LOSS, MetricRow, MetricTraining
from auxreid.plumbing.settings.recipes import InputConfig

INDIVIDUALS, IMAGES, UNKNOWN = 8, 4, 10
IDENTITIES = [1 + number for number in range(INDIVIDUALS) for _ in range(IMAGES)] + [-1] * UNKNOWN
SETTINGS = MetricTraining(
    embed_dim=None,
    folds=3,
    epochs=4,
    patience=20,
    identities=6,
    instances=3,
    lr=1e-3,
    prototype_lr=1e-2,
    backbone_lr=1e-4,
    stay=1.0,
)
VALUES = {
    "scale": 8.0,
    "margin": 0.3,
    "share": 0.5,
    "dimensions": 0.5,
    "centers": 2,
    "smoothing": 0.1,
    "shrinkage": (0.9, 0.5, 0.1),
}


def metric_row(loss: str | None, **values) -> MetricRow:
    """A row with the keys that its loss needs."""
    needed = {name: VALUES[name] for name in OF_LOSS[loss]}
    return MetricRow(**{"loss": loss, "classes": "identity", **needed, **values})


class Set(Data):
    """As what a row gets, with other features if need be."""

    def with_features(self, features: Features) -> Data:
        return replace(self, features=features)


def small_set(folder: Path, features: Tensor | None = None, backbone: bool = False) -> Set:
    """8 individuals with 4 images each and 10 images of unknown ones, all to learn from; features are random."""
    frames = small_frames(folder / "frames.arrow", IDENTITIES, size=(8, 8), word="dog")
    network, taken = None, None
    if backbone:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.Flatten(), nn.Linear(16, 6))
        taken = InputConfig(height=8, width=8, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    if features is None:
        features = torch.randn(len(frames), 6, generator=torch.Generator().manual_seed(1))
    plain = F.normalize(features)
    views = torch.stack([plain, F.normalize(plain + 0.01)])
    return Set(frames, Features(plain, views, np.arange(len(frames))), "dogs", network, taken)


def two_sided(folder: Path) -> Set:
    """Individuals differ in four small components, images of one in four large ones."""
    rng = np.random.default_rng(0)
    own = np.concatenate([np.repeat(rng.normal(size=(INDIVIDUALS, 4)), IMAGES, axis=0), rng.normal(size=(UNKNOWN, 4))])
    pose = rng.normal(size=(len(IDENTITIES), 4))
    return small_set(folder, torch.from_numpy(np.concatenate([0.3 * own, pose], axis=1)).float())
