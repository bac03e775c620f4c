"""The training frames of a split, with identities counted from 0 as classifiers and prompts need them."""

from pathlib import Path

import numpy as np

from auxreid.data.frames import Frames, open_frames


def training_set(
    path: str | Path, split: int, labels: str | Path | None = None
) -> tuple[Frames, np.ndarray, np.ndarray]:
    """(frames [n], class of each in 0..k-1 [n], identity of each class [k]); junk and distractors left out.

    `labels` is a file of predicted attributes, where the frames have none of their own.
    """
    frames = open_frames(path, split, labels).where("train")
    frames = frames.take(frames.identity > 0)
    names, classes = np.unique(frames.identity, return_inverse=True)
    return frames, classes, names
