"""Probabilities of every attribute for frames, and the table they are stored in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from auxreid.attributes.calibration import calibrated
from auxreid.attributes.dataset import eval_loader
from auxreid.attributes.model import AttributeModel
from auxreid.data.frames import Frames
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.progress import track
from auxreid.training.precision import FULL, lengthened, tower_precision


def predict(model: AttributeModel, frames: Frames, spec: Any, **options: Any) -> dict[str, np.ndarray]:
    """Per attribute float32 [n, k]: calibrated probabilities, from :func:`predict_logits`, which takes the same."""
    return calibrated(predict_logits(model, frames, spec, **options), model.temperatures)


@torch.inference_mode()
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
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts: dict[str, list[Tensor]] = {name: [] for name in model.vocabulary}
    loader = eval_loader(frames, {}, spec, batch_size)
    for images, _ in track(loader, description) if description else loader:
        images = images.to(device, memory_format=torch.channels_last, non_blocking=True)
        with tower_precision(precision, device):
            features = model.backbone(images)
        for name, logits in model.classify(lengthened(features)).items():
            parts[name].append(logits.float())
    model.train(was_training)
    return {name: torch.cat(rows).cpu().numpy() for name, rows in parts.items()}


def write_predictions(path: str | Path, frame_id: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> None:
    """Parquet: frame_id int64, and per attribute list<float32> of probabilities in the order of its words."""
    columns: dict[str, pa.Array] = {"frame_id": pa.array(frame_id, pa.int64())}
    for name, values in probabilities.items():
        columns[name] = pa.array(list(values.astype(np.float32)), pa.list_(pa.float32()))
    with finished_file(path) as unfinished:
        pq.write_table(pa.table(columns), unfinished)
