"""Where the joints of an image lie in what an encoder sees of it: mirrored and cropped as the image is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from auxreid.clip.images import PADDING, View
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.joints import flip_indices
from auxreid.pose.table import KeypointTable, frame_rows, read_keypoints

Whose = Literal["own", "other", "mean"]  # joints: the frame's, another frame's, or the mean over the frames


class JointPlaces:
    """`places(rows, views)`: the joints of these rows, seen so.

    Args:
        places: float32 [n, J, 3] of the frames as they are: x and y as shares of width and height, confidence in 0..1.
        joints: their names.
        size: height and width of the input, in whose pixels a view's crop moves.
        usual: where the joints usually are [J, 3], if that is known.

    Raises:
        DataError: the joint names do not say which joints mirror each other.
    """

    def __init__(
        self, places: np.ndarray, joints: Sequence[str], size: tuple[int, int], usual: np.ndarray | None = None
    ):
        self.places, self.joints, self.size, self.usual = places, tuple(joints), size, usual
        self.groups = mirror_groups(joints)
        self.swapped = flip_indices(joints)

    def __call__(self, rows: np.ndarray, views: Sequence[View]) -> Tensor:
        """Rows [b] -> float32 [b, J, 3]; a joint that the crop leaves out lies outside 0..1."""
        places = self.places[rows].astype(np.float32)  # [b, J, 3], a copy
        mirrored = np.array([view.mirrored for view in views], dtype=bool)
        flipped = places[mirrored][:, self.swapped]
        flipped[..., 0] = 1 - flipped[..., 0]
        places[mirrored] = flipped
        corners = np.array([(view.left, view.top) for view in views], np.float32).reshape(-1, 2)
        places[..., :2] += ((PADDING - corners) / np.array(self.size[::-1], np.float32))[:, None]
        return torch.from_numpy(places)


def open_places(
    path: Path,
    frames,
    size: tuple[int, int],
    whose: Whose = "own",
    seed: int = 0,
    doubt: float | None = None,
    usual: np.ndarray | None = None,
) -> JointPlaces:
    """The joints of `frames` in a keypoint table, for an input of `size` (height, width).

    Args:
        whose: "other" gives each frame the joints of another one, drawn by the seed; "mean" gives all the mean joints.
        doubt: as :func:`doubted` has it; None takes joints as they were found.
        usual: where joints usually are [J, 3]; by itself the mean over these frames.

    Raises:
        DataError: the file cannot be read, lacks one of the frames, or its joints have no counterparts; there is no
            other frame.
    """
    table = read_keypoints(path)
    places = frame_places(table, frames, str(path))
    usual = places.mean(axis=0) if usual is None else usual
    if whose == "other":
        places = places[another(len(places), seed)]
    elif whose == "mean":
        places = np.broadcast_to(usual, places.shape)
    return JointPlaces(places if doubt is None else doubted(places, usual, doubt), table.joints, size, usual)


def doubted(places: np.ndarray, usual: np.ndarray, doubt: float) -> np.ndarray:
    """Joints [n, J, 3] moved to where they usually are [J, 3], the further the less sure they are.

    With confidence c a joint keeps c / (c + doubt) of its way from there: what was found and what is usual are averaged
    as two measurements whose variances are as doubt to c.
    """
    share = places[..., 2:] / (places[..., 2:] + doubt)
    moved = share * places[..., :2] + (1 - share) * usual[..., :2]
    return np.concatenate([moved, places[..., 2:]], axis=-1).astype(np.float32)


def frame_places(table: KeypointTable, frames, source: str) -> np.ndarray:
    """The table's joints of each frame as shares of its own width and height, float32 [n, J, 3].

    Raises:
        DataError: the table lacks one of the frames; `source` is how it is called.
    """
    points = table.keypoints[frame_rows(table, frames, source)]
    shares = points[..., :2] / frames.size[:, None, :]
    return np.concatenate([shares, points[..., 2:].clip(0, 1)], axis=2).astype(np.float32)


def check_joints(joints: Sequence[str], trained: Sequence[str], source: object) -> None:
    """Raises DataError where these, of `source`, are other joints, or in another order, than was trained with."""
    if tuple(joints) != tuple(trained):
        raise DataError(f"{source}: has the joints {', '.join(joints)}; trained with {', '.join(trained)}")


def another(count: int, seed: int) -> np.ndarray:
    """For each of 0..count-1 another of them, each once: one random circle through all. int64 [count]

    Raises:
        DataError: there is one only.
    """
    if count < 2:
        raise DataError(f"an image takes what is another's: there are {count} images, and two are needed")
    circle = np.random.default_rng(seed).permutation(count)
    other = np.empty(count, np.int64)
    other[circle] = np.roll(circle, -1)
    return other


def mirror_groups(joints: Sequence[str]) -> list[list[int]]:
    """Joints that mirror each other form a group, any other joint forms its own; in the order of the first of each.

    Raises:
        DataError: a joint's counterpart is not in the list.
    """
    return [sorted({number, other}) for number, other in enumerate(flip_indices(joints)) if number <= other]
