"""What is known of photographs by looking at them: an embedding and, of each attribute, the words' probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Vocabulary = Mapping[str, Sequence[str]]  # the words of each attribute, in the order of its probabilities
SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class Looks:
    """Of n photographs: embeddings of unit length, and calibrated probabilities of each attribute's words.

    Raises:
        ValueError: the parts are of different numbers of photographs.
    """

    embedding: np.ndarray  # float32 [n, d]
    probabilities: Mapping[str, np.ndarray]  # per attribute float32 [n, k], rows sum to 1

    def __post_init__(self) -> None:
        for name, values in self.probabilities.items():
            if len(values) != len(self.embedding):
                raise ValueError(f"{len(values)} photographs with {name}, {len(self.embedding)} with an embedding")

    def __len__(self) -> int:
        return len(self.embedding)

    def take(self, rows: np.ndarray | Sequence[int]) -> "Looks":
        """Those at these places."""
        rows = np.asarray(rows)
        return Looks(self.embedding[rows], {name: values[rows] for name, values in self.probabilities.items()})

    def pooled(self) -> "Looks":
        """Several photographs of one dog as one: the direction of the mean embedding, and mean probabilities."""
        mean = self.embedding.mean(axis=0, keepdims=True)
        unit = mean / max(float(np.linalg.norm(mean)), SMALLEST_NORM)
        return Looks(
            unit.astype(np.float32), {name: v.mean(axis=0, keepdims=True) for name, v in self.probabilities.items()}
        )


def joined(parts: Sequence[Looks]) -> Looks:
    """Those of the parts, one part after the other; there is one at least."""
    return Looks(
        np.concatenate([one.embedding for one in parts]),
        {name: np.concatenate([one.probabilities[name] for one in parts]) for name in parts[0].probabilities},
    )
