"""Whether a photograph shows a dog, or several, by torchvision's small detector with weights from a local file."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from auxreid.assembling.items import Item
from auxreid.assembling.networks import Network, key_of, photos_of

MODEL = "ssdlite320_mobilenet_v3_large"
CLASSES, DOG = 91, 18  # of COCO, as torchvision numbers them
BATCH = 16


def detector_network(weights: Path) -> Network:
    """For each photograph the scores of its two likeliest dogs; 0 where there is no such box.

    Raises:
        ConfigError: the file is not there, or not of this model.
    """
    detector = _Detector(weights)
    detector.check()
    from auxreid.serving.features import file_hash

    return Network(str(weights), key_of(file_hash(weights), [MODEL]), detector)


class _Detector:
    def __init__(self, weights: Path):
        self._weights = weights

    def check(self) -> None:
        """Raises ConfigError if the weights cannot be used."""
        _ = self._model

    @cached_property
    def _model(self):
        from torchvision.models import detection

        from auxreid.clip.weights import load_fitting, read_weights

        state = read_weights(str(self._weights), "--detector")
        model = getattr(detection, MODEL)(weights=None, weights_backbone=None, num_classes=CLASSES)
        load_fitting(model, state, f"--detector {self._weights} for torchvision's {MODEL}")
        return model.eval()

    def __call__(self, items: Sequence[Item]) -> np.ndarray:
        import torch

        from auxreid.serving.photos import Photos

        photos, scores = Photos(photos_of(items)), np.zeros((len(items), 2), np.float32)
        for start in range(0, len(items), BATCH):
            some = range(start, min(start + BATCH, len(items)))
            images = [torch.from_numpy(photos.image(at)).permute(2, 0, 1).float().div(255) for at in some]
            with torch.inference_mode():
                for at, found in zip(some, self._model(images), strict=True):
                    best = found["scores"][found["labels"] == DOG].sort(descending=True).values[:2]
                    scores[at, : len(best)] = best.numpy()
        return scores
