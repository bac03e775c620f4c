"""The figures of a comparison: bars of mAP and CMC@1, and the differences to the reference row with their intervals."""

import numpy as np
from matplotlib.figure import Figure

from auxreid.evaluation.comparison import Comparison
from auxreid.evaluation.comparison_tables import interval_heading

BAR_METRICS = ("mAP", "CMC_1")
COLOURS = {"mAP": "#3b6ea8", "CMC_1": "#d98b3a"}
THESIS_COLOUR = "#b03a48"
DPI = 110
LINEAR = 10  # points of difference up to which the axis is linear
TICKS = (-100, -50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50, 100)


def bar_figure(comparison: Comparison) -> Figure:
    """mAP and CMC@1 of every row, standard deviations as whiskers, the thesis's figures as outlined bars behind."""
    rows = comparison.rows
    figure = Figure(figsize=(7.5, 1.6 + 0.5 * len(rows)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    place = np.arange(len(rows))
    for offset, metric in zip((-0.2, 0.2), BAR_METRICS, strict=True):
        values = [row.mean(metric) for row in rows]
        whiskers = [row.deviation(metric) or 0.0 for row in rows]
        axes.barh(place + offset, values, 0.36, color=COLOURS[metric], label=metric.replace("_", "@"))
        if any(whiskers):
            axes.errorbar(values, place + offset, xerr=whiskers, fmt="none", ecolor="black", capsize=2, linewidth=0.8)
        for y, value, whisker in zip(place + offset, values, whiskers, strict=True):
            axes.text(value + whisker + 1, y, f"{value:.1f}", va="center", fontsize=7)
        _outline_thesis(axes, comparison, metric, offset)
    axes.set_yticks(place, [row.name for row in rows])
    axes.set(xlabel="%", xlim=(0, 105), title=comparison.dataset, ylim=(len(rows) - 0.4, -0.6))
    figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    return figure


def _outline_thesis(axes, comparison: Comparison, metric: str, offset: float) -> None:
    known = [
        (place + offset, getattr(comparison.thesis[row.name], metric))
        for place, row in enumerate(comparison.rows)
        if row.name in comparison.thesis
    ]
    if known:
        places, values = zip(*known, strict=True)
        label = "thesis (Table 2)" if metric == BAR_METRICS[0] else None
        axes.barh(places, values, 0.36, fill=False, edgecolor="black", linestyle="--", linewidth=0.8, label=label)


def difference_figure(comparison: Comparison) -> Figure:
    """Forest plot: each row's mAP minus the reference row's with its interval, the thesis's difference as a diamond.

    Raises:
        ValueError: no row is compared with a reference row.
    """
    if not comparison.differences:
        raise ValueError(f"{comparison.dataset}: no row has a difference to a reference row")
    found = comparison.differences
    figure = Figure(figsize=(7.5, 1.4 + 0.3 * len(found)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color="grey", linewidth=0.8, linestyle="--")
    for place, one in enumerate(found.values()):
        axes.plot([one.interval.low, one.interval.high], [place, place], color=COLOURS["mAP"], linewidth=1.8)
    values = [one.value for one in found.values()]
    axes.plot(values, range(len(found)), "o", color=COLOURS["mAP"], markersize=5, label="mAP, ours")
    thesis = [(one.thesis, place) for place, one in enumerate(found.values()) if one.thesis is not None]
    if thesis:
        style = {"color": THESIS_COLOUR, "markersize": 5, "markerfacecolor": "none"}
        axes.plot(*zip(*thesis, strict=True), "D", label="mAP, thesis (Table 2)", **style)
        figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=2)  # a row that collapsed must not squeeze the others
    axes.set_xticks(TICKS, [f"{tick:+d}" if tick else "0" for tick in TICKS])
    axes.set_xlim(*_limits(comparison))
    axes.set_yticks(range(len(found)), list(found))
    axes.set(xlabel=_difference_label(comparison), title=comparison.dataset, ylim=(len(found) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _difference_label(comparison: Comparison) -> str:
    over = interval_heading(comparison)
    return f"mAP − {comparison.reference.name}, points of per cent, {over}\n(logarithmic beyond ±{LINEAR})"


def _limits(comparison: Comparison) -> tuple[float, float]:
    """All that is drawn, with some margin, and at least one point to either side."""
    found = comparison.differences.values()
    ends = [value for one in found for value in (one.interval.low, one.interval.high, one.thesis) if value is not None]
    return 1.2 * min(-1.0, *ends), 1.2 * max(1.0, *ends)
