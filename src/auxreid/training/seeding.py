"""One call that makes a stage repeatable."""

import os
import random

import numpy as np


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch, and ask torch for deterministic algorithms.

    Equal seeds give equal bytes on one kind of CPU with one number of threads; on CUDA, operations without a
    deterministic form warn instead of failing.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS at its first use
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of one epoch of a run: what an epoch draws does not depend on what ran before it."""
    return seed * 100_003 + epoch
