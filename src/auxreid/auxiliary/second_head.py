"""A second projection of f2 beside f3, with an identity and a triplet loss of its own, ranked with both.

It needs nothing but the images: a base for rows that do.
"""

import torch
from torch import nn

from auxreid.clip.image_towers import Features
from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.losses import batch_hard_triplet, identity_cross_entropy
from auxreid.clipreid.stage2_losses import BNNeck


class SecondHead(Auxiliary):
    """g = W f2. Adds w_id * CE(BNNeck(g)) + w_triplet * triplet(g), and concat(f3, g) is ranked in the place of f3.

    No text is compared with it, so that its width is free.

    Args:
        width: of f2; dim: of g.
        identities: how many are trained on.
        settings: the finetune section; None where images are ranked.
    """

    ranked = True

    def __init__(self, width: int, dim: int, identities: int, settings):
        super().__init__()
        self.facts = {"identities": identities}
        self.settings = settings
        self.projection = nn.Linear(width, dim, bias=False)
        nn.init.normal_(self.projection.weight, std=width**-0.5)
        self.neck = BNNeck(dim, identities)

    def forward(self, features, observed, labels):
        """Terms: `head_id` and `head_triplet`. labels [b]"""
        s, own = self.settings, self.projection(features[1])  # [b, dim]
        identity = identity_cross_entropy(self.neck(own), labels, s.smoothing)
        triplet = batch_hard_triplet(own, labels, s.margin)
        terms = {"head_id": identity, "head_triplet": triplet}
        return features, {"loss": s.w_id * identity + s.w_triplet * triplet} | terms

    def rank(self, features: Features, observed) -> Features:
        """(f1, f2, concat(f3, g))"""
        f1, f2, f3 = features
        return f1, f2, torch.cat([f3, self.projection(f2)], dim=1)


def build(config, context: Context) -> SecondHead:
    """For training."""
    return SecondHead(context.encoder.dims[1], config.dim, int(context.classes.max()) + 1, context.settings)


def restore(config, facts: dict, context: Context) -> SecondHead:
    """As it was built, for its weights to be loaded."""
    return SecondHead(context.encoder.dims[1], config.dim, facts["identities"], None)
