"""Same attributes, other person, is the pair under most pressure: batches of identities that are alike in their
attributes, and a triplet margin that grows with how alike two are. The opposite of attribute smoothing."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.identity_attributes import share_of_equal
from auxreid.clipreid.losses import euclidean
from auxreid.clipreid.training_attributes import training_attributes
from auxreid.data.sampler import identity_batches
from auxreid.plumbing.base.errors import ConfigError


class AttributeHard(Auxiliary):
    """weight * sum over f1, f2, f3 of :func:`growing_triplet`, in the place of CLIP-ReID's triplet loss.

    With neither near identities nor a growing margin it is that loss on its own batches.

    Args:
        share: of equal attributes float64 [k, k], 1 with oneself.
        near: of a batch's other identities, the part that shares most attributes with the first.
        margin, growth: of the triplets.
        weight: of their sum.
    """

    def __init__(self, share: np.ndarray, near: float, margin: float, growth: float, weight: float):
        super().__init__()
        self.near, self.weight = near, weight
        self.share = share
        self.register_buffer("margins", torch.from_numpy(margin * (1 + growth * share)).float(), persistent=False)

    def batches(self, identities, settings, rng):
        """P x K; with near ones as :func:`alike_batches`, without them as they are without it."""
        near = round(self.near * (settings.identities - 1))
        if not near:
            return super().batches(identities, settings, rng)
        return alike_batches(identities, settings.identities, settings.instances, self.share, near, rng)

    def forward(self, features, observed, labels):
        """Terms: `hard_triplet`, the sum over the features. labels [b]"""
        margins = self.margins[labels][:, labels]
        total = torch.stack([growing_triplet(one, labels, margins) for one in features]).sum()
        return features, {"loss": self.weight * total, "hard_triplet": total}


def alike_batches(
    identities: np.ndarray, p: int, k: int, share: np.ndarray, near: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """One epoch of batches of p * k rows, in which identities are walked as :func:`identity_batches` does it.

    A batch takes a chunk each of a random identity, of the `near` ones of those left that share most attributes with it
    (of equal ones, random ones), and of random others, until fewer than p identities are left.

    Args:
        identities: in 0..m-1 [n]; share: [m, m].

    Raises:
        ValueError: there are fewer than p identities.
    """
    if len(np.unique(identities)) < p:
        raise ValueError(f"a batch needs {p} identities, the training frames have {len(np.unique(identities))}")
    chunks: dict[int, list[np.ndarray]] = {}
    for chunk in identity_batches(identities, 1, k, rng):  # all of them
        chunks.setdefault(int(identities[chunk[0]]), []).append(chunk)
    batches = []
    while len(chunks) >= p:
        first, *others = rng.permutation(list(chunks)).tolist()
        alike = sorted(others, key=lambda other, first=first: -share[first, other])  # stable: equal ones stay random
        nearest = set(alike[:near])
        rest = [other for other in others if other not in nearest]
        chosen = [first, *alike[:near], *rest[: p - 1 - near]]
        batches.append(np.concatenate([chunks[identity].pop() for identity in chosen]))
        chunks = {identity: left for identity, left in chunks.items() if left}
    return batches


def growing_triplet(features: Tensor, identities: Tensor, margins: Tensor) -> Tensor:
    """mean over anchors i of max(d_ip + m_in - d_in, 0): p the farthest positive, n the negative of the largest
    m_in - d_in, Euclidean distances of raw features [b, d]; identities [b].

    margins m: [b, b]; where all are equal, n is the closest negative, and this the batch-hard triplet loss.
    """
    distances = euclidean(features)  # [b, b]
    same = identities[:, None] == identities[None, :]
    farthest_positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
    negatives = distances.masked_fill(same, torch.inf)
    hardest = (margins - negatives.detach()).argmax(dim=1, keepdim=True)
    margin, negative = margins.gather(1, hardest)[:, 0], negatives.gather(1, hardest)[:, 0]
    return F.relu(margin + farthest_positive - negative).mean()


def build(config, context: Context) -> AttributeHard:
    """For training.

    Raises:
        ConfigError: CLIP-ReID's own triplet loss is left on.
        DataError: the frames have no attributes.
    """
    settings = context.settings
    if settings.w_triplet:
        raise ConfigError(
            "auxiliary attribute_hard stands in the place of the triplet loss: "
            f"finetune.w_triplet is {settings.w_triplet} and must be 0"
        )
    share = share_of_equal(training_attributes(context, config.shuffled).codes)
    return AttributeHard(share, config.near, settings.margin, config.growth, config.weight)
