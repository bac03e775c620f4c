"""What a row is worth on individuals that it has not learnt from, and when to stop: by cross-validation over the known
training individuals. Test individuals take no part in any choice.

The individuals are dealt to folds. For each fold a model is trained on the others, and the fold's images are ranked,
each asking for the other images of its individual; half of the images of unknown individuals stand among them as
distractors (the other half is there to learn from, where a row makes clusters). All folds go epoch by epoch together.
The epoch with the best mAP over all folds' queries, the first of equal ones, is the one at which the final model,
trained on all individuals, stops; 0 is the encoder that nobody touched.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from auxreid.data.frames import Frames
from auxreid.evaluation.protocols import PROTOCOLS
from auxreid.evaluation.ranking import distance_blocks, rank_blocks

Epochs = Iterator[Tensor]  # embeddings [n, e] of all frames, before the first epoch and after each


@dataclass(frozen=True)
class HeldOut:
    """One fold: the rows of its individuals, and those of the distractors."""

    rows: np.ndarray
    distractors: np.ndarray


@dataclass(frozen=True)
class Validated:
    """What cross-validation found; queries in the order of the folds."""

    curve: np.ndarray  # float64 [epochs + 1], mAP after each epoch, from 0
    epoch: int  # the best
    precision: np.ndarray  # float64 [q] at the best epoch, NaN without a true match
    untouched: np.ndarray  # float64 [q] by the encoder's own features, all dimensions of them
    identity: np.ndarray  # int64 [q]
    held_out: np.ndarray  # float32 [k, e] at the best epoch, of the rows of the folds one after the other


def deal_folds(identity: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold in 0..count-1 of each of n rows, int64 [n]: an individual is in one, and folds are of equal numbers of
    individuals but for one. `count` is at most half the number of individuals, so that each has two."""
    names, own = np.unique(identity, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (np.argsort(order) % max(2, min(count, len(names) // 2)))[own]


def average_precisions(frames: Frames, embeddings: np.ndarray, fold: HeldOut, protocol: str) -> tuple:
    """(average precision float64 [q], NaN without a true match, identity int64 [q]) of a fold's entities."""
    rows = np.concatenate([fold.rows, fold.distractors])
    entities = PROTOCOLS[protocol](frames, embeddings, rows)
    identity = np.maximum(entities.identity, 0)  # who is unknown matches nobody
    asking = identity > 0
    blocks = distance_blocks(entities.embedding[asking], entities.embedding)
    labels = identity[asking], identity, entities.group[asking], entities.group
    return rank_blocks(blocks, *labels).average_precision, identity[asking]


def cross_validate(
    trainings: list[Epochs],
    folds: list[HeldOut],
    frames: Frames,
    untouched: np.ndarray,
    protocol: str,
    patience: int,
    log: Callable,
) -> Validated:
    """Go through the folds' trainings together until the mAP has not risen for `patience` epochs, or they end.

    Args:
        untouched: the encoder's own features of all frames [n, d].
        log: called with {"val_mAP": ...} and the epoch.

    Raises:
        ValueError: no fold has a query with a true match.
    """
    found: list[np.ndarray] = []
    held_out = np.zeros((0, 0), np.float32)
    curve: list[float] = []
    for epoch, embeddings in enumerate(zip(*trainings, strict=True)):
        pairs = [(made.numpy(), fold) for made, fold in zip(embeddings, folds, strict=True)]
        parts = [average_precisions(frames, made, fold, protocol) for made, fold in pairs]
        found.append(np.concatenate([precision for precision, _ in parts]))
        if np.isnan(found[-1]).all():
            raise ValueError("no held-out individual has two images that may match")
        curve.append(float(np.nanmean(found[-1])))
        log({"val_mAP": curve[-1]}, epoch)
        if int(np.argmax(curve)) == epoch:
            held_out = np.concatenate([made[fold.rows] for made, fold in pairs])
        if epoch - int(np.argmax(curve)) >= patience:
            break
    best, identity = int(np.argmax(curve)), np.concatenate([identity for _, identity in parts])
    before = [average_precisions(frames, untouched, fold, protocol)[0] for fold in folds]
    return Validated(np.array(curve), best, found[best], np.concatenate(before), identity, held_out)
