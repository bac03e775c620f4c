"""Cross-validation of the heads of a frozen backbone, on features that are kept: seconds, not minutes.

The individuals, or folders where they are unknown, are dealt into folds, and heads are trained without each fold. So
every frame gets logits of heads that have not seen its individual: many more frames than a small split "val" has to
choose an epoch and to calibrate by. The final heads are trained on all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from auxreid.attributes.calibration import SEED, Calibration, calibration_error, swept_errors
from auxreid.attributes.features import FeatureBatches
from auxreid.attributes.groups import Groups, deal
from auxreid.attributes.losses import MISSING, mixed_loss
from auxreid.attributes.metrics import val_metrics
from auxreid.attributes.model import AttributeModel
from auxreid.attributes.optimization import class_weights, parameter_groups, warmup_cosine
from auxreid.attributes.predict import classify_views, in_eval_mode
from auxreid.training.seeding import epoch_seed
from auxreid.training.state import EpochLosses

DRAWS = 50  # of so many groups as will be tested on
Logits = dict[str, np.ndarray]  # per attribute float32 [n, k]


@dataclass(frozen=True)
class Crossed:
    """The best epoch (from 1), the val metrics of all epochs, and of the best one the logits of every frame.

    `scores` are its metrics. `errors` are calibration errors by attribute, as swept_errors has them, with each fold
    calibrated as the other folds ask for: of all frames ("folds") and, where there are more groups than will be tested
    on, the mean over draws of so many ("folds_few"): frames of few groups show an error where there is none over all.
    """

    best_epoch: int
    points: list[dict[str, float]]
    logits: Logits
    scores: dict[str, float]
    errors: dict[str, dict[str, float]]


def cross_validate(
    model: AttributeModel,
    batches: FeatureBatches,
    features: Tensor,
    codes: Mapping[str, np.ndarray],
    groups: Groups,
    tested: int,
    settings: Any,
) -> Crossed:
    """Train heads without each fold, all folds epoch by epoch until none is to come or `settings.patience` ends it.

    Neither the model nor torch's generators are changed.

    Args:
        model: of a frozen backbone
        batches: of the n frames' augmented views
        features: [views, n, d] of the n frames as they are predicted
        codes: per attribute int64 [n]
        groups: of the n frames, two at least
        tested: how many groups will be tested on

    Raises:
        FloatingPointError: a loss is not finite.
    """
    folds, points, best, logits = deal(groups, settings.folds), [], 0, {}
    with torch.random.fork_rng(devices=[features.device] if features.is_cuda else []):
        trainings = [_Training(model, batches, np.flatnonzero(folds != one), settings) for one in np.unique(folds)]
        for epoch in range(1, settings.epochs + 1):
            if settings.patience is not None and epoch - 1 - best >= settings.patience:
                break
            found = {name: np.zeros((len(folds), len(words)), np.float32) for name, words in model.vocabulary.items()}
            for fold, training in enumerate(trainings):
                rows = np.flatnonzero(folds == fold)
                for name, values in training.epoch(epoch, features[:, rows]).items():
                    found[name][rows] = values
            points.append(val_metrics(codes, found, model.vocabulary))
            if not best or points[-1]["val_balanced_accuracy"] > points[best - 1]["val_balanced_accuracy"]:
                best, logits = epoch, found
    scores = {name: points[best - 1][f"val_{name}"] for name in ("balanced_accuracy", "roc_auc")}
    return Crossed(
        best, points, logits, scores, _errors(logits, codes, folds, settings.calibration, _draws(groups, tested))
    )


class _Training:
    """Heads of their own on the features of some rows, without the processes' share: each process trains the same."""

    def __init__(self, model: AttributeModel, batches: FeatureBatches, rows: np.ndarray, settings: Any):
        device = next(model.parameters()).device
        self.settings, self.batches = settings, batches.of_rows(rows)
        self.model = AttributeModel(model.backbone, model.vocabulary, settings.dropout, frozen=True).to(device)
        codes = {name: one[rows] for name, one in batches.images.codes.items()}
        self.weights = class_weights(codes, model.vocabulary, settings.balance, device)
        self.optimizer = AdamW(parameter_groups(self.model, settings), fused=True)
        factor = warmup_cosine(settings.warmup_epochs, settings.epochs, len(self.batches))
        self.schedule = LambdaLR(self.optimizer, factor)

    def epoch(self, epoch: int, others: Tensor) -> Logits:
        """Train one more, then classify the features [views, m, d] of other rows."""
        self.batches.sampler.epoch = epoch
        torch.manual_seed(epoch_seed(self.settings.seed, epoch))
        losses = EpochLosses("attributes", "lower attributes.lr")
        self.model.train()
        for features, codes in self.batches:
            loss = mixed_loss(self.model.classify, features, codes, self.weights, self.settings)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            losses.add({"loss": loss})
        losses.read(epoch)
        with in_eval_mode(self.model):
            return {name: one.cpu().numpy() for name, one in classify_views(self.model, others).items()}


def _draws(groups: Groups, count: int) -> list[np.ndarray]:
    """The frames of so many groups in each draw; none where there are no more than so many."""
    rng = np.random.default_rng(SEED)
    draws = DRAWS if 0 < count < groups.count else 0
    return [np.isin(groups.of_frame, rng.choice(groups.count, count, replace=False)) for _ in range(draws)]


def _errors(
    logits: Logits, codes: Mapping[str, np.ndarray], folds: np.ndarray, kind: str, draws: list[np.ndarray]
) -> dict[str, dict[str, float]]:
    errors = {}
    for name, values in logits.items():
        labelled, probabilities = codes[name] != MISSING, np.zeros_like(values)
        for fold in np.unique(folds):
            others = labelled & (folds != fold)
            calibration = Calibration()
            if others.any():
                calibration.fit(name, values[others], codes[name][others], kind, codes[name][others])
            probabilities[folds == fold] = calibration.probabilities({name: values[folds == fold]})[name]
        errors[name] = {"folds": calibration_error(codes[name], probabilities, swept_errors)}
        few = [
            calibration_error(codes[name][rows], probabilities[rows], swept_errors)
            for rows in draws
            if labelled[rows].any()
        ]
        errors[name] |= {"folds_few": float(np.mean(few))} if few else {}
    return errors
