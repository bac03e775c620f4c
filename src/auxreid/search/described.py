"""An encoder of the chain that a row with `rank` ranks, as a search looks at photographs with it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from auxreid.clipreid.described import embed_row, fitting_descriptors
from auxreid.plumbing.base.errors import ConfigError
from auxreid.pose.finder import JointFinder
from auxreid.training.precision import FULL


@dataclass(frozen=True)
class Name:
    """What an error calls the photographs, in the place of a data set's name."""

    dataset: str = "the photographs"


class Pictures:
    """Decoded images uint8 RGB [h, w, 3], read as encoders and an HRNet read frames."""

    meta = Name()

    def __init__(self, images: Sequence[np.ndarray]):
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @property
    def frame_id(self) -> np.ndarray:
        """int64 [n], their positions."""
        return np.arange(len(self))

    @property
    def size(self) -> np.ndarray:
        """int32 [n, 2]: width and height in pixels."""
        return np.array([image.shape[1::-1] for image in self._images], np.int32).reshape(-1, 2)

    def image(self, index: int) -> np.ndarray:
        """uint8 RGB [h, w, 3]"""
        return self._images[index]


class Described:
    """Several threads may embed at the same time; the encoder sees the photographs of one at a time, since its maps
    are caught by hooks.

    Args:
        tower, beside: as `load_ranked_encoder` gives them.
        descriptors: the file of what was fitted to the encoder.
        hrnet: the file of what finds joints; None where the descriptors take none.

    Raises:
        ConfigError: the descriptors lie at joints, and there is no HRNet to find them.
        DataError: a file is missing or broken, or they do not fit each other.
    """

    def __init__(self, tower, beside, descriptors: Path, hrnet: Path | None, precision: str = FULL):
        self.tower, self.beside, self.precision, self._one = tower, beside, precision, Lock()
        self.descriptors = fitting_descriptors(descriptors, tower)
        header = self.descriptors.header
        if header.rank.ranks_joints and hrnet is None:
            raise ConfigError(f"{descriptors}: lies at joints, and there is no HRNet that finds those of a photograph")
        self._finder = JointFinder(hrnet) if header.rank.ranks_joints else None
        if self._finder is not None:
            header.check_joints(self._finder.spec.joints, hrnet)

    def embed(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings of unit length float32 [n, d] of images uint8 RGB [h, w, 3]."""
        pictures = Pictures(images)
        with self._one, self._joints(pictures) as table:
            found = embed_row(self.tower, self.beside, self.descriptors, pictures, table, self.precision)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    @contextmanager
    def _joints(self, pictures: Pictures) -> Iterator[Any]:
        if self._finder is None:
            yield None
            return
        with self._finder.table(pictures) as table:
            yield table
