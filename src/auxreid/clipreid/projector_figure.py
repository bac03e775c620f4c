"""Figure 13 of the thesis: the weights of the fusion's projector, the image half beside the pose half."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BINS = 101
DPI = 110


def projector_figure(image: np.ndarray, pose: np.ndarray, title: str) -> Figure:
    """Histograms of the weights on the image half [d, d] and on the pose half [d, p], on one scale."""
    reach = max(float(np.abs(half).max()) for half in (image, pose)) or 1.0
    figure = Figure(figsize=(8.0, 3.4), dpi=DPI, layout="constrained")
    for axes, half, name in zip(figure.subplots(1, 2, sharex=True), (image, pose), ("image", "pose"), strict=True):
        axes.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))  # labels of small weights are long
        axes.hist(half.ravel(), bins=BINS, range=(-reach, reach), density=True, color="#3b6ea8")
        axes.set(xlabel="weight", title=f"{name} half: mean |weight| {np.abs(half).mean():.4f}")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("density")
    figure.suptitle(title)
    return figure
