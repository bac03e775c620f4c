"""Lightning Fabric as the environment wants it: one process, or DDP under torchrun."""

import logging
from typing import TYPE_CHECKING

from auxreid.training.environment import world_size
from auxreid.training.share import ALONE, Share

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def open_fabric() -> tuple["Fabric", Share]:
    """Fabric on the GPU where there is one, else on the CPU, and this process's share of every batch.

    Under torchrun it connects the processes (NCCL on GPUs, gloo on CPUs), one GPU for each.

    DDP is told that every step uses the same parameters (static_graph), so that a backbone with an unused one trains as
    it does in one process. Buffers are not sent around: each process computes them from the whole batch, alike.
    """
    from lightning_fabric import Fabric  # more than a second

    count = world_size()
    if count == 1:
        return Fabric(devices=1), ALONE
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # else each process tells that it starts
    fabric = Fabric(strategy=DDPStrategy(static_graph=True, forward_sync_buffers=False), devices=count)
    fabric.launch()
    return fabric, Share(fabric.global_rank, fabric.world_size)
