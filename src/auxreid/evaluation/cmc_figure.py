"""The figure of CMC curves, of one model or of many."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

CURVE_RANKS = 50  # what the figure shows
DPI = 110
MANY = 8  # curves, more than a legend inside the axes has room for
STYLES = ("-", "--", ":", "-.")


def cmc_figure(curves: Mapping[str, np.ndarray], title: str) -> Figure:
    """CMC curves (fractions, float [k] for ranks 1..k) by name; many get a legend beside them, the best at the top."""
    many = len(curves) > MANY
    figure = Figure(figsize=(9.6, 5.6) if many else (6.4, 4.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    order = sorted(curves.items(), key=lambda named: -named[1][0]) if many else curves.items()
    for number, (name, curve) in enumerate(order):
        style = STYLES[number // 10 % len(STYLES)]  # ten colours, then the next dash
        axes.plot(np.arange(1, len(curve) + 1), 100 * np.asarray(curve), style, label=name, linewidth=1.5)
    axes.set(xlabel="rank k", ylabel="CMC@k, %", title=title, xlim=(1, None), ylim=(0, 101))
    axes.grid(alpha=0.3)
    if many:
        figure.legend(fontsize=7, loc="outside right upper")
    elif len(curves) > 1:
        axes.legend(fontsize=8, loc="lower right")
    return figure
