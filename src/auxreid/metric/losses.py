"""The losses by name. ArcFace, its sub-centres and the triplet are pytorch-metric-learning's.

Each is called with embeddings [b, d], not normalised, and labels int64 [b] in 0..classes-1, and gives a mean [].
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from auxreid.metric.identity import Identity
from auxreid.metric.unicom import Unicom
from auxreid.metric.verification import Verification

CENTRE_STEPS, CENTRE_LR = 200, 0.05  # of fitting centres to embeddings that stay
SUSPICIOUS_DEGREES = 75.0  # from the centre that most of an identity's images are near; the library's own choice


def build_loss(row: Any, classes: int, width: int) -> nn.Module:
    """The loss that a row names, with its parameters drawn from torch's random numbers.

    Args:
        row: a block of metric_rows.
        classes: how many there are.
        width: of the embeddings.
    """
    return LOSSES[row.loss](row, classes, width)


def suspicious_images(row: Any, embeddings: Tensor, labels: Tensor) -> Tensor:
    """Positions, ascending int64 [k], of images [n, d] far from the centre that most images of their identity are near:
    their label is likely wrong (J. Deng and others, Sub-center ArcFace, ECCV 2020).

    The centres are fitted to these embeddings, however early the training of them has stopped.

    Args:
        row: a block of metric_rows whose loss has sub-centres.
    """
    loss = build_loss(row, int(labels.max()) + 1, embeddings.shape[1])
    optimizer = torch.optim.Adam(loss.parameters(), lr=CENTRE_LR)
    for _ in range(CENTRE_STEPS):
        optimizer.zero_grad()
        loss(embeddings, labels).backward()
        optimizer.step()
    found, _ = loss.get_outliers(embeddings, labels, threshold=SUSPICIOUS_DEGREES)
    return torch.as_tensor(found, dtype=torch.int64).flatten().sort().values


class HardestTriplets(nn.Module):
    """max(m + d_ap - d_an, 0) of Euclidean distances, each image with its farthest positive and nearest negative."""

    def __init__(self, margin: float):
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import BatchHardMiner
        from pytorch_metric_learning.reducers import MeanReducer

        super().__init__()
        distance = LpDistance(normalize_embeddings=True)
        self.miner = BatchHardMiner(distance=distance)
        self.loss = TripletMarginLoss(margin=margin, distance=distance, reducer=MeanReducer())

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """[b, d], int64 [b] -> []"""
        return self.loss(embeddings, labels, self.miner(embeddings, labels))


def _arcface(row: Any, classes: int, width: int) -> nn.Module:
    from pytorch_metric_learning.losses import ArcFaceLoss

    return ArcFaceLoss(classes, width, margin=math.degrees(row.margin), scale=row.scale)


def _subcenter_arcface(row: Any, classes: int, width: int) -> nn.Module:
    from pytorch_metric_learning.losses import SubCenterArcFaceLoss

    options = {"margin": math.degrees(row.margin), "scale": row.scale, "sub_centers": row.centers}
    return SubCenterArcFaceLoss(num_classes=classes, embedding_size=width, **options)


def _unicom(row: Any, classes: int, width: int) -> nn.Module:
    options = {"scale": row.scale, "margin": row.margin, "share": row.share, "dimensions": row.dimensions}
    return Unicom(classes, width, **options)


LOSSES: dict[str, Callable[[Any, int, int], nn.Module]] = {
    "unicom": _unicom,
    "arcface": _arcface,
    "subcenter_arcface": _subcenter_arcface,
    "triplet": lambda row, _classes, _width: HardestTriplets(row.margin),
    "identity": lambda row, classes, width: Identity(classes, width, scale=row.scale, smoothing=row.smoothing),
    "verification": lambda row, _classes, _width: Verification(row.scale),
}
