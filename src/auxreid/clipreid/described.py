"""What is ranked of a row with `rank`: another row's encoder, by descriptors that were fitted to it.

The room `auxreid.descriptors` is opened by its name, so that it is in no other row's code. What reads descriptors
depends on results/sources/descriptors.json, the hash of the code that they were fitted by.
"""

from importlib import import_module
from pathlib import Path

import numpy as np

from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.training.precision import FULL

FILE = "auxreid.descriptors.file"


def open_descriptors(path: str | Path):
    """The descriptors of a file. Raises DataError as :func:`auxreid.descriptors.file.read_descriptors`."""
    return import_module(FILE).read_descriptors(Path(path))


def embed_row(encoder, beside, descriptors, frames, pose_file: str | Path | None, precision: str = FULL) -> np.ndarray:
    """What a row ranks of frames, float32 [n, d].

    Args:
        encoder, beside: as `load_ranked_encoder` gives them.
        descriptors: as :func:`open_descriptors` gives them; None for a row without.
        pose_file: the keypoint table of the frames; it is read only where the row takes a pose when it ranks.

    Raises:
        DataError: as :func:`embed_for_ranking` and the descriptors' own `embed`.
    """
    if descriptors is None:
        return embed_for_ranking(encoder, beside, frames, pose_file, precision)
    return descriptors.embed(encoder, beside, frames, pose_file, precision)
