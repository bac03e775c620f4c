"""Frames that do not count as independent: those of one individual or, where it is unknown, of one folder."""

from dataclasses import dataclass

import numpy as np

from auxreid.data.frames import Frames

HELD_OUT_SHARE = 0.15  # of the training groups, where a data set has no split "val"
SEED = 0


@dataclass(frozen=True)
class Groups:
    """The group of each frame, and what the groups are called."""

    of_frame: np.ndarray  # int64 [n], 0..count-1
    unit: str  # "individuals", "folders", ...

    @property
    def count(self) -> int:
        return int(self.of_frame.max()) + 1 if len(self.of_frame) else 0


def groups_of(frames: Frames) -> Groups:
    """Individuals by their identity. Frames of unknown ones are grouped by the folder that they lie in.

    Folders are what collections without individuals are sorted by, for instance a breed each. If all such frames lie in
    one folder, each is a group of its own.
    """
    known = frames.identity > 0  # 0 are distractors, -1 is unknown
    folders = np.array([path.rpartition("/")[0] for path in frames.path], dtype=object)
    sorted_by_folder = len(set(folders[~known])) > 1
    unknown = folders if sorted_by_folder else frames.path
    names = [
        f"individual {number}" if is_known else f"other {other}"
        for number, is_known, other in zip(frames.identity.tolist(), known, unknown, strict=True)
    ]
    units = ["individuals"] * bool(known.any())
    units += ["folders" if sorted_by_folder else "frames"] * bool((~known).any())
    codes = np.unique(names, return_inverse=True)[1] if names else np.zeros(0)
    return Groups(codes.astype(np.int64), " and ".join(units))


def hold_out(frames: Frames) -> tuple[Frames, Frames]:
    """Training frames without those of some 15% of their groups, and the latter; the groups are drawn by a fixed seed.

    With a single group nothing is held out.
    """
    groups = groups_of(frames)
    count = round(HELD_OUT_SHARE * groups.count) or int(groups.count > 1)
    drawn = np.random.default_rng(SEED).permutation(groups.count)[:count]
    held_out = np.isin(groups.of_frame, drawn)
    return frames.take(~held_out), frames.take(held_out)


def deal(groups: Groups, folds: int) -> np.ndarray:
    """int64 [n]: the fold of each frame, 0 ... ; all of a group are in one. There are no more folds than groups."""
    return (np.random.default_rng(SEED).permutation(groups.count) % folds)[groups.of_frame]
