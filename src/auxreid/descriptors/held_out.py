"""How well vectors of training images rank one another, by the rules of the evaluation."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from auxreid.evaluation.ranking import rank_queries, squared_distances, summarise
from auxreid.plumbing.base.errors import DataError

MOST = 3000  # images that are ranked: whole identities, until there are so many


def held_out_score(frames, classes: np.ndarray) -> Callable[[Tensor, np.ndarray], float]:
    """`score(vectors [m, d], rows [m])`: mAP of unit vectors of some of the frames, each asked for among the others.

    A true match is of another camera; where no identity is in two, of another sequence, else any other image of the
    identity.

    Args:
        frames: the n training frames; classes: their identities in 0..k-1 [n].

    The score raises DataError where no image has a true match.
    """
    groups = apart(frames, classes)

    def score(vectors: Tensor, rows: np.ndarray) -> float:
        kept = _first_identities(classes[rows])
        unit = vectors[kept] / vectors[kept].norm(dim=1, keepdim=True).clamp(min=1e-12)
        identity, group = classes[rows][kept] + 1, groups[rows][kept]  # 0 would be a distractor
        ranked = rank_queries(_distances(unit), identity, identity, group, group)
        if not ranked.valid.any():
            raise DataError(
                f"{frames.meta.dataset}: whitening is chosen on training identities, and none has two images"
            )
        return summarise(ranked)["mAP"]

    return score


def apart(frames, classes: np.ndarray) -> np.ndarray:
    """A group per frame [n]: images of one identity and group are no match for each other."""
    alone = np.arange(len(frames))
    sequences = np.unique(frames.sequence.astype(str), return_inverse=True)[1]
    sequences = np.where(frames.sequence == "", len(frames) + alone, sequences)
    for groups in (frames.camera.astype(np.int64), sequences):
        pairs = np.unique(np.stack([classes, groups], axis=1), axis=0)
        if len(pairs) > len(np.unique(classes)):
            return groups
    return alone


def _first_identities(classes: np.ndarray) -> np.ndarray:
    """Places of all images of the first identities, at most MOST unless one alone has more."""
    order = np.argsort(classes, kind="stable")
    if len(order) <= MOST:
        return order
    last = classes[order[MOST]]
    return order[classes[order] < last] if (classes[order] < last).any() else order


def _distances(unit: Tensor) -> np.ndarray:
    values = unit.numpy()
    return squared_distances(values, values)
