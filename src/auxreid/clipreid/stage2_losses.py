"""The loss of CLIP-ReID's stage 2 (THESIS section 3), with the tables that its ablations replace."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auxreid.clipreid.losses import batch_hard_triplet, identity_cross_entropy


@dataclass(frozen=True)
class Supervision:
    """What the features are compared with, for k training identities."""

    texts: Tensor | None = None  # [k, e], a row per identity, or [u, e] with `text_classes`; None: no text loss
    text_classes: Tensor | None = None  # [k] the row of `texts` that is each identity's; None: its own
    id_targets: Tensor | None = None  # [k, k] targets of the identity loss; None: the label-smoothed identity
    text_targets: Tensor | None = None  # [k, k] targets of the text loss, likewise
    positives: Tensor | None = None  # [k] equal numbers attract each other in the triplet loss; None: the identity


class BNNeck(nn.Module):
    """Batch norm with a frozen bias, then a classifier without one (Luo et al. 2019). [b, d] -> [b, identities]."""

    def __init__(self, width: int, identities: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.norm.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.norm(features))


class Stage2Losses(nn.Module):
    """The loss of stage 2, with the BNNecks that it trains.

    L = w_id * sum CE(f2, f3) + w_triplet * sum triplet(f1, f2, f3) + w_i2t * sum i2tce(f3)

    Where a row has more than one feature in the place of f3 (the image's and the fused one), each gets its terms.

    Args:
        dims: widths of f1, f2, f3 and of what else is supervised in the text's space.
        supervision: its tables decide the number of terms and their targets.
        settings: the finetune section.
    """

    def __init__(self, dims: tuple[int, ...], identities: int, supervision: Supervision, settings):
        super().__init__()
        self.necks = nn.ModuleList([BNNeck(width, identities) for width in dims[1:]])
        for name, table in vars(supervision).items():
            self.register_buffer(name, table)
        self.settings = settings

    def forward(self, features: tuple[Tensor, ...], identities: Tensor) -> dict[str, Tensor]:
        """The terms by name, unweighted, and their weighted sum "loss"; identities [b] in 0..k-1."""
        s = self.settings
        necked = [neck(f) for neck, f in zip(self.necks, features[1:], strict=True)]
        groups = identities if self.positives is None else self.positives[identities]
        ids = [identity_cross_entropy(logits, identities, s.smoothing, self.id_targets) for logits in necked]
        terms = {
            "id": torch.stack(ids).sum(),
            "triplet": torch.stack([batch_hard_triplet(f, groups, s.margin) for f in features]).sum(),
        }
        total = s.w_id * terms["id"] + s.w_triplet * terms["triplet"]
        if self.texts is not None:
            logits = [f @ self.texts.T for f in features[2:]]  # [b, k or u] each: raw dot products
            classes = identities if self.text_classes is None else self.text_classes[identities]
            i2t = [identity_cross_entropy(one, classes, s.smoothing, self.text_targets) for one in logits]
            terms["i2t"] = torch.stack(i2t).sum()
            total = total + s.w_i2t * terms["i2t"]
        return {"loss": total} | terms
