"""The figure of where a row gained: a panel for each way to tell ranked lists apart."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib.figure import Figure

from auxreid.evaluation.comparison_figures import COLOURS, DPI
from auxreid.evaluation.where_gained import Part

WIDTH, LINE, HEAD = 8.0, 0.26, 0.45  # inches: of the figure, of a group, of a panel's title
# The axis shows at least so many points, so many times the largest difference, and at most all that there can be.
LEAST, TIMES, MOST = 2.0, 3.0, 100.0


def where_figure(dataset: str, names: tuple[str, str], found: Sequence[Part], interval: str) -> Figure:
    """Each group's difference with its interval; beside it its lists, and how many gained and lost.

    Args:
        names: of the row, and of what it is compared with.
        interval: what the intervals are.
    """
    panels = [list(some) for _, some in groupby(found, key=lambda part: part.by)]
    heights = [HEAD + LINE * len(panel) for panel in panels]
    figure = Figure(figsize=(WIDTH, 1.5 + sum(heights)), dpi=DPI, layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        _draw_panel(axes, panel)
    end = reach(found)
    axes.set_xlim(-end, end)
    axes.set_xlabel(f"mAP − {names[1]}, points of per cent, {interval}")
    figure.suptitle(f"{dataset}: where {names[0]} gained and lost\nagainst {names[1]}", fontsize=11)
    return figure


def reach(found: Sequence[Part]) -> float:
    """How far the axis goes: to all intervals, unless that of a small group would hide what the others show."""
    ends = [abs(end) for part in found for end in (part.interval.low, part.interval.high) if end == end]
    largest = max(abs(part.value) for part in found)
    return min(MOST, 1.1 * max(LEAST, largest, min(max(ends, default=0.0), TIMES * largest)))


def _draw_panel(axes, panel: Sequence[Part]) -> None:
    axes.axvline(0, color="grey", linewidth=0.8, linestyle="--")
    for place, part in enumerate(panel):
        axes.plot([part.interval.low, part.interval.high], [place, place], color=COLOURS["mAP"], linewidth=1.8)
        counts = f"{part.lists} lists, {part.gained} gained, {part.lost} lost"
        axes.annotate(counts, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.plot([part.value for part in panel], range(len(panel)), "o", color=COLOURS["mAP"], markersize=5)
    axes.set_yticks(range(len(panel)), [part.name for part in panel], fontsize=8)
    axes.set_ylim(len(panel) - 0.4, -0.6)
    if len(panel) > 1:
        axes.set_title(f"by {panel[0].by}", fontsize=9, loc="left")
    axes.grid(axis="x", alpha=0.3)
