"""Learning rates by epoch, as pure functions (reference settings, THESIS section 3)."""

import math
from bisect import bisect_right
from collections.abc import Sequence


def warmup_cosine(epoch: int, *, epochs: int, lr: float, warmup_epochs: int, warmup_lr: float, min_lr: float) -> float:
    """Stage 1: linear from `warmup_lr` to `lr`, then a cosine over all `epochs` towards `min_lr`; epochs from 0."""
    if epoch < warmup_epochs:
        return warmup_lr + (lr - warmup_lr) * epoch / warmup_epochs
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * epoch / epochs))


def warmup_steps(
    epoch: int, *, warmup_epochs: int, warmup_factor: float, milestones: Sequence[int], gamma: float
) -> float:
    """Stage 2: factor on the learning rate; linear from `warmup_factor` to 1, x gamma at each milestone.

    Epochs count from 1.
    """
    factor = gamma ** bisect_right(milestones, epoch)
    if epoch < warmup_epochs:
        share = epoch / warmup_epochs
        factor *= warmup_factor * (1 - share) + share
    return factor
