"""Whether a photograph shows a dog, or several."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from auxreid.assembling.items import Item
from auxreid.assembling.networks import Network, key_of, photos_of
from auxreid.serving.dog_boxes import MODEL, DogBoxes


def detector_network(weights: Path) -> Network:
    """For each photograph the scores of its two likeliest dogs; 0 where there is no such box.

    Raises:
        ConfigError: the file is not there, or not of this model.
    """
    detector = DogBoxes(weights)
    detector.check()
    from auxreid.plumbing.base.files import file_hash
    from auxreid.serving.photos import Photos

    def best_two(items: Sequence[Item]) -> np.ndarray:
        found = detector.find(Photos(photos_of(items)).image, len(items))
        scores = np.zeros((len(items), 2), np.float32)
        for row, (_, values) in zip(scores, found, strict=True):
            row[: len(values[:2])] = values[:2]
        return scores

    return Network(str(weights), key_of(file_hash(weights), [MODEL]), best_two)
