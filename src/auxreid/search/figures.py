"""Figures of the evaluation: whether probabilities can be believed, what strangers cost, and what each term weighs."""

import numpy as np
from matplotlib.figure import Figure as Plot

from auxreid.search.evaluate import FUSION, VISUAL_ONLY, Evaluation, Row
from auxreid.search.fusion import VISUAL

DPI = 110
BINS = 10
CURVE = np.concatenate([np.linspace(0.002, 0.02, 10), np.linspace(0.03, 0.5, 48)])  # FPIR


def reliability_figure(evaluation: Evaluation) -> Plot:
    """The share of best dogs that are the right one, over the probability that was given for it, in bins of equally
    many; the first seed's."""
    plot = Plot(figsize=(5.6, 5.2), dpi=DPI, layout="constrained")
    axes = plot.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as it should be")
    shown = (VISUAL_ONLY, FUSION, "fusion, 3 stated", "fusion, 3 photos")
    for row in (one for one in _possible(evaluation) if one.name in shown):
        given, right = _bins(row)
        label = f"{row.name}, ECE {100 * row.rates['ECE']:.1f} %"
        axes.plot(given, right, "o-", markersize=4, linewidth=1.4, label=label)
    axes.set(xlabel="probability of the best dog", ylabel="share that are right", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"{evaluation.dataset}: is the best dog the right one?")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left")
    return plot


def dir_figure(evaluation: Evaluation) -> Plot:
    """DIR over FPIR of each way that is possible; the first seed's."""
    plot = Plot(figsize=(7.2, 4.8), dpi=DPI, layout="constrained")
    axes = plot.add_subplot()
    for number, row in enumerate(_possible(evaluation)):
        style = ("-", "--", ":")[number // 10 % 3]
        axes.plot(100 * CURVE, 100 * row.first.dir_curve(CURVE), style, label=row.name, linewidth=1.4)
    axes.set(
        xscale="log", xlabel="FPIR: strangers who are named, %", ylabel="DIR: others named rightly, %", ylim=(0, 101)
    )
    axes.set_title(f"{evaluation.dataset}: identification with strangers")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    return plot


def weights_figure(evaluation: Evaluation) -> Plot:
    """The weights of the terms, means over the seeds: of likeness and predicted attributes, and of stated ones."""
    fusions = [one.fusion for one in evaluation.seeds]
    names = list(fusions[0].vocabulary)
    predicted = [np.mean([one.weights[name] for one in fusions]) for name in [VISUAL, *names]]
    stated = [np.mean([one.stated_weights[name] for one in fusions]) for name in names]
    plot = Plot(figsize=(6.4, 3.8), dpi=DPI, layout="constrained")
    axes = plot.add_subplot()
    places = np.arange(len(names) + 1)
    axes.bar(places - 0.2, predicted, 0.4, label="from photographs")
    axes.bar(places[1:] + 0.2, stated, 0.4, label="stated")
    axes.axhline(1, color="0.6", linewidth=1)
    axes.set_xticks(places, [VISUAL, *names])
    axes.set(ylabel="weight of the log-likelihood ratio")
    axes.set_title(f"{evaluation.dataset}: what each term weighs")
    axes.legend(fontsize=8)
    return plot


def _possible(evaluation: Evaluation) -> list[Row]:
    return [row for row in evaluation.rows if row.first is not None]


def _bins(row: Row) -> tuple[np.ndarray, np.ndarray]:
    decided = row.first.decided
    order = np.argsort(decided.probability, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    right = decided.right & ~decided.stranger
    return (np.array([values[part].mean() for part in parts]) for values in (decided.probability, right))
