"""A classifier per attribute on f2 (after Lin et al., Improving person re-identification by attribute and identity
learning, 2019)."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.identity_attributes import UNKNOWN
from auxreid.clipreid.training_attributes import image_attributes, training_attributes
from auxreid.plumbing.base.errors import DataError

LEAST = 1e-12  # of the weights of a batch's words, where nobody in it has a known one


class AttributeHeads(Auxiliary):
    """weight * sum over attributes of CE_balanced(W_a f2, the identity's or image's word), unknown words left out.

    A word's weight is inverse to the number of those who have it, with mean 1 over them. With learned
    scales (Kendall et al., Multi-task learning using uncertainty to weigh losses for scene geometry and semantics,
    2018), s_a = log sigma_a^2 of each head, which starts at 0, the sum is

        sum over attributes of exp(-s_a) * CE_a + s_a / 2.

    Args:
        width: of f2.
        codes: int64 [k, A] of the training identities, or [n, A] of the images; -1 where unknown.
        counts: of the words of each attribute.
        weight: of the sum; at 0 nothing of it reaches the encoder.
        learned: whether the heads' scales are learned.
        of_images: whether the codes are of images.

    Raises:
        DataError: in no attribute do they have several words, so that there is nothing to learn.
    """

    def __init__(
        self,
        width: int,
        codes: np.ndarray,
        counts: tuple[int, ...],
        weight: float,
        learned: bool,
        of_images: bool = False,
    ):
        super().__init__()
        self.weight, self.of_images = weight, of_images
        self.told = [place for place in range(len(counts)) if len(np.unique(_known(codes[:, place]))) > 1]
        if not self.told:
            raise DataError("attribute_heads: no attribute has two words among the training identities")
        self.register_buffer("codes", torch.from_numpy(codes[:, self.told]))
        self.heads = nn.ModuleList([nn.Linear(width, counts[place]) for place in self.told])
        for number, place in enumerate(self.told):
            self.register_buffer(f"balance_{number}", balance(codes[:, place], counts[place]))
        self.log_variance = nn.Parameter(torch.zeros(len(self.told))) if learned else None

    def inputs(self, rows, views):
        """The images' own codes [b, A], where they have some."""
        return (self.codes[torch.from_numpy(rows).to(self.codes.device)],) if self.of_images else ()

    def observe(self, features, maps, inputs):
        return inputs

    def forward(self, features, observed, labels):
        """Terms: `attributes`, the sum of the cross-entropies, and with learned scales `attribute_scale`, the mean of
        exp(-s). labels [b]"""
        codes = observed[0] if observed else self.codes[labels]  # [b, A]
        errors = torch.stack(
            [
                balanced_cross_entropy(head(features[1]), own, getattr(self, f"balance_{number}"))
                for number, (head, own) in enumerate(zip(self.heads, codes.T, strict=True))
            ]
        )  # [A]
        terms = {"attributes": errors.sum()}
        if self.log_variance is None:
            return features, {"loss": self.weight * terms["attributes"]} | terms
        known = (codes != UNKNOWN).any(dim=0)  # a batch that says nothing of an attribute says nothing of its scale
        total = ((-self.log_variance).exp() * errors + self.log_variance / 2 * known).sum()
        return features, {"loss": self.weight * total} | terms | {"attribute_scale": (-self.log_variance).exp().mean()}


def balanced_cross_entropy(logits: Tensor, codes: Tensor, weights: Tensor) -> Tensor:
    """Mean over rows of known words, weighted by their words; 0 where there is none.

    logits [b, words], codes int64 [b], -1 where unknown, weights [words].
    """
    total = F.cross_entropy(logits, codes, weights, ignore_index=UNKNOWN, reduction="sum")
    return total / (weights[codes.clamp(min=0)] * (codes != UNKNOWN)).sum().clamp(min=LEAST)


def balance(codes: np.ndarray, count: int) -> Tensor:
    """Weight of each word [count]: inverse to how many identities have it, mean 1 over the identities; 0 if none has.

    codes: int64 [k], -1 where unknown.
    """
    having = np.bincount(_known(codes), minlength=count)  # [count]
    weights = np.divide(1.0, having, out=np.zeros(count), where=having > 0)
    return torch.from_numpy(weights * having.sum() / (having > 0).sum()).float()


def build(config, context: Context) -> AttributeHeads:
    """For training. Raises DataError where the frames have no attributes, or say nothing by them."""
    of_images, learned = config.level == "image", config.scale == "uncertainty"
    known = (image_attributes if of_images else training_attributes)(context, config.shuffled)
    counts = tuple(map(len, known.words))
    return AttributeHeads(context.encoder.dims[1], known.codes, counts, config.weight, learned, of_images)


def _known(codes: np.ndarray) -> np.ndarray:
    return codes[codes != UNKNOWN]
