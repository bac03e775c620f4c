"""The identity loss: cross-entropy of a linear classifier without bias, with label smoothing."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Identity(nn.Module):
    """-sum_k q_k log softmax_k(s W e / |e|), q the label smoothed by eps; s is the scale."""

    def __init__(self, classes: int, width: int, *, scale: float, smoothing: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, width) * width**-0.5)
        self.scale, self.smoothing = scale, smoothing

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """[b, d], int64 [b] -> []"""
        logits = self.scale * F.linear(F.normalize(embeddings), self.weight)
        return F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
