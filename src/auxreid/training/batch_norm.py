"""Batch norm whose batch is that of all processes, on GPUs and on CPUs; torch's nn.SyncBatchNorm is for GPUs alone."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from auxreid.plumbing.base.errors import ConfigError
from auxreid.training.environment import world_size
from auxreid.training.precision import lengthened


def share_batch_norms(module: nn.Module) -> nn.Module:
    """Replace the batch norms inside `module`, in place, by ones that see the batch of all processes; return it.

    Names, weights and buffers stay. With one process nothing is replaced. Other layers that look at the whole batch
    (CLIP's towers and timm's usual networks have none) would see the rows of their process.

    Raises:
        ConfigError: a batch norm of a kind that does more than this module knows.
    """
    if world_size() > 1:
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, WholeBatchNorm(child))
            else:
                share_batch_norms(child)
    return module


class WholeBatchNorm(_BatchNorm):
    """In training, batch norm over the rows of all processes; in eval mode, as the layer that it replaces.

    It takes over the layer's weights and buffers, and what timm's BatchNormAct2d does after the norm.
    """

    def __init__(self, replaced: _BatchNorm):
        super().__init__(
            replaced.num_features, replaced.eps, replaced.momentum, affine=False, track_running_stats=False
        )
        known = type(replaced) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        if not known and type(replaced).__name__ != "BatchNormAct2d":
            kind = type(replaced).__name__
            raise ConfigError(
                f"the network has a {kind}, which several processes cannot share; train it in one process"
            )
        self.affine, self.track_running_stats = replaced.affine, replaced.track_running_stats
        self.weight, self.bias = replaced.weight, replaced.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            setattr(self, name, getattr(replaced, name))
        self.drop = nn.Identity() if known else replaced.drop
        self.act = nn.Identity() if known else replaced.act
        self.train(replaced.training)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, ...] of this process -> the same shape"""
        return self.act(self.drop(self._by_whole_batch(x) if self.training else super().forward(x)))

    def _by_whole_batch(self, x: Tensor) -> Tensor:
        normed, mean, variance, count = _Normalise.apply(lengthened(x), self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self.num_batches_tracked += 1
            share = 1.0 / self.num_batches_tracked if self.momentum is None else self.momentum
            unbiased = variance * (count / (count - 1))
            self.running_mean.mul_(1 - share).add_(share * mean)
            self.running_var.mul_(1 - share).add_(share * unbiased)
        return normed.to(x.dtype)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"expected [b, c, ...], got {x.dim()} dimensions")


class _Normalise(torch.autograd.Function):
    """(x [b, c, ...], weight [c], bias [c], eps) -> normed x, and over all processes mean [c], variance [c], count."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float):
        mean, variance, count = _whole_statistics(x)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps), mean, variance, count

    @staticmethod
    def backward(ctx, gradient: Tensor, *_):
        """With g the gradient of the output, z the normed x without weight and bias, and means over all processes:

        dL/dx = weight / std * (g - mean(g) - z * mean(g * z)),  dL/dweight = sum g * z,  dL/dbias = sum g.

        The last two are sums over this process's rows: as of every parameter, DDP joins those of the processes.
        """
        x, weight, mean, variance, count = ctx.saved_tensors
        over, shape = _all_but_channels(x)
        inverse = (variance + ctx.eps).rsqrt()
        z = (x - mean.view(shape)) * inverse.view(shape)
        sums = torch.stack([gradient.sum(over), (gradient * z).sum(over)])  # [2, c]
        of_x = None
        if ctx.needs_input_grad[0]:
            means = sums.to(torch.double, copy=True)  # of this process until it is reduced in place
            torch.distributed.all_reduce(means)
            g, gz = (means / count).to(x.dtype)
            scale = inverse if weight is None else inverse * weight
            of_x = scale.view(shape) * (gradient - g.view(shape) - z * gz.view(shape))
        of_weight = sums[1] if ctx.needs_input_grad[1] else None
        of_bias = sums[0] if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias, None


def _whole_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [c], biased variance [c] and number of values per channel [] over all processes' x [b, c, ...].

    Of each process the mean and the squared deviations from it are sent, and joined as Chan et al. (1979) do: sums of
    squares would lose digits where the mean is large.
    """
    over, _ = _all_but_channels(x)
    variance, mean = torch.var_mean(x, over, correction=0)
    count = x.numel() // x.shape[1]
    own = torch.stack([mean.double(), variance.double(), torch.full_like(mean, count, dtype=torch.double)])  # [3, c]
    parts = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, own)
    means, variances, counts = torch.stack(parts, dim=1)  # [processes, c] each
    total = counts.sum(0)
    whole = (counts * means).sum(0) / total
    squares = (counts * (variances + (means - whole).square())).sum(0)
    return whole.to(x.dtype), (squares / total).to(x.dtype), total[0].to(x.dtype)


def _all_but_channels(x: Tensor) -> tuple[list[int], list[int]]:
    """The dimensions of x [b, c, ...] that are averaged over, and the shape in which a value per channel fits it."""
    return [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
