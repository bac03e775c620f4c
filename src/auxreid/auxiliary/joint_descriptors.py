"""Local descriptors around the joints supervised beside the image's features, so that the maps they are pooled from
tell people apart where the encoder still localises."""

from collections.abc import Sequence

import torch
from torch import nn

from auxreid.clip.maps import map_width
from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.losses import batch_hard_triplet, identity_cross_entropy
from auxreid.clipreid.map_pools import MapPools, PoolProjections, open_pools
from auxreid.clipreid.stage2_losses import BNNeck
from auxreid.pose.gaussians import pooled


class JointDescriptors(Auxiliary):
    """weight * (w_id * CE(BNNeck(v)) + w_triplet * triplet(v)), v the projected pools of all maps in one vector.

    Args:
        widths: of the maps that `config` names.
        identities: their number.
        settings: the finetune section: its margin, smoothing, w_id and w_triplet.
    """

    def __init__(self, config, pools: MapPools, widths: Sequence[int], identities: int, settings):
        super().__init__()
        self.maps, self.pools, self.weight, self.settings = tuple(config.maps), pools, config.weight, settings
        self.projections = nn.ModuleList([PoolProjections(pools.count, width, config.dim) for width in widths])
        self.neck = BNNeck(len(widths) * pools.count * config.dim, identities)

    def inputs(self, rows, views):
        return self.pools.inputs(rows, views)

    def observe(self, features, maps, inputs):
        """v [b, maps * P * dim]"""
        vectors = []
        for name, project in zip(self.maps, self.projections, strict=True):
            cells = maps[name].float()
            vectors.append(project(pooled(cells, self.pools.weights(cells, inputs))).flatten(1))
        return (torch.cat(vectors, dim=1),)

    def forward(self, features, observed, labels):
        """Terms: `descriptor_id` and `descriptor_triplet`."""
        [vectors], s = observed, self.settings
        identity = identity_cross_entropy(self.neck(vectors), labels, s.smoothing)
        triplet = batch_hard_triplet(vectors, labels, s.margin)
        loss = self.weight * (s.w_id * identity + s.w_triplet * triplet)
        return features, {"loss": loss, "descriptor_id": identity, "descriptor_triplet": triplet}


def build(config, context: Context) -> JointDescriptors:
    """For training. Raises ConfigError where the encoder lacks a map, DataError where the frames have no joints."""
    widths = [map_width(context.encoder, name) for name in config.maps]
    pools = open_pools(config, context)
    return JointDescriptors(config, pools, widths, int(context.classes.max()) + 1, context.settings)
