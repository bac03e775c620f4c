"""A classifier per attribute on f2 (after Lin et al., Improving person re-identification by attribute and identity
learning, 2019)."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.identity_attributes import UNKNOWN, identity_attributes


class AttributeHeads(Auxiliary):
    """weight * sum over attributes of CE_balanced(W_a f2, the identity's word), unknown words left out.

    A word's weight is inverse to the number of identities that have it, with mean 1 over the identities.

    Args:
        width: of f2.
        codes: int64 [k, A] of the training identities, -1 where unknown.
        counts: of the words of each attribute.
        weight: of the sum; at 0 nothing of it reaches the encoder.
    """

    def __init__(self, width: int, codes: np.ndarray, counts: tuple[int, ...], weight: float):
        super().__init__()
        self.weight = weight
        self.register_buffer("codes", torch.from_numpy(codes))
        told = [place for place in range(len(counts)) if len(np.unique(codes[codes[:, place] != UNKNOWN, place])) > 1]
        self.told = told  # attributes of which the identities have several words: of one there is nothing to learn
        self.heads = nn.ModuleList([nn.Linear(width, counts[place]) for place in told])
        for number, place in enumerate(told):
            self.register_buffer(f"balance_{number}", balance(codes[:, place], counts[place]))

    def forward(self, features, observed, labels):
        """Terms: `attributes`, the unweighted sum. labels [b]"""
        codes = self.codes[labels]  # [b, A]
        terms = [
            F.cross_entropy(
                head(features[1]), codes[:, place], getattr(self, f"balance_{number}"), ignore_index=UNKNOWN
            )
            for number, (head, place) in enumerate(zip(self.heads, self.told, strict=True))
            if (codes[:, place] != UNKNOWN).any()
        ]
        total = torch.stack(terms).sum() if terms else features[1].sum() * 0.0
        return features, {"loss": self.weight * total, "attributes": total}


def balance(codes: np.ndarray, count: int) -> Tensor:
    """Weight of each word [count]: inverse to how many identities have it, mean 1 over the identities; 0 if none has.

    codes: int64 [k], -1 where unknown.
    """
    having = np.bincount(codes[codes != UNKNOWN], minlength=count)  # [count]
    weights = np.divide(1.0, having, out=np.zeros(count), where=having > 0)
    return torch.from_numpy(weights * having.sum() / (having > 0).sum()).float()


def build(config, context: Context) -> AttributeHeads:
    """For training. Raises DataError where the frames have no attributes."""
    known = identity_attributes(context.frames, context.classes)
    codes = known.codes
    if config.shuffled:
        codes = codes[np.random.default_rng(context.seed).permutation(len(codes))]
    return AttributeHeads(context.encoder.dims[1], codes, tuple(map(len, known.words)), config.weight)
