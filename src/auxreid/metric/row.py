"""One row and seed from features to a model: classes, folds, early stopping, final training, the turn of its axes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.data.frames import Frames
from auxreid.metric.clusters import cluster_classes
from auxreid.metric.features import LEARNT, Features
from auxreid.metric.losses import suspicious_images
from auxreid.metric.projection import turn
from auxreid.metric.train import Images, Inputs, KeptFeatures, MetricModel, Task, Trained, train
from auxreid.metric.validation import Epochs, HeldOut, Validated, cross_validate, deal_folds
from auxreid.plumbing.base.errors import DataError
from auxreid.training.seeding import seed_everything


@dataclass(frozen=True)
class Data:
    """What the rows of a data set have in common."""

    frames: Frames  # n
    features: Features  # of them
    protocol: str
    backbone: nn.Module | None = None  # of rows that train a part of it
    input_config: Any = None


@dataclass(frozen=True)
class Made:
    """A row's model with its embeddings of unit length [n, e], the validation, and photos whose label looks wrong."""

    model: MetricModel
    embeddings: Tensor
    validated: Validated
    suspicious: np.ndarray | None  # rows of the frames; None where the loss does not say
    folds: tuple[HeldOut, ...]  # of the validation


def make_row(row: Any, settings: Any, data: Data, seed: int, log: Callable) -> Made:
    """Validate a row, and train it on all known individuals for as long as was best.

    Args:
        row: a block of metric_rows.
        settings: the recipe's metric section as the row has it.
        log: called with values and the epoch, of validation and of the final training.

    Raises:
        DataError: there are too few images for clusters.
        FloatingPointError: a loss is not finite.
    """
    known, unknown = _known_and_unknown(data)
    fold_of = deal_folds(data.frames.identity[known], settings.folds, seed)
    folds = [HeldOut(known[fold_of == number], unknown[1::2]) for number in range(fold_of.max() + 1)]
    inputs = _inputs(row, data)
    own = data.backbone if row.trained else None

    def training(rows: np.ndarray) -> Iterator[Trained]:
        task = make_task(row, data, rows, unknown[::2], seed)
        return train(row, settings, data.features, inputs, task, own, seed)

    trainings = [_embedded(training(np.setdiff1d(known, fold.rows)), inputs, fold) for fold in folds]
    untouched = data.features.plain.numpy()
    validated = cross_validate(trainings, folds, data.frames, untouched, data.protocol, settings.patience, log)
    for epoch, trained in enumerate(islice(training(known), validated.epoch + 1)):
        if trained.losses:
            log(trained.losses, epoch)
    model, embeddings = _turned(trained.model, data, inputs)
    return Made(model, embeddings, validated, _suspicious(row, embeddings, data, known, seed), tuple(folds))


def make_task(row: Any, data: Data, rows: np.ndarray, more: np.ndarray, seed: int) -> Task:
    """What a training learns from: rows of known individuals, and for clusters those of unknown ones too.

    Raises:
        DataError: there are too few images for clusters.
    """
    if row.classes == "clusters":
        rows = np.sort(np.concatenate([rows, more]))
        try:
            labels = cluster_classes(data.features.plain[rows].numpy(), row.clusters, seed)
        except ValueError as error:
            raise DataError(f"{data.frames.meta.dataset}: {error}") from error
    else:
        _, labels = np.unique(data.frames.identity[rows], return_inverse=True)
    return Task(np.searchsorted(data.features.seen, rows), labels)


def _known_and_unknown(data: Data) -> tuple[np.ndarray, np.ndarray]:
    learnt = np.isin(data.frames.split.astype(str), LEARNT)
    known = data.frames.identity > 0
    return np.flatnonzero(learnt & known), np.flatnonzero(learnt & ~known)


def _inputs(row: Any, data: Data) -> Inputs:
    if not row.trained:
        return KeptFeatures(data.features)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Images(data.frames, data.features.seen, data.input_config, device)


def _embedded(training: Iterator[Trained], inputs: Inputs, fold: HeldOut) -> Epochs:
    rows = np.concatenate([fold.rows, fold.distractors])
    return (inputs.embed(trained.model, rows) for trained in training)


def _turned(model: MetricModel, data: Data, inputs: Inputs) -> tuple[MetricModel, Tensor]:
    """The model with its first dimensions saying most, by the images that it has learnt from."""
    with torch.no_grad():
        features = data.features.plain if model.backbone is None else _features(model, inputs)
        turn(model.cpu().projection, features[torch.from_numpy(data.features.seen)])
        return model.eval(), F.normalize(model.projection(features))


def _features(model: MetricModel, inputs: Images) -> Tensor:
    """Features [n, d] of a trained encoder, before the linear layer."""
    whole = MetricModel(torch.eye(model.projection.in_features), model.backbone)
    return inputs.embed(whole, np.arange(len(inputs.frames)))


def _suspicious(row: Any, embeddings: Tensor, data: Data, known: np.ndarray, seed: int) -> np.ndarray | None:
    if row.loss != "subcenter_arcface" or row.classes != "identity":
        return None
    _, labels = np.unique(data.frames.identity[known], return_inverse=True)
    seed_everything(seed)
    found = suspicious_images(row, embeddings[torch.from_numpy(known)], torch.from_numpy(labels))
    return known[found.numpy()]
