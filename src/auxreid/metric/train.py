"""Training of one row: a linear layer on a pretrained encoder, and where the row says so the end of the encoder too.

A training gives its model before the first epoch, which is the encoder that nobody touched, and after each epoch; who
asks decides when it is enough.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clip.images import PlainImages, TrainImages, draw_views, loader, normalise
from auxreid.data.frames import Frames
from auxreid.data.sampler import identity_batches
from auxreid.metric.backbone import train_last
from auxreid.metric.features import Features, encode
from auxreid.metric.losses import build_loss
from auxreid.metric.projection import Whitening, principal_axes
from auxreid.training.seeding import epoch_seed, seed_everything
from auxreid.training.state import check_finite

CPU = torch.device("cpu")


class MetricModel(nn.Module):
    """The direction of W (x - c), of the features x, of unit length, that an encoder makes of images or that were kept.

    Args:
        weight: W [e, d].
        backbone: images -> features [b, d]; None where features are handed in.
        centre: c [d]; None: the origin.
    """

    def __init__(self, weight: Tensor, backbone: nn.Module | None = None, centre: Tensor | None = None):
        super().__init__()
        self.projection = nn.Linear(*weight.T.shape)
        self.projection.weight.data = weight.clone()
        self.projection.bias.data = weight.new_zeros(len(weight)) if centre is None else -weight @ centre
        self.backbone = backbone

    def forward(self, inputs: Tensor) -> Tensor:
        """Images [b, 3, h, w], or features [b, d] -> [b, e], not normalised"""
        features = inputs if self.backbone is None else F.normalize(self.backbone(inputs))
        return self.projection(features)


class Inputs(Protocol):
    """What a model is trained on, by the places of images among those that are seen in training."""

    device: torch.device

    def batch(self, places: np.ndarray, rng: np.random.Generator) -> Tensor:
        """A random view of each."""

    def embed(self, model: MetricModel, rows: np.ndarray) -> Tensor:
        """Embeddings of unit length [n, e] of the frames as they are, where they stand in `rows`; others are any."""


@dataclass(frozen=True)
class KeptFeatures:
    """The inputs of rows whose encoder is frozen."""

    features: Features
    device: torch.device = CPU  # a linear layer is no work for a GPU

    def batch(self, places: np.ndarray, rng: np.random.Generator) -> Tensor:
        views = rng.integers(len(self.features.views), size=len(places))
        return self.features.views[torch.from_numpy(views), torch.from_numpy(places)]

    @torch.no_grad()
    def embed(self, model: MetricModel, rows: np.ndarray) -> Tensor:
        return F.normalize(model(self.features.plain))


@dataclass(frozen=True)
class Images:
    """The inputs of rows that train a part of the encoder."""

    frames: Frames
    seen: np.ndarray
    input_config: Any
    device: torch.device

    def batch(self, places: np.ndarray, rng: np.random.Generator) -> Tensor:
        views = draw_views(self.seen[places], rng)
        images = TrainImages(self.frames, self.input_config.height, self.input_config.width)
        (pixels,) = loader(images, [views])
        return normalise(pixels.to(self.device), self.input_config)

    def embed(self, model: MetricModel, rows: np.ndarray) -> Tensor:
        images = PlainImages(self.frames, self.input_config.height, self.input_config.width)
        made = encode(model, images, rows.tolist(), self.input_config)
        embeddings = made.new_zeros(len(self.frames), made.shape[1])
        embeddings[torch.from_numpy(rows)] = made
        return embeddings


@dataclass(frozen=True)
class Task:
    """What one training learns from: k images, by their places among those seen in training, and their classes."""

    places: np.ndarray  # int64 [k]
    labels: np.ndarray  # int64 [k], 0..c-1


@dataclass
class Trained:
    """A training after some epochs; the next one changes these very objects."""

    model: MetricModel
    loss: nn.Module | None
    losses: Mapping[str, float]


def train(
    row: Any, settings: Any, features: Features, inputs: Inputs, task: Task, backbone: nn.Module | None, seed: int
) -> Iterator[Trained]:
    """The model before training and after each epoch, at most `settings.epochs` times, on the CPU or where inputs are.

    Args:
        row: a block of metric_rows.
        settings: the recipe's metric section as the row has it.
        backbone: None where features are kept; it is copied.

    Raises:
        FloatingPointError: the loss is not finite; names the epoch and the step.
        DataError: the row's classes are fewer than two.
    """
    width = features.plain.shape[1]
    start = principal_axes(features.plain[features.seen], min(settings.embed_dim or width, width))
    if row.loss == "whitening":
        yield from _whitened(row, start, features, task)
        return
    seed_everything(seed)
    model = MetricModel(start, copy.deepcopy(backbone))
    if row.loss is None:
        yield Trained(model, None, {})
        return
    yield from _epochs(row, settings, model, inputs, task, seed)


def _whitened(row: Any, start: Tensor, features: Features, task: Task) -> Iterator[Trained]:
    """A model per shrinkage of the row, about the mean of the images learnt from; the encoder as it is comes first."""
    yield Trained(MetricModel(start), None, {})
    images = features.views[:, task.places]  # [v, k, d]
    whitening = Whitening(images.flatten(0, 1).numpy(), np.tile(task.labels, len(images)))
    centre = features.plain[features.seen[task.places]].mean(0)
    for shrinkage in row.shrinkage:
        layer = torch.from_numpy(whitening.matrix(shrinkage)).float()
        yield Trained(MetricModel(start @ layer, centre=centre), None, {"shrinkage": shrinkage})


def _epochs(row: Any, settings: Any, model: MetricModel, inputs: Inputs, task: Task, seed: int) -> Iterator[Trained]:
    model.to(inputs.device)
    loss_of = build_loss(row, int(task.labels.max()) + 1, model.projection.out_features).to(inputs.device)
    trained = [] if model.backbone is None else train_last(model.backbone, row.trained)
    model.eval()  # batch norms keep their statistics
    groups = [
        {"params": list(model.projection.parameters()), "lr": settings.lr},
        {"params": list(loss_of.parameters()), "lr": settings.prototype_lr},
        {"params": trained, "lr": settings.backbone_lr},
    ]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]])
    start = model.projection.weight.detach().clone()
    yield Trained(model, loss_of, {})
    for epoch in range(1, settings.epochs + 1):
        rng = np.random.default_rng(epoch_seed(seed, epoch))
        sums = {"loss": 0.0, "moved": 0.0}
        batches = identity_batches(task.labels, _identities(settings, task), settings.instances, rng)
        for step, chosen in enumerate(batches, start=1):
            embeddings = model(inputs.batch(task.places[chosen], rng))
            labels = torch.from_numpy(task.labels[chosen]).to(embeddings.device)
            moved = (model.projection.weight - start).square().sum() / start.square().sum()
            loss = loss_of(embeddings, labels)
            check_finite(float(loss.detach()), f"metric, {row.loss}", epoch, step, "lower metric.lr")
            optimizer.zero_grad()
            (loss + settings.stay * moved).backward()
            optimizer.step()
            sums["loss"] += float(loss.detach()) / len(batches)
        sums["moved"] = float(moved.detach()) ** 0.5
        yield Trained(model, loss_of, sums)


def _identities(settings: Any, task: Task) -> int:
    """Classes of a batch: as the recipe has it, or all where there are fewer."""
    return min(settings.identities, len(np.unique(task.labels)))
