"""A remembered vector per identity, told from all others by its cosine with an image's feature (after Li and Gong,
Prototypical contrastive learning-based CLIP fine-tuning for object re-identification, 2023)."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from auxreid.clip.embed import encode_frames
from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.identity_attributes import UNKNOWN
from auxreid.clipreid.training_attributes import training_attributes
from auxreid.clipreid.variants import centroids


class Prototypes(Auxiliary):
    """weight * mean over images of -log softmax_k(cos(f, c_k) / temperature)[y], c_y the prototype of its identity.

    After each batch c_y <- normalised(momentum * c_y + (1 - momentum) * mean of the identity's normalised f in it).

    Args:
        initial: prototypes [k, d] to start with, of length 1.
        place: of f among (f1, f2, f3).
    """

    def __init__(self, initial: Tensor, place: int, temperature: float, momentum: float, weight: float):
        super().__init__()
        self.place, self.temperature, self.momentum, self.weight = place, temperature, momentum, weight
        self.register_buffer("prototypes", initial)

    def forward(self, features, observed, labels):
        """Terms: `prototypes`. labels [b]"""
        own = F.normalize(features[self.place], dim=1)
        remembered = self.prototypes.clone()  # the loss's gradient is of these, and the batch changes them
        loss = F.cross_entropy(own @ remembered.T / self.temperature, labels)
        if self.training:
            self.remember(own.detach(), labels)
        return features, {"loss": self.weight * loss, "prototypes": loss}

    @torch.no_grad()
    def remember(self, own: Tensor, labels: Tensor) -> None:
        """Move the prototypes of the batch's identities; own [b, d] of length 1."""
        members = F.one_hot(labels, len(self.prototypes)).T.to(own)  # [k, b]
        counts = members.sum(dim=1, keepdim=True)
        means = members @ own / counts.clamp(min=1)
        moved = F.normalize(self.momentum * self.prototypes + (1 - self.momentum) * means, dim=1)
        self.prototypes.copy_(torch.where(counts > 0, moved, self.prototypes))


def projected_attributes(codes: np.ndarray, means: Tensor, ridge: float) -> Tensor:
    """What an identity's attributes predict of its mean feature, [k, d] as `means`: ridge regression over identities.

    With X the one-hot words of all attributes (0 where unknown) and Y the means, both centred over identities, it is
    mean(Y) + X (X^T X + k * ridge * I)^-1 X^T Y.

    Args:
        codes: int64 [k, A], -1 where unknown.
    """
    known = [np.unique(column[column != UNKNOWN]) for column in codes.T]
    columns = [column[:, None] == words for column, words in zip(codes.T, known, strict=True)]
    words = torch.from_numpy(np.concatenate(columns, axis=1)).double()  # [k, w]
    words = words - words.mean(dim=0)
    middle = means.double().mean(dim=0)
    inner = words.T @ words + len(words) * ridge * torch.eye(words.shape[1], dtype=torch.double)
    return (middle + words @ torch.linalg.solve(inner, words.T @ (means.double() - middle))).to(means.dtype)


def build(config, context: Context) -> Prototypes:
    """For training, from the start's features of the training frames. Raises DataError where attributes are missing."""
    place = ("f1", "f2", "f3").index(config.feature)
    features = encode_frames(context.encoder, context.frames, context.encoder.input_config)[place]
    initial = centroids(F.normalize(features, dim=1), context.classes)
    if config.initial == "attributes":
        codes = training_attributes(context, config.shuffled).codes
        initial = initial + projected_attributes(codes, initial, config.ridge)
    return Prototypes(F.normalize(initial, dim=1), place, config.temperature, config.momentum, config.weight)
