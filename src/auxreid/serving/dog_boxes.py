"""Where dogs are in photographs, by torchvision's small detector with weights from a local file."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

MODEL = "ssdlite320_mobilenet_v3_large"
CLASSES, DOG = 91, 18  # of COCO, as torchvision numbers them
BATCH = 16
LEAST_SCORE = 0.5  # of a box that a photograph is cropped to
MARGIN = 0.05  # around it, as a share of its sides

Box = tuple[float, float, float, float]  # left, top, width, height as shares of the upright photograph
Image = Callable[[int], np.ndarray]  # position of a photograph -> uint8 RGB [h, w, 3]


class DogBoxes:
    """A detector, whose weights are read when they are needed first.

    Args:
        weights: a file of torchvision's `ssdlite320_mobilenet_v3_large`.
        option: what an error calls the file.
    """

    def __init__(self, weights: Path, option: str = "--detector"):
        self._weights, self._option = weights, option

    def check(self) -> None:
        """Raises ConfigError if the weights cannot be used: the file is not there, or not of this model."""
        _ = self._model

    @cached_property
    def _model(self):
        from torchvision.models import detection

        from auxreid.clip.weights import load_fitting, read_weights

        state = read_weights(str(self._weights), self._option)
        model = getattr(detection, MODEL)(weights=None, weights_backbone=None, num_classes=CLASSES)
        load_fitting(model, state, f"{self._option} {self._weights} for torchvision's {MODEL}")
        return model.eval()

    def find(self, image: Image, count: int) -> list[tuple[list[Box], list[float]]]:
        """Of each of so many photographs the boxes of its dogs and their scores, the likeliest first."""
        import torch

        found = []
        for start in range(0, count, BATCH):
            pixels = [image(at) for at in range(start, min(start + BATCH, count))]
            inputs = [torch.from_numpy(one).permute(2, 0, 1).float().div(255) for one in pixels]
            with torch.inference_mode():
                made = self._model(inputs)
            found += [_dogs(one, picture.shape) for one, picture in zip(made, pixels, strict=True)]
        return found


def crop_to(boxes: Sequence[Box], scores: Sequence[float]) -> Box | None:
    """The likeliest dog with a margin; None where no box is likely to be one."""
    if not boxes or scores[0] < LEAST_SCORE:
        return None
    left, top, width, height = boxes[0]
    left, right = max(0.0, left - MARGIN * width), min(1.0, left + (1 + MARGIN) * width)
    top, bottom = max(0.0, top - MARGIN * height), min(1.0, top + (1 + MARGIN) * height)
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _dogs(made: dict, shape: Sequence[int]) -> tuple[list[Box], list[float]]:
    dogs = made["labels"] == DOG
    scores, order = made["scores"][dogs].sort(descending=True, stable=True)
    high, wide = shape[:2]
    corners = made["boxes"][dogs][order].numpy().clip(0, (wide, high, wide, high)) / (wide, high, wide, high)
    boxes = [(float(x0), float(y0), float(x1 - x0), float(y1 - y0)) for x0, y0, x1, y1 in corners]
    return boxes, scores.tolist()
