"""Scores per attribute: balanced accuracy and one-vs-rest ROC AUC, by word too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, recall_score, roc_auc_score

from auxreid.attributes.calibration import softmax
from auxreid.attributes.losses import MISSING
from auxreid.plumbing.base.errors import DataError


@dataclass(frozen=True)
class AttributeScore:
    """What was measured for one attribute.

    The two scores are fractions over the words that occur among the labels; `absent` names the other words. Both are
    None where fewer than two words occur: neither says anything then.
    """

    balanced_accuracy: float | None
    roc_auc: float | None
    confusion: np.ndarray  # int64 [k, k], rows are labels, columns predictions
    absent: tuple[str, ...]

    @property
    def labelled(self) -> int:
        """The number of frames that were scored."""
        return int(self.confusion.sum())


def score_attribute(codes: np.ndarray, probabilities: np.ndarray, words: Sequence[str]) -> AttributeScore:
    """Score one attribute on the frames that have a label.

    Balanced accuracy is the mean recall over the words that occur. A frame predicted as a word that does not occur is
    an error like any other. ROC AUC is the mean over the same words of the AUC of "this word" against the rest.

    Args:
        codes: int64 [n], -1 where the label is missing
        probabilities: [n, k]
        words: the k words
    """
    labelled = codes != MISSING
    codes, probabilities = codes[labelled], probabilities[labelled]
    predicted = probabilities.argmax(axis=1) if len(codes) else codes
    places = list(range(len(words)))
    present = np.unique(codes).tolist()
    absent = tuple(word for place, word in enumerate(words) if place not in present)
    confusion = np.zeros((len(words), len(words)), dtype=np.int64)
    if present:
        confusion = confusion_matrix(codes, predicted, labels=places)
    if len(present) < 2:
        return AttributeScore(None, None, confusion, absent)
    recall = recall_score(codes, predicted, labels=present, average="macro")
    areas = [roc_auc_score(codes == place, probabilities[:, place]) for place in present]
    return AttributeScore(float(recall), fmean(areas), confusion, absent)


def score_attributes(
    codes: Mapping[str, np.ndarray], probabilities: Mapping[str, np.ndarray], vocabulary: Mapping[str, Sequence[str]]
) -> dict[str, AttributeScore]:
    """:func:`score_attribute` for each attribute of the vocabulary."""
    return {name: score_attribute(codes[name], probabilities[name], words) for name, words in vocabulary.items()}


def mean_metrics(scores: Mapping[str, AttributeScore]) -> dict[str, float]:
    """Means over the attributes that could be scored, and their number.

    Raises:
        DataError: not one could be.
    """
    scored = [score for score in scores.values() if score.balanced_accuracy is not None]
    if not scored:
        raise DataError(f"no attribute of ({', '.join(scores)}) has two different labels among the frames to score")
    return {
        "balanced_accuracy": fmean(score.balanced_accuracy for score in scored),
        "roc_auc": fmean(score.roc_auc for score in scored),
        "attributes_scored": len(scored),
    }


def val_metrics(
    codes: Mapping[str, np.ndarray], logits: Mapping[str, np.ndarray], vocabulary: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Means over the attributes, on frames to choose an epoch by; the scores of logits need no temperature."""
    scores = score_attributes(codes, {name: softmax(values) for name, values in logits.items()}, vocabulary)
    return {f"val_{name}": value for name, value in mean_metrics(scores).items()}


def flat_metrics(scores: Mapping[str, AttributeScore]) -> dict[str, float | int | str]:
    """One flat mapping for a metrics file: scores as fractions, counts, and by name what was left out of a mean.

    `<attribute>_absent` lists the words without a label, which no mean over words includes; an attribute that could not
    be scored has no scores, and `<attribute>_unscored` says so.
    """
    means = mean_metrics(scores)
    metrics: dict[str, float | int | str] = {
        "mean_balanced_accuracy": means["balanced_accuracy"],
        "mean_roc_auc": means["roc_auc"],
        "attributes_scored": means["attributes_scored"],
    }
    for name, score in scores.items():
        if score.balanced_accuracy is None:
            metrics[f"{name}_unscored"] = "fewer than two words among the labels"
        else:
            metrics[f"{name}_balanced_accuracy"] = score.balanced_accuracy
            metrics[f"{name}_roc_auc"] = score.roc_auc
        metrics[f"{name}_labelled"] = score.labelled
        if score.absent:
            metrics[f"{name}_absent"] = ", ".join(score.absent)
    return metrics


def confusion_table(scores: Mapping[str, AttributeScore], vocabulary: Mapping[str, Sequence[str]]) -> str:
    """The confusion matrices as one CSV: a line per attribute, labelled and predicted word, with its frames."""
    lines = [
        {"attribute": name, "actual": vocabulary[name][row], "predicted": vocabulary[name][column], "count": count}
        for name, score in scores.items()
        for (row, column), count in np.ndenumerate(score.confusion)
    ]
    return pd.DataFrame(lines).to_csv(index=False, lineterminator="\n")


def word_scores(scores: Mapping[str, AttributeScore], vocabulary: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """A row per attribute and word: how many frames are labelled and predicted as it, precision and recall.

    Precision is the share of the frames predicted as the word that are labelled so, recall the share of the frames
    labelled so that are predicted as it; nan where there is no such frame.
    """
    rows = []
    for name, score in scores.items():
        right, labelled, predicted = np.diag(score.confusion), score.confusion.sum(axis=1), score.confusion.sum(axis=0)
        for place, word in enumerate(vocabulary[name]):
            row = {"attribute": name, "word": word, "labelled": labelled[place], "predicted": predicted[place]}
            row["precision"] = right[place] / predicted[place] if predicted[place] else np.nan
            row["recall"] = right[place] / labelled[place] if labelled[place] else np.nan
            rows.append(row)
    return pd.DataFrame(rows)
