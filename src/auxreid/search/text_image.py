"""The text-image term: a description as a CLIP's text tower has it, beside photographs as the image tower has them.

An embedding of the chain is f2 and f3 side by side; its last part points where f3 does, which lies in one space with
the texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from auxreid.search.calibration import Calibration, calibration_record, read_calibration

TEXT = "text"  # the name of the term
SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class Descriptions:
    """What somebody would write of each of n photographs' dogs: some of its true words, as the text tower has them."""

    feature: np.ndarray  # float32 [n, e], unit length
    said: np.ndarray  # bool [n, a], the attributes that are told; none where nothing is known of the dog


@dataclass(frozen=True)
class TextImage:
    """How much the likeness of a description and a photograph is worth beside the words that are understood."""

    calibration: Calibration
    weight: float  # at least 0

    def term(self, feature: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        """Of a description [e] and each of m photographs by their embeddings [m, d], in nats, float64 [m]."""
        return self.weight * self.calibration.llr(cosines(feature[None], embedding))

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {"calibration": calibration_record(self.calibration), "weight": self.weight}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "TextImage":
        """What :meth:`record` gave."""
        return cls(read_calibration(record["calibration"]), float(record["weight"]))


def cosines(feature: np.ndarray, embedding: np.ndarray) -> np.ndarray:
    """Of descriptions [n or 1, e] and photographs by their embeddings [n, d], pair by pair, float64 [n]."""
    image = embedding[:, -feature.shape[1] :].astype(np.float64)
    norm = np.maximum(np.linalg.norm(image, axis=1), SMALLEST_NORM)
    return (feature * image).sum(axis=1) / norm
