"""Probabilities of every attribute for frames, and the table they are stored in."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from auxreid.attributes.dataset import eval_loader
from auxreid.attributes.model import AttributeModel
from auxreid.data.frames import Frames
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.progress import track
from auxreid.training.precision import FULL, lengthened, tower_precision


def predict(model: AttributeModel, frames: Frames, spec: Any, **options: Any) -> dict[str, np.ndarray]:
    """Per attribute float32 [n, k]: calibrated probabilities, from :func:`predict_logits`, which takes the same."""
    return model.calibration.probabilities(predict_logits(model, frames, spec, **options))


def predict_logits(
    model: AttributeModel,
    frames: Frames,
    spec: Any,
    *,
    batch_size: int = 64,
    description: str = "",
    precision: str = FULL,
) -> dict[str, np.ndarray]:
    """Per attribute float32 [n, k], rows in the order of `frames`; the model's mode is restored afterwards.

    Args:
        spec: object with height, width (pixels), mean and std
        description: of the progress line; without one there is none
        precision: of the backbone
    """
    loader = eval_loader(frames, {}, spec, batch_size)
    with in_eval_mode(model):
        parts = [
            classify_views(model, features)
            for features in _features(model, track(loader, description) if description else loader, precision)
        ]
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in model.vocabulary}


def embed_frames(model: AttributeModel, frames: Frames, spec: Any, batch_size: int, precision: str) -> Tensor:
    """The backbone's features [views, n, d] of frames, on its device: one view, or the mirror image's too."""
    with in_eval_mode(model):
        return torch.cat(list(_features(model, eval_loader(frames, {}, spec, batch_size), precision)), dim=1)


@torch.inference_mode()
def classify_views(model: AttributeModel, features: Tensor) -> dict[str, Tensor]:
    """Features [views, b, d] -> per attribute float32 logits [b, k], the mean over the views; in eval mode."""
    return {name: logits.float().mean(dim=0) for name, logits in model.classify(features).items()}


def embed_images(model: AttributeModel, images: Tensor, precision: str) -> Tensor:
    """The backbone's features [b, d] of images [b, 3, h, w], float32, on its device."""
    device = next(model.parameters()).device
    images = images.to(device, memory_format=torch.channels_last, non_blocking=True)
    with tower_precision(precision, device):
        features = model.backbone(images)
    return lengthened(features)


@torch.inference_mode()
def _features(model: AttributeModel, batches: Iterable, precision: str) -> Iterator[Tensor]:
    """[views, b, d] of each batch of images."""
    for images, _ in batches:
        views = (images, images.flip(-1)) if model.mirrored else (images,)
        yield torch.stack([embed_images(model, view, precision) for view in views])


@contextmanager
def in_eval_mode(model: AttributeModel) -> Iterator[None]:
    """The block in which a model is in eval mode."""
    was_training = model.training
    model.eval()
    yield
    model.train(was_training)


def write_predictions(path: str | Path, frame_id: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> None:
    """Parquet: frame_id int64, and per attribute list<float32> of probabilities in the order of its words."""
    columns: dict[str, pa.Array] = {"frame_id": pa.array(frame_id, pa.int64())}
    for name, values in probabilities.items():
        columns[name] = pa.array(list(values.astype(np.float32)), pa.list_(pa.float32()))
    with finished_file(path) as unfinished:
        pq.write_table(pa.table(columns), unfinished)
