"""Lightning Fabric as the environment wants it: one process, or DDP under torchrun."""

import logging
from typing import TYPE_CHECKING, Any

from auxreid.training.environment import world_size
from auxreid.training.precision import FULL, SCALED
from auxreid.training.share import ALONE, Share

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def open_fabric(precision: str = FULL) -> tuple["Fabric", Share]:
    """Fabric on the GPU where there is one, else on the CPU, and this process's share of every batch.

    Under torchrun it connects the processes (NCCL on GPUs, gloo on CPUs), one GPU for each.

    DDP is told that every step uses the same parameters (static_graph), so that a backbone with an unused one trains as
    it does in one process. Buffers are not sent around: each process computes them from the whole batch, alike.
    """
    count = world_size()
    if count == 1:
        return fabric_of_one(precision), ALONE
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # else each process tells that it starts
    strategy = DDPStrategy(static_graph=True, forward_sync_buffers=False)
    fabric = Fabric(strategy=strategy, devices=count, **_scaling(precision))
    fabric.launch()
    return fabric, Share(fabric.global_rank, fabric.world_size)


def fabric_of_one(precision: str = FULL) -> "Fabric":
    """Fabric for a training that is always one process."""
    from lightning_fabric import Fabric  # more than a second

    return Fabric(devices=1, **_scaling(precision))


def _scaling(precision: str) -> dict[str, Any]:
    """What scales the loss, where the precision needs it. Fabric by itself would take bfloat16 instead on a CPU."""
    if precision != SCALED:
        return {}
    import torch

    from auxreid.training.scaled_loss import ScaledLoss

    return {"plugins": ScaledLoss(SCALED, "cuda" if torch.cuda.is_available() else "cpu")}
