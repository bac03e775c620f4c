"""Training of the attribute classifier: one loop on Lightning Fabric.

Several processes train as one: each loads its share of a batch and runs the backbone on it; dropout, heads and loss see
the gathered features of the whole batch in every process, so that missing labels and dropout's masks are what they are
in one. A backbone that itself draws random numbers (none does by timm's defaults) would draw others.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from auxreid.attributes.dataset import attribute_codes, batch_size, train_loader, with_labels
from auxreid.attributes.features import FeatureBatches
from auxreid.attributes.folds import Crossed, cross_validate
from auxreid.attributes.groups import groups_of, hold_out
from auxreid.attributes.held_out import SPLITS
from auxreid.attributes.losses import MISSING, mixed_loss
from auxreid.attributes.metrics import val_metrics
from auxreid.attributes.model import AttributeModel, build_backbone
from auxreid.attributes.optimization import class_weights, parameter_groups, warmup_cosine
from auxreid.attributes.predict import classify_views, embed_frames, embed_images, in_eval_mode, predict_logits
from auxreid.data.frames import Frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.progress import track
from auxreid.training.batch_norm import share_batch_norms
from auxreid.training.fabric import open_fabric
from auxreid.training.precision import FULL
from auxreid.training.seeding import seed_everything
from auxreid.training.share import Share
from auxreid.training.state import Checkpoint, EpochLosses, State, TorchRandom, continue_from, save_epoch

Log = Callable[[Mapping[str, float], int], None]
Vocabulary = Mapping[str, Sequence[str]]
Codes = Mapping[str, np.ndarray]  # per attribute int64 [n]


@dataclass(frozen=True)
class Fitted:
    """A trained model, in eval mode on the CPU.

    `best_epoch` (from 1) is the epoch its weights are from. In words: the frames by which it was `chosen`, nothing for
    the last epoch; those that it was calibrated on; why attributes are `untrained` or `uncalibrated`. Of a
    cross-validation, its mean scores and by attribute the calibration errors.
    """

    model: AttributeModel
    best_epoch: int
    chosen_by: str
    untrained: dict[str, str]
    calibrated_on: str
    uncalibrated: dict[str, str]
    fold_scores: Mapping[str, float] = field(default_factory=dict)
    fold_errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def described(self) -> dict[str, float | str]:
        """All of it but the weights, flat."""
        chosen = f"mean balanced accuracy on {self.chosen_by}" if self.chosen_by else "none, the last one"
        calibration = self.model.calibration
        return {
            "best_epoch": self.best_epoch,
            "epoch_chosen_by": chosen,
            "calibrated_on": self.calibrated_on or "none: all training frames are one group",
            **{f"folds_{name}": value for name, value in self.fold_scores.items()},
            **{f"{name}_temperature": calibration.temperatures.get(name, 1.0) for name in self.model.vocabulary},
            **{f"{name}_tilt": value for name, value in calibration.tilts.items()},
            **{f"{name}_untrained": reason for name, reason in self.untrained.items()},
            **{f"{name}_uncalibrated": reason for name, reason in self.uncalibrated.items()},
        }


@dataclass
class Best:
    """The epoch with the best score on the val split so far, and the weights after it."""

    score: float
    epoch: int
    weights: State | None = None

    def state_dict(self) -> State:
        return asdict(self)

    def load_state_dict(self, state: State) -> None:
        self.score, self.epoch, self.weights = state["score"], state["epoch"], state["weights"]


def fit(
    frames: Frames,
    settings: Any,
    log: Log,
    checkpoint: Checkpoint | None = None,
    precision: str = FULL,
) -> Fitted:
    """Train on the labelled frames of split "train"; choose the epoch and calibrate on those of "val".

    Without val frames, those of some training individuals stand in, which are not trained on (see groups.py). With
    `settings.folds`, a cross-validation over the individuals of both does, and both are trained on (see folds.py).

    Args:
        frames: a whole data set
        settings: the attributes section of a recipe
        log: called once per epoch with the losses, learning rate and val metrics, and the epoch from 1
        checkpoint: where a killed training goes on from
        precision: of the backbone

    Raises:
        ConfigError: a batch has fewer images than there are processes.
        DataError: no training frame has a label, or no attribute has two different words among them.
        FloatingPointError: the loss is not finite; names the epoch and the step.
    """
    fabric, share = open_fabric(precision)
    seed_everything(settings.seed)
    train, val, described = train_and_val(frames, settings.folds)
    vocabulary, untrained = trainable_attributes(train)
    backbone, frozen = build_backbone(settings.backbone, settings.weights), settings.backbone_lr_factor == 0
    stages, mirrored = settings.trained_stages, settings.mirrored
    model = AttributeModel(backbone, vocabulary, settings.dropout, frozen, stages, mirrored)
    share_batch_norms(model.backbone)
    model.to(memory_format=torch.channels_last)
    train_codes, val_codes = attribute_codes(train, vocabulary), attribute_codes(val, vocabulary)
    weights = class_weights(train_codes, vocabulary, settings.balance, fabric.device)
    optimizer = AdamW(parameter_groups(model, settings), fused=True)
    whole = _WholeBatchLoss(model, weights, settings, share, batch_size(len(train), settings), precision)
    loss_of, optimizer = fabric.setup(whole, optimizer)
    if frozen:
        embed = partial(embed_images, model, precision=precision)
        batches = FeatureBatches(train, vocabulary, settings, embed, fabric.device, share)
    else:
        loader = train_loader(train, vocabulary, settings, share)
        batches = fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    schedule = LambdaLR(optimizer, warmup_cosine(settings.warmup_epochs, settings.epochs, len(batches)))

    crossed = _crossed(model, batches, frames, train, settings, precision) if settings.folds and described else None
    crossed = share.from_first(crossed)  # processes that end on rounding at unlike epochs would wait for each other
    val_logits = ValLogits(model, val, settings, precision)
    chooses = can_choose(val_codes)
    epochs = settings.epochs if crossed is None else crossed.best_epoch
    best = Best(-math.inf, epochs)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "best": best, "random": TorchRandom()}
    parts["precision"] = fabric.strategy.precision
    done = continue_from(checkpoint, parts, share)
    if done and not frozen and loader.persistent_workers:  # they draw their seed when they start, in the first epoch
        with torch.random.fork_rng(devices=[]):
            iter(loader)
    for epoch in range(done + 1, epochs + 1):
        if settings.patience is not None and best.weights is not None and epoch - 1 - best.epoch >= settings.patience:
            break
        (batches if frozen else loader).sampler.epoch = epoch
        losses = EpochLosses("attributes", "lower attributes.lr")
        model.train()
        description = f"attributes, epoch {epoch} of {epochs}"
        for inputs, codes in track(batches, description) if share.rank == 0 and not frozen else batches:
            loss = loss_of(inputs, codes)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            schedule.step()
            losses.add({"loss": loss})
        points = {"train_loss": float(losses.read(epoch)["loss"].mean()), "lr": schedule.get_last_lr()[-1]}
        if crossed is not None:
            points |= crossed.points[epoch - 1]
        if chooses:
            points |= val_metrics(val_codes, val_logits(), vocabulary)
            if points["val_balanced_accuracy"] > best.score:
                best.score, best.epoch = points["val_balanced_accuracy"], epoch
                best.weights = copy.deepcopy(model.state_dict())
        log(points, epoch)
        save_epoch(checkpoint, epoch, parts)
    if best.weights is not None:
        model.load_state_dict(best.weights)
    if crossed is not None:
        uncalibrated = calibrate(model, train_codes, lambda: crossed.logits, settings.calibration, train_codes)
        found = described, untrained, described, uncalibrated, crossed.scores, crossed.errors
    else:
        uncalibrated = calibrate(model, val_codes, val_logits, settings.calibration, train_codes)
        found = described if chooses else "", untrained, described, uncalibrated
    return Fitted(model.cpu().eval(), best.epoch, *found)


def _crossed(
    model: AttributeModel, batches: FeatureBatches, frames: Frames, train: Frames, settings: Any, precision: str
) -> Crossed:
    with torch.random.fork_rng(devices=[]):  # as of the features of val frames, below
        features = embed_frames(model, train, settings, settings.batch_size, precision)
    codes = attribute_codes(train, model.vocabulary)
    tested = groups_of(with_labels(frames.where(SPLITS))).count
    return cross_validate(model, batches, features, codes, groups_of(train), tested, settings)


class ValLogits:
    """The val frames' logits by the model as it is at each call; a frozen backbone's features are computed once."""

    def __init__(self, model: AttributeModel, val: Frames, settings: Any, precision: str):
        self.model, self.val, self.settings, self.precision = model, val, settings, precision
        self.features: Tensor | None = None

    def __call__(self) -> dict[str, np.ndarray]:
        size = self.settings.batch_size
        if not self.model.frozen:
            return predict_logits(self.model, self.val, self.settings, batch_size=size, precision=self.precision)
        if self.features is None:
            with torch.random.fork_rng(devices=[]):  # a training that goes on computes them later
                self.features = embed_frames(self.model, self.val, self.settings, size, self.precision)
        with in_eval_mode(self.model):
            return {name: one.cpu().numpy() for name, one in classify_views(self.model, self.features).items()}


def train_and_val(frames: Frames, folds: int | None) -> tuple[Frames, Frames, str]:
    """The labelled frames to train on, those to choose and calibrate by, and in words what the latter are.

    With folds, the latter are among the former and none is apart.
    """
    train, val = with_labels(frames.where("train")), with_labels(frames.where("val"))
    if folds is not None:
        train = with_labels(frames.where(("train", "val")))
        groups = groups_of(train)
        dealt = f"{min(folds, groups.count)} folds of {groups.count} {groups.unit}"
        described = f"{len(train)} frames of train and val, in {dealt}"
        return train, train.take([]), described if groups.count > 1 else ""
    if len(val):
        return train, val, "the split val"
    train, held_out = hold_out(train)
    groups = groups_of(held_out)
    described = f"{len(held_out)} training frames of {groups.count} {groups.unit}, held out for want of a split val"
    return train, held_out, described if len(held_out) else ""


def can_choose(codes: Codes) -> bool:
    """Whether some attribute has two different words among frames of these codes, without which no score tells epochs
    apart.
    """
    return any(len(np.unique(one[one != MISSING])) >= 2 for one in codes.values())


def calibrate(
    model: AttributeModel, codes: Codes, logits_of: Callable[[], Mapping], kind: str, trained: Codes
) -> dict[str, str]:
    """Calibrate each head that has labels among these frames; of the others, the reason in words.

    Args:
        codes: of the frames whose logits are given
        kind, trained: see Calibration.fit
    """
    labelled = [name for name, one in codes.items() if (one != MISSING).any()]
    logits = logits_of() if labelled else {}
    for name in labelled:
        model.calibration.fit(name, logits[name], codes[name], kind, trained[name])
    return {name: "no frame to calibrate on has a label" for name in codes if name not in labelled}


class _WholeBatchLoss(nn.Module):
    """The model and its loss as one module, which is what DDP wraps: from the own rows to the whole batch's loss.

    Of a frozen backbone, every process gets the features of the whole batch instead.
    """

    def __init__(
        self,
        model: AttributeModel,
        weights: Mapping[str, Tensor],
        settings: Any,
        share: Share,
        batch: int,
        precision: str,
    ):
        super().__init__()
        self.model, self.weights, self.settings, self.share, self.batch = model, weights, settings, share, batch
        self.precision = precision

    def forward(self, inputs: Tensor, codes: Mapping[str, Tensor]) -> Tensor:
        """images [own, 3, h, w], or features [b, d]; per attribute codes [own], or [b] -> []"""
        if self.model.frozen:
            features, whole = inputs, codes
        else:
            features = self.share.gather(embed_images(self.model, inputs, self.precision), self.batch)  # [b, d]
            columns = self.share.gather(torch.stack(list(codes.values()), dim=1), self.batch).unbind(dim=1)
            whole = dict(zip(codes, columns, strict=True))  # [b] each
        return mixed_loss(self.model.classify, features, whole, self.weights, self.settings)


def trainable_attributes(train: Frames) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The vocabulary of the attributes that can be learnt, and the others with the reason, in words.

    An attribute needs two different words among the training frames: a head that has seen one word or none would give
    figures that look like predictions.

    Raises:
        DataError: none can be learnt.
    """
    vocabulary, untrained = {}, {}
    for name, words in train.meta.attributes.items():
        codes = train.attribute_codes(name)
        seen = [words[code] for code in np.unique(codes[codes != MISSING])]
        if len(seen) >= 2:
            vocabulary[name] = tuple(words)
        else:
            untrained[name] = f"the training frames have only {seen[0]!r}" if seen else "no training frame has a label"
    if not vocabulary:
        raise DataError(
            f"frames of {train.meta.dataset}: {len(train)} labelled frames in split 'train', and no attribute of "
            f"({', '.join(train.meta.attributes) or 'none'}) has two different words among them"
        )
    return vocabulary, untrained
