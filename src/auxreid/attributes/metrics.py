"""Scores per attribute: balanced accuracy and one-vs-rest ROC AUC, and the table of them (THESIS Table 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, recall_score, roc_auc_score

from auxreid.attributes.losses import MISSING
from auxreid.plumbing.base.errors import DataError

THESIS_TABLE_1 = {  # balanced accuracy and ROC AUC in percent, on the thesis's own 50,000 frames
    "color": (72.2, 97.2),
    "size": (73.7, 91.2),
    "leg_length": (86.0, 94.4),
    "ears": (69.4, 92.2),
    "muzzle": (82.1, 91.3),
    "coat": (74.1, 95.0),
}


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


def table_rows(scores: Mapping[str, AttributeScore]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, in percent: ours, chance (1 / number of words that occur), and the thesis's where it has any.

    The last row is the mean over the attributes that could be scored.
    """
    header = ["attribute", "frames", "balanced accuracy", "chance", "ROC AUC"]
    with_thesis = bool(THESIS_TABLE_1.keys() & scores.keys())
    if with_thesis:
        header += ["thesis: balanced acc.", "thesis: ROC AUC"]
    rows = []
    for name, score in scores.items():
        chance = 1.0 / max(len(score.confusion) - len(score.absent), 1)
        row = [name, str(score.labelled), _percent(score.balanced_accuracy), _percent(chance), _percent(score.roc_auc)]
        if with_thesis:
            row += [f"{value:.1f}" for value in THESIS_TABLE_1.get(name, ())] or ["", ""]
        rows.append(row)
    means = mean_metrics(scores)
    last = ["mean", "", _percent(means["balanced_accuracy"]), "", _percent(means["roc_auc"])]
    if THESIS_TABLE_1.keys() == scores.keys():
        last += [f"{fmean(values):.1f}" for values in zip(*THESIS_TABLE_1.values(), strict=True)]
    return header, [*rows, last + [""] * (len(header) - len(last))]


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
