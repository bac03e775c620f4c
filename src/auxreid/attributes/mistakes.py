"""The surest mistakes: frames whose wrong word has the highest probability, for each attribute as a strip."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.figure import Figure

from auxreid.attributes.held_out import HeldOut
from auxreid.attributes.losses import MISSING
from auxreid.data.frames import Frames

SHOWN = 6
SIDE = 240  # pixels of a picture's longer side


@dataclass(frozen=True)
class Mistake:
    """A held-out frame by its place among them, and what was said of it."""

    place: int
    labelled: str
    predicted: str
    probability: float


def surest_mistakes(held_out: HeldOut, attribute: str, most: int = SHOWN) -> list[Mistake]:
    """The surest first, one of each group: a dog is mistaken alike in many frames."""
    codes, probabilities = held_out.codes[attribute], held_out.probabilities[attribute]
    words, groups = held_out.vocabulary[attribute], held_out.groups.of_frame
    predicted, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero((codes != MISSING) & (predicted != codes))
    mistakes: dict[int, Mistake] = {}
    for place in wrong[np.argsort(-sure[wrong], kind="stable")]:
        one = Mistake(int(place), words[codes[place]], words[predicted[place]], float(sure[place]))
        mistakes.setdefault(int(groups[place]), one)
    return list(mistakes.values())[:most]


def mistake_figures(held_out: HeldOut) -> Iterator[tuple[str, Figure]]:
    """Each attribute that has a mistake, and its strip: label, predicted word and its probability over each frame."""
    for attribute in held_out.vocabulary:
        mistakes = surest_mistakes(held_out, attribute)
        if mistakes:
            yield attribute, _strip(held_out.frames, attribute, mistakes)


def _strip(frames: Frames, attribute: str, mistakes: list[Mistake]) -> Figure:
    figure = Figure(figsize=(1.75 * SHOWN, 2.7))
    figure.suptitle(f"{attribute.replace('_', ' ')}: the surest mistakes", fontsize=10)
    axes = figure.subplots(1, SHOWN, gridspec_kw={"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.76})
    for axis in axes:
        axis.set_axis_off()
    for axis, mistake in zip(axes, mistakes, strict=False):
        axis.imshow(_small(frames.preview(mistake.place)))
        said = f"{mistake.predicted} {mistake.probability:.2f}"
        axis.set_title(f"labelled {mistake.labelled}\npredicted {said}", fontsize=8)
    return figure


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
