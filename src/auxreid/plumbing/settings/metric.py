"""The metric model: what encoder it starts from, how its rows are trained, chosen and tested, and the rows."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from auxreid.plumbing.settings.section import (
    DatasetName,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Triple,
    changes_of,
)

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class TimmBackbone(Section):
    """A timm model without its classifier, and its input."""

    kind: Literal["timm"]
    name: str
    weights: str | None = None  # a local file; null: random
    height: PositiveInt
    width: PositiveInt
    mean: Triple
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class ClipBackbone(Section):
    """The CLIP image encoder that the chain of a data set starts from."""

    kind: Literal["clip"]
    dataset: DatasetName  # of the study


class AttributesBackbone(Section):
    """The backbone of the data set's own attribute classifier."""

    kind: Literal["attributes"]


Backbone = Annotated[TimmBackbone | ClipBackbone | AttributesBackbone, Field(discriminator="kind")]


class MetricFeatures(Section):
    """The pretrained encoder, and of what its features are kept for all rows."""

    backbone: Backbone
    views: NonNegativeInt  # augmented ones of each training image, beside the image as it is
    unlabelled: NonNegativeInt  # training images of unknown individuals, at most


class MetricTraining(Section):
    """Training of a row, and the cross-validation that stops and chooses it."""

    embed_dim: PositiveInt | None = None  # of the embedding; null: as many as the features have
    folds: Annotated[int, Field(ge=2)]  # of the known individuals
    epochs: PositiveInt  # at most
    patience: PositiveInt  # epochs without a better mAP of the held-out individuals
    identities: Annotated[int, Field(ge=2)]  # P, at most
    instances: Annotated[int, Field(ge=2)]  # K
    lr: PositiveFloat  # of the linear layer
    prototype_lr: PositiveFloat  # of the loss's own parameters
    backbone_lr: PositiveFloat  # of the part of the encoder that a row trains
    stay: NonNegativeFloat  # weight of |W - W0|^2 / |W0|^2: how much it costs to leave the encoder as it is


class MetricTest(Section):
    """What is told of the rows on individuals never seen."""

    cuts: tuple[PositiveInt, ...]  # the mAP of the first so many dimensions
    strangers: Annotated[float, Field(gt=0.0, lt=1.0)]  # of the query individuals: not in the gallery
    drawings: PositiveInt  # of them
    resamplings: PositiveInt  # of individuals and seeds, for the intervals of what is no mean over queries
    pictures: NonNegativeInt  # queries of each kind (best, worst, random) in the ranked-list pictures


class MetricConfig(Section):
    """The metric model of a data set."""

    features: MetricFeatures
    train: MetricTraining
    test: MetricTest


# The keys that each loss needs, beside those that every row may have.
OF_LOSS = {
    None: (),
    "whitening": ("shrinkage",),
    "unicom": ("scale", "margin", "share", "dimensions"),
    "arcface": ("scale", "margin"),
    "subcenter_arcface": ("scale", "margin", "centers"),
    "triplet": ("margin",),
    "identity": ("scale", "smoothing"),
    "verification": ("scale",),
}
WITHOUT_TRAINING = (None, "whitening")


class MetricRow(Section):
    """A way to train the metric model; what a loss does not have is null."""

    loss: (
        Literal["whitening", "unicom", "arcface", "subcenter_arcface", "triplet", "identity", "verification"] | None
    )  # null: the encoder as it is
    classes: Literal["identity", "clusters"]
    clusters: PositiveInt | None = None
    trained: Fraction | None = None  # share of the encoder's parameters, from its end; null: it is frozen
    scale: PositiveFloat | None = None
    margin: NonNegativeFloat | None = None  # radians; of the triplet a distance
    share: Share | None = None  # of the prototypes, in a step
    dimensions: Share | None = None  # share of them, in a step
    centers: PositiveInt | None = None  # of each identity
    smoothing: Fraction | None = None
    shrinkage: tuple[Share, ...] | None = None  # of which validation takes one
    # Replaces keys of the recipe's metric.train.
    train: Annotated[dict[str, Any] | None, changes_of(MetricTraining, "metric.train")] = None

    @model_validator(mode="after")
    def _keys_fit_loss(self) -> "MetricRow":
        needed = OF_LOSS[self.loss]
        for name in sorted({name for names in OF_LOSS.values() for name in names}):
            if (getattr(self, name) is not None) != (name in needed):
                verb = "needs a value" if name in needed else "goes"
                others = [str(loss) for loss, names in OF_LOSS.items() if name in names]
                raise ValueError(f"{name} {verb} with loss {' or '.join(others)}, and loss is {self.loss or 'null'}")
        if (self.clusters is not None) != (self.classes == "clusters"):
            raise ValueError("clusters goes with classes 'clusters', and only with them")
        if self.loss in WITHOUT_TRAINING and (self.trained or self.train):
            raise ValueError(f"loss {self.loss or 'null'} trains nothing: trained and train have no effect")
        return self
