"""Table 1: both scores of each attribute with interval and chance, its calibration, and the thesis's figures beside."""

from statistics import fmean
from typing import Any

import pandas as pd

from auxreid.attributes.held_out import HeldOut, Interval, Trust
from auxreid.attributes.intervals import LEVEL, RESAMPLES
from auxreid.attributes.metrics import mean_metrics

THESIS_TABLE_1 = {  # balanced accuracy and ROC AUC in percent, on the thesis's own 50,000 frames
    "color": (72.2, 97.2),
    "size": (73.7, 91.2),
    "leg_length": (86.0, 94.4),
    "ears": (69.4, 92.2),
    "muzzle": (82.1, 91.3),
    "coat": (74.1, 95.0),
}
CHANCE_AUC = 0.5
ERRORS = {  # of held_out.Trust, and as a person reads them
    "before": "ECE before",
    "after": "ECE after",
    "if_true": "ECE if true",
    "sweep": "sweep after",
    "sweep_if_true": "sweep if true",
    "folds": "sweep in folds",
    "folds_few": "sweep of so few",
}
MEAN = "mean"


def table_frame(held_out: HeldOut) -> pd.DataFrame:
    """A row per attribute and one for the mean of those that could be scored; scores, errors and chance as fractions.

    Chance of the balanced accuracy is 1 / number of words that occur. `accuracy` is of the most probable word. `ece_*`
    are expected calibration errors (see held_out.Trust). `thesis_*` are the thesis's.
    """
    rows = []
    for name, score in held_out.scores.items():
        words = len(score.confusion) - len(score.absent)
        row = {"attribute": name, "frames": score.labelled, "words": words}
        chance = 1 / words if words else None
        row |= _scored(score.balanced_accuracy, score.roc_auc, held_out.accuracy[name], held_out.trust[name], chance)
        rows.append(row | _thesis(THESIS_TABLE_1.get(name)))
    means = mean_metrics(held_out.scores)
    last = {"attribute": MEAN, "frames": len(held_out.frames), "words": None}
    scores = means["balanced_accuracy"], means["roc_auc"], held_out.mean_accuracy
    last |= _scored(*scores, held_out.trust_of_mean, None)
    same = THESIS_TABLE_1.keys() == held_out.scores.keys()
    last |= _thesis(tuple(map(fmean, zip(*THESIS_TABLE_1.values(), strict=True))) if same else None)
    table = pd.DataFrame([*rows, last])
    if not THESIS_TABLE_1.keys() & held_out.scores.keys():
        table = table.drop(columns=list(_thesis(None)))
    return table.astype({"words": "Int64"})


def _scored(
    balanced: float | None, area: float | None, accuracy: float, trust: Trust, chance: float | None
) -> dict[str, Any]:
    accuracies, areas = trust.balanced_accuracy or (None, None), trust.roc_auc or (None, None)
    return {
        "balanced_accuracy": balanced,
        "balanced_accuracy_low": accuracies[0],
        "balanced_accuracy_high": accuracies[1],
        "balanced_accuracy_chance": chance,
        "roc_auc": area,
        "roc_auc_low": areas[0],
        "roc_auc_high": areas[1],
        "roc_auc_chance": CHANCE_AUC,
        "accuracy": accuracy,
        **{f"ece_{which}": trust.errors.get(which) for which in ERRORS},
    }


def _thesis(figures: tuple[float, float] | None) -> dict[str, float | None]:
    accuracy, area = (None, None) if figures is None else (round(value / 100, 4) for value in figures)
    return {"thesis_balanced_accuracy": accuracy, "thesis_roc_auc": area}


def table_rows(held_out: HeldOut) -> tuple[list[str], list[list[str]]]:
    """Header and rows as a person reads them: scores in percent with their intervals, errors as fractions."""
    table = table_frame(held_out)
    header = ["attribute", "frames", "balanced accuracy", "chance", "ROC AUC", "chance", "accuracy"]
    given = [which for which in ERRORS if table[f"ece_{which}"].notna().any()]
    header += [ERRORS[which] for which in given]
    with_thesis = "thesis_roc_auc" in table
    if with_thesis:
        header += ["thesis: balanced acc.", "thesis: ROC AUC"]
    rows = []
    for one in table.to_dict("records"):
        row = [one["attribute"], str(one["frames"])]
        for name in ("balanced_accuracy", "roc_auc"):
            bounds = one[f"{name}_low"], one[f"{name}_high"]
            row += [_with_interval(one[name], bounds), _percent(one[f"{name}_chance"])]
        row.append(_percent(one["accuracy"]))
        row += [_fraction(one[f"ece_{which}"]) for which in given]
        if with_thesis:
            row += [_percent(one["thesis_balanced_accuracy"]), _percent(one["thesis_roc_auc"])]
        rows.append(row)
    return header, rows


def table_notes(held_out: HeldOut) -> list[str]:
    """What a reader of the table has to know, a sentence each."""
    groups = held_out.groups
    notes = [
        f"Percent on held-out frames; in brackets {LEVEL:.0%} intervals by {RESAMPLES:,} resamples of "
        f"{groups.count} {groups.unit}.",
        "Accuracy is of the most probable word. With calibration: frequencies it has the words' frequencies in, which "
        "balanced accuracy and ROC AUC leave out.",
        "ECE: calibration error in 15 bins, before and after calibration, and what true probabilities would show.",
        "Sweep: the same after it, in as many bins as the frames bear; less of it is the noise of few frames.",
    ]
    if any("folds" in trust.errors for trust in held_out.trust.values()):
        notes.append("In folds: of frames of train and val, by heads that have not seen their individual or folder.")
    if any("folds_few" in trust.errors for trust in held_out.trust.values()):
        notes.append(
            f"Of so few: the mean over draws of {groups.count} of those in folds, as many as the sweep after it is of."
        )
    if THESIS_TABLE_1.keys() & held_out.scores.keys():
        notes.append("The thesis's figures are on its own, private frames.")
    return notes


def table_markdown(title: str, held_out: HeldOut) -> str:
    """The table as a Markdown page."""
    header, rows = table_rows(held_out)
    sides = ["left", *["right"] * (len(header) - 1)]
    text = pd.DataFrame(rows).to_markdown(index=False, headers=header, colalign=sides, disable_numparse=True)
    return "\n".join([f"# {title}", "", text, "", *table_notes(held_out), ""])


def _with_interval(value: float, bounds: Interval) -> str:
    inside = "" if pd.isna(bounds[0]) else f" ({100 * bounds[0]:.1f}-{100 * bounds[1]:.1f})"
    return _percent(value) + inside


def _percent(fraction: float) -> str:
    return "-" if pd.isna(fraction) else f"{100 * fraction:.1f}"


def _fraction(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"
