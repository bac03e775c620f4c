"""Unicom's loss: discrimination of classes by a margin softmax over some of the prototypes and some of the dimensions.

X. An and others, Unicom: Universal and Compact Representation Learning for Image Retrieval, ICLR 2023. In each step:
- the classes of the batch and a random share of all classes take part; many clusters are wrong, and two may be one;
- a random subset of the dimensions, the same for embeddings and prototypes, is taken BEFORE both are normalised, so
  that any part of an embedding is an embedding by itself;
- with theta the angle between an embedding and its own prototype and theta_k those to the others, s the scale, m the
  margin: L = -log( exp(s cos(theta + m)) / (exp(s cos(theta + m)) + sum_k exp(s cos(theta_k))) ).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EDGE = 1e-7  # the derivative of the arc cosine has no bound at 1


class Unicom(nn.Module):
    """Mean loss of a batch, with a prototype per class.

    Args:
        classes: how many there are.
        width: of the embeddings.
        share: of the classes, those that take part in a step; the batch's own always do.
        dimensions: share of the dimensions that a step sees.

    Raises:
        ValueError: fewer than two classes, or a share outside (0, 1].
    """

    def __init__(self, classes: int, width: int, *, scale: float, margin: float, share: float, dimensions: float):
        super().__init__()
        if classes < 2:
            raise ValueError(f"{classes} classes: there is nothing to tell apart")
        for name, value in (("share", share), ("dimensions", dimensions)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} {value}: allowed is above 0 up to 1")
        self.prototypes = nn.Parameter(torch.randn(classes, width) * 0.01)
        self.scale, self.margin, self.share, self.dimensions = scale, margin, share, dimensions

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """[b, d], int64 [b] -> []"""
        classes, dimensions = self.draw(labels)
        prototypes = self.prototypes.index_select(0, classes).index_select(1, dimensions)
        targets = torch.searchsorted(classes, labels)
        return margin_softmax(embeddings[:, dimensions], prototypes, targets, self.scale, self.margin)

    def draw(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The classes [c] and dimensions [e] of one step, both ascending, from torch's random numbers."""
        count, width = self.prototypes.shape
        own = torch.zeros(count, dtype=torch.bool, device=labels.device)
        own[labels] = True
        wanted = max(int(own.sum()), math.ceil(self.share * count))
        order = torch.rand(count).to(labels.device) - own.float()  # the batch's own come first
        classes = order.argsort()[:wanted].sort().values
        kept = torch.randperm(width)[: math.ceil(self.dimensions * width)].sort().values
        return classes, kept.to(labels.device)


def margin_softmax(embeddings: Tensor, prototypes: Tensor, targets: Tensor, scale: float, margin: float) -> Tensor:
    """Mean loss [] of embeddings [b, e] against prototypes [c, e], each normalised here; targets int64 [b] in 0..c-1.

    Where theta + m would pass pi, and its cosine rise again, cos(theta) - m sin(m) stands in its place.
    """
    cosines = F.normalize(embeddings) @ F.normalize(prototypes).T  # [b, c]
    own = cosines.gather(1, targets[:, None]).clamp(-1 + EDGE, 1 - EDGE)
    angle = own.acos()
    with_margin = torch.where(angle <= math.pi - margin, (angle + margin).cos(), own - margin * math.sin(margin))
    return F.cross_entropy(scale * cosines.scatter(1, targets[:, None], with_margin), targets)
