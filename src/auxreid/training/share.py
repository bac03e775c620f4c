"""The rows of a batch that are one process's share, and all processes' rows together again."""

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from auxreid.plumbing.base.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The part of process `rank` of `count`: contiguous rows of every batch; of 10 rows three processes get 4, 3, 3."""

    rank: int = 0
    count: int = 1

    def rows(self, batch: int) -> slice:
        """The rows of this process in a batch of so many.

        Raises:
            ConfigError: a process would have none.
        """
        if batch < self.count:
            raise ConfigError(
                f"a batch of {batch} images cannot be shared by {self.count} processes; AUXREID_PROCESSES, or "
                f"torchrun's --nproc-per-node, may be at most {batch}"
            )
        size, larger = divmod(batch, self.count)
        start = self.rank * size + min(self.rank, larger)
        return slice(start, start + size + (self.rank < larger))

    def from_first(self, value: T) -> T:
        """The value that the first process has."""
        if self.count == 1:
            return value
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, own: Tensor, batch: int) -> Tensor:
        """This process's rows [own, ...] -> those of all processes [batch, ...], with a gradient.

        Made for a loss L that every process computes alike from all rows, and for DDP, which averages the parameters'
        gradients. The gradient that comes back is then dL/d(all rows) in every process; the own rows of it, times the
        number of processes, go on. Behind them a process has count * sum over own rows i of dL/df_i * df_i/dw, whose
        mean over the processes is the sum over all rows: the gradient of one process. Weights that act on the gathered
        rows have dL/dw in every process, hence in the mean.
        """
        if self.count == 1:
            return own
        sizes = [rows.stop - rows.start for rows in (Share(one, self.count).rows(batch) for one in range(self.count))]
        return _Gather.apply(own, sizes, self.rows(batch))


ALONE = Share()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, own: Tensor, sizes: list[int], rows: slice) -> Tensor:
        ctx.rows, ctx.count = rows, len(sizes)
        padded = own.new_zeros(max(sizes), *own.shape[1:])  # all_gather wants equal sizes
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.count * gradient[ctx.rows], None, None
