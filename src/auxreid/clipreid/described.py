"""What is ranked of a row with `rank`: another row's encoder, by descriptors that were fitted to it.

The room `auxreid.descriptors` is opened by its name, so that it is in no other row's code. What reads descriptors
depends on results/sources/descriptors.json, the hash of the code that they were fitted by.
"""

from importlib import import_module
from pathlib import Path

import numpy as np

from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.plumbing.base.errors import DataError
from auxreid.training.precision import FULL

FILE = "auxreid.descriptors.file"


def open_descriptors(path: str | Path):
    """The descriptors of a file. Raises DataError as :func:`auxreid.descriptors.file.read_descriptors`."""
    return import_module(FILE).read_descriptors(Path(path))


def fitting_descriptors(path: str | Path, encoder):
    """The descriptors of a file, for photographs that belong to no data set.

    Raises:
        DataError: as :func:`open_descriptors`; they were fitted to another encoder, or are a control within a data set.
    """
    descriptors = open_descriptors(path)
    if descriptors.header.rank.pools == "other_joints":
        raise DataError(f"{path}: a control, with the joints of other images of a data set; a photograph has none")
    try:
        descriptors.header.check_encoder(encoder)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return descriptors


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
