"""An encoder of the chain that a row with `rank` ranks, as a search looks at photographs with it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from auxreid.clipreid.described import embed_row, fitting_descriptors
from auxreid.plumbing.base.errors import ConfigError
from auxreid.pose.finder import JointFinder
from auxreid.training.precision import FULL

SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class Name:
    """What an error calls the photographs, in the place of a data set's name."""

    dataset: str = "the photographs"


class Pictures:
    """Some of the frames, or of what is read like them, as encoders and an HRNet read frames.

    Args:
        frames: `frames.image(i)`, uint8 RGB [h, w, 3], decoded when it is asked for: photographs are large.
        rows: those that are read.
    """

    meta = Name()

    def __init__(self, frames: Any, rows: Sequence[int]):
        self._frames, self._rows = frames, rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def frame_id(self) -> np.ndarray:
        """int64 [n], their positions."""
        return np.arange(len(self))

    @cached_property
    def size(self) -> np.ndarray:
        """int32 [n, 2]: width and height in pixels."""
        sizes = [self.image(index).shape[1::-1] for index in range(len(self))]
        return np.array(sizes, np.int32).reshape(-1, 2)

    def image(self, index: int) -> np.ndarray:
        """uint8 RGB [h, w, 3]"""
        return self._frames.image(self._rows[index])


class Described:
    """Several threads may embed at the same time; the encoder sees the photographs of one at a time, since its maps
    are caught by hooks.

    Args:
        tower, beside: as `load_ranked_encoder` gives them.
        descriptors: the file of what was fitted to the encoder.
        hrnet: the file of what finds joints; None where the descriptors take none.

    Raises:
        ConfigError: the descriptors lie at joints, and there is no HRNet to find them; they take cameras.
        DataError: a file is missing or broken, or they do not fit each other.
    """

    def __init__(self, tower, beside, descriptors: Path, hrnet: Path | None, precision: str = FULL):
        self.tower, self.beside, self.precision, self._one = tower, beside, precision, Lock()
        self.descriptors = fitting_descriptors(descriptors, tower)
        header = self.descriptors.header
        if header.rank.ranks_cameras:
            raise ConfigError(f"{descriptors}: ranks images by their cameras, and a photograph brings none")
        if header.rank.ranks_joints and hrnet is None:
            raise ConfigError(f"{descriptors}: lies at joints, and there is no HRNet that finds those of a photograph")
        self._finder = JointFinder(hrnet) if header.rank.ranks_joints else None
        if self._finder is not None:
            header.check_joints(self._finder.spec.joints, hrnet)

    @torch.inference_mode(False)  # an HRNet is folded before it runs, which makes parameters
    @torch.no_grad()
    def embed(self, frames: Any, rows: Sequence[int]) -> np.ndarray:
        """Embeddings of unit length float32 [n, d] of some frames, or of what is read like them."""
        pictures = Pictures(frames, rows)
        with self._one, self._joints(pictures) as table:
            found = embed_row(self.tower, self.beside, self.descriptors, pictures, table, self.precision)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), SMALLEST_NORM)

    @contextmanager
    def _joints(self, pictures: Pictures) -> Iterator[Any]:
        if self._finder is None:
            yield None
            return
        with self._finder.table(pictures) as table:
            yield table
