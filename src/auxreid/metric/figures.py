"""Figures of the rows: curves of verification, and ranked lists of one row."""

import numpy as np
from matplotlib.figure import Figure as Plot
from PIL import Image

from auxreid.data.frames import Frames
from auxreid.evaluation.ranked_lists import chosen_queries, draw_lists, first_places, frame_captions, ranked_list
from auxreid.evaluation.ranking import squared_distances
from auxreid.metric.open_set import roc
from auxreid.metric.results import Results, SeedResult

DPI = 110
SMALLEST_FAR = 1e-4


def roc_figure(results: Results) -> Plot:
    """TAR over FAR of each row's first seed, FAR on a logarithmic axis."""
    plot = Plot(figsize=(7.2, 4.8), dpi=DPI, layout="constrained")
    axes = plot.add_subplot()
    for number, row in enumerate(results.rows):
        far, tar = roc(row.first.pairs)
        style = ("-", "--", ":")[number // 10 % 3]
        axes.step(np.maximum(far, SMALLEST_FAR), 100 * tar, style, where="post", label=row.name, linewidth=1.4)
    axes.set(xscale="log", xlabel="FAR", ylabel="TAR, %", xlim=(SMALLEST_FAR, 1), ylim=(0, 101))
    axes.set_title(f"{results.dataset}: verification, individuals never seen")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return plot


def list_pictures(result: SeedResult, frames: Frames, count: int, seed: int) -> dict[str, Image.Image]:
    """Ranked lists of the best, worst and random queries, so many each, true matches framed green and others red."""
    query, gallery = result.query, result.gallery
    places = first_places(squared_distances(query.embedding, gallery.embedding), query, gallery)
    captions, pictures = frame_captions(frames), {}
    for kind, chosen in chosen_queries(result.ranked, count, seed).items():
        lists = [ranked_list(position, query, places, result.ranked, captions) for position in chosen]
        if lists:
            pictures[kind] = draw_lists(lists, frames.image)
    return pictures
