"""The scores of a trained classifier on held-out frames, and how far they can be relied on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from auxreid.attributes.calibration import (
    Calibration,
    calibration_error,
    error_of_true_probabilities,
    right_rows,
    swept_errors,
)
from auxreid.attributes.dataset import attribute_codes, with_labels
from auxreid.attributes.groups import Groups, groups_of
from auxreid.attributes.intervals import bootstrap, interval, mean_draws
from auxreid.attributes.losses import MISSING
from auxreid.attributes.metrics import AttributeScore, mean_metrics, score_attributes
from auxreid.data.frames import Frames

SPLITS = ("query", "gallery", "test")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Trust:
    """Intervals of an attribute's two scores, None where it is not scored or too few resamples are; and its expected
    calibration errors, none where no frame has a label.

    In 15 bins: "before" and "after" the calibration, and as it would be "if_true" were the probabilities after it. As
    swept_errors has it, after the calibration: "sweep", "sweep_if_true", and of a cross-validation "folds" and
    "folds_few" (see folds.Crossed).
    """

    balanced_accuracy: Interval | None
    roc_auc: Interval | None
    errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class HeldOut:
    """The labelled frames that are in neither train nor val, and all that is measured on them."""

    frames: Frames
    groups: Groups
    vocabulary: Mapping[str, Sequence[str]]
    codes: Mapping[str, np.ndarray]  # per attribute int64 [n]
    probabilities: Mapping[str, np.ndarray]  # per attribute float32 [n, k], calibrated
    accuracy: Mapping[str, float]  # of the most probable word, nan where no frame has a label
    scores: Mapping[str, AttributeScore]  # with the words as frequent as training made them
    trust: Mapping[str, Trust]
    trust_of_mean: Trust  # over the attributes that could be scored

    @property
    def mean_accuracy(self) -> float:
        """Over the attributes that could be scored."""
        return fmean(self.accuracy[name] for name, one in self.scores.items() if one.roc_auc is not None)


def score_held_out(
    frames: Frames,
    logits: Mapping[str, np.ndarray],
    vocabulary: Mapping[str, Sequence[str]],
    calibration: Calibration,
    fold_errors: Mapping[str, Mapping[str, float]] | None = None,
) -> HeldOut:
    """Score predictions of all frames of a data set on those that are held out.

    Args:
        frames: the whole data set
        logits: per attribute [n, k], by frame
        vocabulary, calibration: of the model
        fold_errors: by attribute, of a cross-validation

    Raises:
        DataError: no attribute has two different labels among the held-out frames.
    """
    chosen = with_labels(frames.where(SPLITS))
    rows = chosen.frame_id  # a frame's id is its row in the file
    logits = {name: values[rows] for name, values in logits.items()}
    codes = attribute_codes(chosen, vocabulary)
    probabilities, evened = calibration.probabilities(logits), calibration.scores(logits)
    scores = score_attributes(codes, evened, vocabulary)
    mean_metrics(scores)  # raises where nothing can be scored
    groups, before = groups_of(chosen), Calibration().probabilities(logits)
    draws = bootstrap(codes, evened, groups)
    trust = {}
    for name, drawn in draws.items():
        errors = _errors(codes[name], before[name], probabilities[name]) | (fold_errors or {}).get(name, {})
        trust[name] = Trust(interval(drawn.balanced_accuracy), interval(drawn.roc_auc), errors)
    mean = mean_draws({name: drawn for name, drawn in draws.items() if scores[name].roc_auc is not None})
    of_mean = Trust(interval(mean.balanced_accuracy), interval(mean.roc_auc))
    right = {name: right_rows(codes[name], values) for name, values in probabilities.items()}
    accuracy = {name: float(rows.mean()) if len(rows) else np.nan for name, rows in right.items()}
    return HeldOut(chosen, groups, vocabulary, codes, probabilities, accuracy, scores, trust, of_mean)


def _errors(codes: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    if not (codes != MISSING).any():
        return {}
    return {
        "before": calibration_error(codes, before),
        "after": calibration_error(codes, after),
        "if_true": error_of_true_probabilities(codes, after),
        "sweep": calibration_error(codes, after, swept_errors),
        "sweep_if_true": error_of_true_probabilities(codes, after, swept_errors),
    }


def trust_metrics(held_out: HeldOut) -> dict[str, float]:
    """Bounds of the intervals, calibration errors and accuracies under flat names, beside those of `flat_metrics`."""
    metrics: dict[str, float] = {"held_out_groups": held_out.groups.count}
    for name, trust in (held_out.trust | {"mean": held_out.trust_of_mean}).items():
        for score in ("balanced_accuracy", "roc_auc"):
            bounds = getattr(trust, score) or ()
            metrics |= {f"{name}_{score}_{side}": bound for side, bound in zip(("low", "high"), bounds, strict=False)}
        metrics |= {f"{name}_ece_{which}": error for which, error in trust.errors.items()}
    metrics |= {f"{name}_accuracy": value for name, value in held_out.accuracy.items() if not np.isnan(value)}
    metrics["mean_accuracy"] = held_out.mean_accuracy
    return metrics
