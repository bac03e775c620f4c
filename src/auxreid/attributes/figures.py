"""Pictures of an attribute evaluation: confusion matrices and the table of scores."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auxreid.attributes.metrics import THESIS_TABLE_1, AttributeScore, table_rows

COLUMNS = 2  # confusion matrices side by side; the words of three could not be read at 800 pixels


def confusion_figure(scores: Mapping[str, AttributeScore], vocabulary: Mapping[str, Sequence[str]]) -> Figure:
    """One matrix per attribute: rows are labels, columns predictions; shade is the share of the row, text the count."""
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
        axis.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    places = range(len(words))
    axis.set_xticks(places, words, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(places, words, fontsize=8)
    axis.set_xlabel("predicted")
    axis.set_ylabel("labelled")
    accuracy = "not scored" if score.balanced_accuracy is None else f"{score.balanced_accuracy:.1%}"
    axis.set_title(f"{name.replace('_', ' ')}, balanced accuracy {accuracy}", fontsize=10)


def table_figure(scores: Mapping[str, AttributeScore]) -> Figure:
    """The table of scores as a picture, the thesis's figures beside ours where an attribute is one of its six."""
    header, rows = table_rows(scores)
    figure = Figure(figsize=(1.5 * len(header), 0.32 * (len(rows) + 2)), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    table = axis.table(cellText=rows, colLabels=header, loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1.0, 1.25)
    if THESIS_TABLE_1.keys() & scores.keys():
        figure.suptitle("The thesis's figures are on its own, private frames", fontsize=9)
    return figure
