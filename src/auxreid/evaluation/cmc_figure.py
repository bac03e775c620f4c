"""The figure of CMC curves, of one model or of many."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

CURVE_RANKS = 50  # what the figure shows
DPI = 110
STYLES = ("-", "--", ":", "-.")


def cmc_figure(curves: Mapping[str, np.ndarray], title: str) -> Figure:
    """CMC curves (fractions, float [k] for ranks 1..k) by name."""
    figure = Figure(figsize=(6.4, 4.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, curve) in enumerate(curves.items()):
        style = STYLES[number // 10 % len(STYLES)]  # ten colours, then the next dash
        axes.plot(np.arange(1, len(curve) + 1), 100 * np.asarray(curve), style, label=name, linewidth=1.5)
    axes.set(xlabel="rank k", ylabel="CMC@k, %", title=title, xlim=(1, None), ylim=(0, 101))
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(fontsize=8, loc="lower right")
    return figure
