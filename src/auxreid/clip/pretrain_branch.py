"""A third tower in pre-training, of the pose or of attributes, beside image and text (the thesis's third outlook).

Each pair of the three is contrasted as CLIP contrasts image and text. What the image tower has learned from the third
stays in it; the third itself ends with pre-training. Its two terms have a logit scale of their own: how sharply a pose
can be told says nothing of captions, whose scale is folded into the towers that are left.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clip.images import Draw, View

Known = Callable[[np.ndarray, Sequence[View]], Tensor]  # rows [b] and their views -> what the tower takes, [b, ...]
START = math.log(1 / 0.07)  # of a logit scale, as CLIP's


class Branch(nn.Module):
    """image-text + weight * (image-branch + text-branch), each the mean of both directions' cross-entropies.

    Args:
        tower: what is known of images [b, ...] -> [b, e].
        known: of the frames that are trained on.
        weight: of its two terms.
    """

    def __init__(self, tower: nn.Module, known: Known, weight: float):
        super().__init__()
        self.tower, self.known, self.weight = tower, known, weight
        self.scale = nn.Parameter(torch.tensor(START))

    def inputs(self, draws: Sequence[Draw]) -> Tensor:
        """What is known of a batch of (row, view)."""
        return self.known(np.array([row for row, _ in draws]), [view for _, view in draws])

    def forward(self, image_text: Tensor, image: Tensor, text: Tensor, known: Tensor) -> dict[str, Tensor]:
        """The plain loss, features of length 1 [b, e], and what is known -> all terms, and their sum as `loss`."""
        from open_clip.loss import ClipLoss

        with torch.no_grad():
            self.scale.clamp_(0, math.log(100))  # the bound of CLIP
        features, loss_of = F.normalize(self.tower(known), dim=1), ClipLoss()
        image_branch, text_branch = (loss_of(one, features, self.scale.exp()) for one in (image, text))
        total = image_text + self.weight * (image_branch + text_branch)
        return {"loss": total, "image_text": image_text, "image_branch": image_branch, "text_branch": text_branch}


class PoseTower(nn.Module):
    """Two hidden layers on the places and confidences of joints, [b, J, 3] -> [b, e]."""

    def __init__(self, joints: int, width: int, embed_dim: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.BatchNorm1d(3 * joints, affine=False),  # joints move by a few hundredths of an image
            nn.Linear(3 * joints, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, embed_dim),
        )

    def forward(self, places: Tensor) -> Tensor:
        return self.layers(places)


class AttributeTower(nn.Module):
    """A hidden layer on the mean of vectors of the known words, [b, A] of AttributeWords -> [b, e]."""

    def __init__(self, words: int, width: int, embed_dim: int):
        super().__init__()
        self.bag = nn.EmbeddingBag(words + 1, width, mode="mean", padding_idx=words)
        self.layers = nn.Sequential(nn.GELU(), nn.Linear(width, embed_dim))

    def forward(self, words: Tensor) -> Tensor:
        return self.layers(self.bag(words))


class AttributeWords:
    """`known(rows, views)`: the numbers of the words of these frames, `count` for an unknown one, int64 [b, A].

    Args:
        codes: int64 [n, A] of the n frames, -1 where unknown.
        counts: of the words of each attribute.
    """

    def __init__(self, codes: np.ndarray, counts: Sequence[int]):
        self.count = sum(counts)
        starts = np.cumsum(counts) - counts
        self.words = torch.from_numpy(np.where(codes < 0, self.count, starts + codes))

    def __call__(self, rows: np.ndarray, views: Sequence[View]) -> Tensor:
        return self.words[torch.from_numpy(rows)]
