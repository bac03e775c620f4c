"""The bar chart of a comparison: mAP and CMC@1 of every row, with the thesis's figures beside ours."""

import numpy as np
from matplotlib.figure import Figure

from auxreid.evaluation.comparison import THESIS_METRICS, Comparison
from auxreid.evaluation.thesis import TABLE_2

COLOURS = {"mAP": "#3b6ea8", "CMC_1": "#d98b3a"}
DPI = 110


def bar_figure(comparison: Comparison) -> Figure:
    """mAP and CMC@1 of every row, standard deviations as whiskers, the thesis's figures as outlined bars behind."""
    rows = comparison.rows
    figure = Figure(figsize=(7.5, 1.6 + 0.5 * len(rows)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    place = np.arange(len(rows))
    for offset, metric in zip((-0.2, 0.2), THESIS_METRICS, strict=True):
        values = [row.mean(metric) for row in rows]
        whiskers = [row.deviation(metric) or 0.0 for row in rows]
        axes.barh(place + offset, values, 0.36, color=COLOURS[metric], label=metric.replace("_", "@"))
        if any(whiskers):
            axes.errorbar(values, place + offset, xerr=whiskers, fmt="none", ecolor="black", capsize=2, linewidth=0.8)
        for y, value, whisker in zip(place + offset, values, whiskers, strict=True):
            axes.text(value + whisker + 1, y, f"{value:.1f}", va="center", fontsize=7)
        if comparison.with_thesis:
            _outline_thesis(axes, comparison, metric, offset)
    axes.set_yticks(place, [row.name for row in rows])
    axes.set(xlabel="%", xlim=(0, 105), title=comparison.dataset)
    axes.invert_yaxis()
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    return figure


def _outline_thesis(axes, comparison: Comparison, metric: str, offset: float) -> None:
    known = [
        (place + offset, getattr(TABLE_2[row.name], metric))
        for place, row in enumerate(comparison.rows)
        if row.form == "thesis" and row.name in TABLE_2
    ]
    if known:
        places, values = zip(*known, strict=True)
        label = "thesis (Table 2)" if metric == THESIS_METRICS[0] else None
        axes.barh(places, values, 0.36, fill=False, edgecolor="black", linestyle="--", linewidth=0.8, label=label)
