"""Parts around the joints of the last map, supervised as part-based models with visibility are (after BPBReID, Somers
et al. 2023, and its loss GiLt: identity on what speaks of the whole body, triplets on the parts' mean distance)."""

import torch
from torch import Tensor

from auxreid.clip.maps import map_width
from auxreid.clipreid.auxiliary import Auxiliary, Context
from auxreid.clipreid.losses import euclidean, hardest_triplet, identity_cross_entropy
from auxreid.clipreid.map_pools import MapPools, PoolProjections, open_pools
from auxreid.clipreid.stage2_losses import BNNeck
from auxreid.pose.gaussians import pooled

MAP = "last"


class JointParts(Auxiliary):
    """weight * (w_id * CE(BNNeck(c_1 v_1, ..., c_P v_P)) + w_triplet * triplet(mean distance of the parts)).

    v_p is the projected pool p; c_p in 0..1 is its confidence as share of what is usual for it, the median over the
    training frames: limbs are told with half the confidence of a head, and would hardly count by their own. The global
    feature's identity loss is the row's own on f2.

    Args:
        width: of the map.
        identities: their number.
        settings: the finetune section: its margin, smoothing, w_id and w_triplet.
    """

    maps = (MAP,)

    def __init__(self, config, pools: MapPools, width: int, identities: int, settings):
        super().__init__()
        self.pools, self.config, self.settings = pools, config, settings
        self.project = PoolProjections(pools.count, width, config.dim)
        self.neck = BNNeck(pools.count * config.dim, identities)
        self.register_buffer("usual", pools.usual_confidences())

    def inputs(self, rows, views):
        return self.pools.inputs(rows, views)

    def observe(self, features, maps, inputs):
        """v [b, P, dim] and c [b, P]"""
        cells = maps[MAP].float()
        vectors = self.project(pooled(cells, self.pools.weights(cells, inputs, confident=True)))
        found = self.pools.confidences(inputs, vectors)
        return vectors, torch.where(self.usual > 0, found / self.usual, found).clamp(max=1)

    def forward(self, features, observed, labels):
        """Terms: `part_id` and `part_triplet`."""
        (vectors, confidences), s = observed, self.settings
        whole = (confidences[..., None] * vectors).flatten(1)
        identity = identity_cross_entropy(self.neck(whole), labels, s.smoothing)
        distances = part_distances(vectors, confidences >= self.config.visible)
        triplet = hardest_triplet(distances, labels, s.margin)
        loss = self.config.weight * (s.w_id * identity + s.w_triplet * triplet)
        return features, {"loss": loss, "part_id": identity, "part_triplet": triplet}


def part_distances(vectors: Tensor, visible: Tensor) -> Tensor:
    """[b, b]: the mean Euclidean distance over the parts that are visible in both images, over all if none is.

    vectors [b, P, d], visible bool [b, P].
    """
    distances = torch.stack([euclidean(part) for part in vectors.unbind(dim=1)], dim=2)  # [b, b, P]
    both = visible[:, None] & visible[None]
    counted = (both | ~both.any(dim=2, keepdim=True)).to(distances)
    return (counted * distances).sum(dim=2) / counted.sum(dim=2)


def build(config, context: Context) -> JointParts:
    """For training. Raises ConfigError where the encoder lacks the map, DataError where the frames have no joints."""
    width, identities = map_width(context.encoder, MAP), int(context.classes.max()) + 1
    return JointParts(config, open_pools(config, context), width, identities, context.settings)
