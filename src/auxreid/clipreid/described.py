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


def fitting_descriptors(path: str | Path, encoder, attributes: Path | None = None):
    """The descriptors of a file, for photographs that belong to no data set.

    Args:
        attributes: the attribute model whose predictions they take.

    Raises:
        DataError: as :func:`open_descriptors`; they were fitted to another encoder, are a control within a data set, or
            take attributes and there is no model, or the other way round.
    """
    descriptors = open_descriptors(path)
    rank = descriptors.header.rank
    others = {
        "joints": rank.pools == "other_joints",
        "cameras": rank.centre == "other_cameras",
        "attributes": rank.evidence is not None and rank.evidence.shuffled,
    }
    for what, of_others in others.items():
        if of_others:
            raise DataError(f"{path}: a control, with the {what} of other images of a data set; a photograph has none")
    if rank.evidence is not None and attributes is None:
        named = "name the model that predicts them by --attributes, as embed and rank take it"
        raise DataError(f"{path}: takes attributes of each image; {named}")
    if rank.evidence is None and attributes is not None:
        raise DataError(f"{attributes}: {path} takes no attributes; leave it out")
    try:
        descriptors.header.check_encoder(encoder)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return descriptors


def embed_row(
    encoder,
    beside,
    descriptors,
    frames,
    pose_file: str | Path | None,
    precision: str = FULL,
    attributes: Path | None = None,
) -> np.ndarray:
    """What a row ranks of frames, float32 [n, d].

    Args:
        encoder, beside: as `load_ranked_encoder` gives them.
        descriptors: as :func:`open_descriptors` gives them; None for a row without.
        pose_file: the keypoint table of the frames; it is read only where the row takes a pose when it ranks.
        attributes: the attribute model, for descriptors with evidence.

    Raises:
        DataError: as :func:`embed_for_ranking` and the descriptors' own `embed`.
    """
    if descriptors is None:
        return embed_for_ranking(encoder, beside, frames, pose_file, precision)
    return descriptors.embed(encoder, beside, frames, pose_file, precision, attributes)
