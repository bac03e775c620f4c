"""The verification loss: do two images show one individual? Binary cross-entropy over all pairs of a batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Verification(nn.Module):
    """With z = a cos + b of a pair, a and b learned: the mean of softplus(-z) over pairs of one identity, and the mean
    of softplus(z) over pairs of two, in equal parts: of P identities with K images, most pairs are of two.

    Args:
        scale: what a begins with; b begins with -a / 2.
    """

    def __init__(self, scale: float):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))
        self.offset = nn.Parameter(torch.tensor(-scale / 2))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """[b, d], int64 [b] -> []

        Raises:
            ValueError: the batch has no pair of one identity, or none of two.
        """
        first, second = torch.triu_indices(len(labels), len(labels), 1, device=labels.device)
        unit = F.normalize(embeddings)
        logits = self.scale * (unit[first] * unit[second]).sum(1) + self.offset  # [b (b - 1) / 2]
        same = labels[first] == labels[second]
        if not same.any() or same.all():
            raise ValueError(f"{len(labels)} images of {len(labels.unique())} identities have no pairs of both kinds")
        return (F.softplus(-logits[same]).mean() + F.softplus(logits[~same]).mean()) / 2
