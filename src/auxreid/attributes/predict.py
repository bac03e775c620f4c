"""Probabilities of every attribute for frames, and the table they are stored in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from auxreid.attributes.dataset import eval_loader
from auxreid.attributes.model import AttributeModel
from auxreid.data.frames import Frames
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.base.progress import track


@torch.inference_mode()
def predict(
    model: AttributeModel, frames: Frames, spec: Any, *, batch_size: int = 64, workers: int = 0, description: str = ""
) -> dict[str, np.ndarray]:
    """Per attribute float32 [n, k], rows in the order of `frames`; the model's mode is restored afterwards.

    Args:
        spec: object with height, width (pixels), mean and std
        description: of the progress line; without one there is none
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    parts: dict[str, list[np.ndarray]] = {name: [] for name in model.vocabulary}
    loader = eval_loader(frames, {}, spec, batch_size, workers)
    for images, _ in track(loader, description) if description else loader:
        images = images.to(device, memory_format=torch.channels_last)
        for name, logits in model(images).items():
            parts[name].append(logits.float().softmax(dim=1).cpu().numpy())
    model.train(was_training)
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def write_predictions(path: str | Path, frame_id: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> None:
    """Parquet: frame_id int64, and per attribute list<float32> of probabilities in the order of its words."""
    columns: dict[str, pa.Array] = {"frame_id": pa.array(frame_id, pa.int64())}
    for name, values in probabilities.items():
        columns[name] = pa.array(list(values.astype(np.float32)), pa.list_(pa.float32()))
    with finished_file(path) as unfinished:
        pq.write_table(pa.table(columns), unfinished)
