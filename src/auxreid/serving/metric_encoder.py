"""Photographs embedded as stage `metric` embeds a data set's frames, by a metric row's model."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from auxreid.clip.images import PlainImages
from auxreid.metric.checkpoint import load_metric_model
from auxreid.metric.features import encode
from auxreid.plumbing.base.errors import DataError
from auxreid.serving.photos import Photos
from auxreid.training.precision import FULL


class MetricEncoder:
    """A metric model, read once, as commands use an :class:`auxreid.serving.embedding.Encoder`.

    Args:
        path: results/metric/<key>/model.safetensors.
        backbone: the file of the pretrained encoder; None for a timm model where its settings say.
        precision: of the encoder, see auxreid.training.precision.

    Raises:
        ConfigError, DataError: as load_metric_model.
    """

    lacks_pose = False
    wanted_camera, ranks_cameras = None, False

    def __init__(self, path: str | Path, backbone: str | Path | None, precision: str = FULL):
        self.path, self.precision = Path(path), precision
        self.model, self.taken = load_metric_model(self.path, None if backbone is None else Path(backbone))

    @torch.no_grad()
    def embed(self, photos: Photos, pose: object = None) -> np.ndarray:
        """Embeddings float32 [n, e], L2-normalised, as they are ranked.

        Raises:
            DataError: a pose is given, which no metric model takes.
        """
        if pose is not None:
            raise DataError(f"{self.path}: a metric model takes images alone, and a pose was given")
        images = PlainImages(photos, self.taken.height, self.taken.width)
        features = encode(self.model.backbone, images, list(range(len(photos))), self.taken, self.precision)
        return F.normalize(self.model.projection(features)).numpy()
