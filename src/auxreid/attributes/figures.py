"""Pictures of an attribute evaluation: Table 1, confusion matrices, precision and recall by word."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auxreid.attributes.held_out import HeldOut
from auxreid.attributes.metrics import AttributeScore, word_scores
from auxreid.attributes.table import table_notes, table_rows

COLUMNS = 2  # confusion matrices side by side; the words of three could not be read at 800 pixels


def confusion_figure(scores: Mapping[str, AttributeScore], vocabulary: Mapping[str, Sequence[str]]) -> Figure:
    """One matrix per attribute: rows are labels, columns predictions; shares of the row, and counts."""
    columns = min(COLUMNS, len(scores))
    rows = math.ceil(len(scores) / columns)
    figure = Figure(figsize=(4.6 * columns, 4.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, score) in zip(axes, scores.items(), strict=False):
        _draw_confusion(axis, name, score, vocabulary[name])
    for axis in axes[len(scores) :]:
        axis.set_axis_off()
    return figure


def _draw_confusion(axis: Axes, name: str, score: AttributeScore, words: Sequence[str]) -> None:
    counts = score.confusion  # [k, k]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{shares[row, column]:.0%}\n{count}" if count else "0"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    places = range(len(words))
    axis.set_xticks(places, words, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(places, words, fontsize=8)
    axis.set_xlabel("predicted")
    axis.set_ylabel("labelled")
    accuracy = "not scored" if score.balanced_accuracy is None else f"{score.balanced_accuracy:.1%}"
    axis.set_title(f"{name.replace('_', ' ')}, balanced accuracy {accuracy}", fontsize=10)


def word_figure(scores: Mapping[str, AttributeScore], vocabulary: Mapping[str, Sequence[str]]) -> Figure:
    """Precision and recall of each word, with its labelled frames: bars, attribute by attribute."""
    table = word_scores(scores, vocabulary)
    columns = min(COLUMNS, len(scores))
    rows = math.ceil(len(scores) / columns)
    longest = max(map(len, vocabulary.values()))
    figure = Figure(figsize=(4.6 * columns, (1.0 + 0.42 * longest) * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, name in zip(axes, scores, strict=False):
        _draw_words(axis, name, table[table["attribute"] == name])
    for axis in axes[len(scores) :]:
        axis.set_axis_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8)
    return figure


def _draw_words(axis: Axes, name: str, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    for offset, measure, colour in ((-0.2, "precision", "tab:blue"), (0.2, "recall", "tab:orange")):
        values = table[measure].to_numpy()
        axis.barh(places + offset, np.nan_to_num(values), height=0.38, color=colour, label=measure)
        for place, value in zip(places, values, strict=True):
            text = "-" if np.isnan(value) else f"{value:.0%}"
            axis.text(0.01 + np.nan_to_num(value), place + offset, text, va="center", fontsize=7)
    labels = [f"{word} ({count})" for word, count in zip(table["word"], table["labelled"], strict=True)]
    axis.set_yticks(places, labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0.0, 1.15)
    axis.set_xticks([0.0, 0.5, 1.0], ["0%", "50%", "100%"], fontsize=8)
    axis.set_title(name.replace("_", " "), fontsize=10)


def table_figure(held_out: HeldOut) -> Figure:
    """Table 1 as a picture."""
    header, rows = table_rows(held_out)
    figure = Figure(figsize=(1.0 * len(header) + 0.5, 0.3 * (len(rows) + 4)), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    wrapped = [heading.replace(": ", ":\n").replace(" accuracy", "\naccuracy") for heading in header]
    table = axis.table(cellText=rows, colLabels=wrapped, loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.auto_set_column_width(list(range(len(header))))
    table.scale(1.0, 1.35)
    for column in range(len(header)):
        table[0, column].set_height(1.7 * table[0, column].get_height())
    figure.supxlabel("\n".join(table_notes(held_out)), fontsize=8)
    return figure
