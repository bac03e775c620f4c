"""Normalisations of a batch of vectors [b, d] before they are fused (THESIS section 4)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UnitNorm(nn.Module):
    """Each vector divided by its own length."""

    def forward(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=1)


class RunningMeanNorm(nn.Module):
    """Each vector divided by a running mean of the batches' mean lengths: relative lengths are kept.

    In training m <- (1 - momentum) * m + momentum * mean_i |v_i|, then v / m; the first batch sets m. In eval mode m
    stays as it is.

    Args:
        detach: False is the thesis's form, in which the batch's share of m gets a gradient.

    Raises:
        ValueError: vectors in eval mode before any batch was seen in training.
    """

    def __init__(self, momentum: float = 0.1, detach: bool = True):
        super().__init__()
        self.momentum, self.detach = momentum, detach
        self.register_buffer("mean_norm", torch.zeros(()))  # 0: no batch has been seen

    def forward(self, vectors: Tensor) -> Tensor:
        if not self.training:
            return vectors / self._known_mean()
        batch = vectors.norm(dim=1).mean()
        batch = batch.detach() if self.detach else batch
        running = (1 - self.momentum) * self.mean_norm + self.momentum * batch
        mean = torch.where(self.mean_norm > 0, running, batch)  # chosen on the device: the host need not wait for it
        self.mean_norm = mean.detach()
        return vectors / mean

    def _known_mean(self) -> Tensor:
        if not self.mean_norm > 0:
            raise ValueError("RunningMeanNorm in eval mode has seen no batch: there is no mean to divide by")
        return self.mean_norm


def build_normalisation(name: str, detach: bool) -> nn.Module:
    """The normalisation that `ablations.<row>.pose.normalisation` names."""
    if name == "none":
        return nn.Identity()
    return UnitNorm() if name == "unit" else RunningMeanNorm(detach=detach)
