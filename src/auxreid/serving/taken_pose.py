"""The pose that an embedding is made of beside the image: for a row's fusion or idea, and for descriptors at joints."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auxreid.clip.checkpoints import AuxiliaryHeader, Beside, FusionHeader
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.predict import GRID, Poses

CELLS = GRID[0] * GRID[1]  # of a joint's pooled heat map


@dataclass(frozen=True)
class TakenPose:
    """What is asked for.

    Args:
        words: it, up to "must be given".
        joints: names, in the order of an array.
        shapes: of one image in an array, those that are taken; none: a keypoint table alone is.
    """

    words: str
    joints: Sequence[str]
    shapes: tuple[tuple[int, ...], ...] = ()

    def poses(self, count: int, pose: np.ndarray) -> Poses:
        """An array of `count` images as a keypoint table has it.

        Raises:
            DataError: it is of another shape, or not finite.
        """
        finite = bool(np.isfinite(pose).all())
        if pose.shape not in [(count, *shape) for shape in self.shapes] or not finite:
            found = f"{list(pose.shape)}{'' if finite else ' with values that are not finite'}"
            raise DataError(f"{self.words} must be given for {count} images, not {found}")
        keypoints = np.zeros((count, len(self.joints), 3), np.float32)
        embedding = np.zeros((count, len(self.joints) * CELLS), np.float32)
        if pose.ndim == 3:
            keypoints[..., : pose.shape[-1]] = pose
        else:
            embedding[...] = pose
        return Poses(keypoints, embedding)


def taken_pose(header: Beside | None, descriptors) -> TakenPose | None:
    """The pose that an encoder takes; None where it takes none.

    Args:
        header: of what ranks beside the encoder.
        descriptors: that it is ranked by, or None.
    """
    fusion = header if isinstance(header, FusionHeader) and header.pose.rank == "fused" else None
    if descriptors is not None and descriptors.header.rank.ranks_joints:
        joints = descriptors.header.joints
        if fusion is not None and fusion.pose.source == "hrnet":
            return TakenPose("a keypoint table, of whose joints and pose embedding the row is ranked,", joints)
        return _with_confidence("the descriptors lie at joints", joints)
    if isinstance(header, AuxiliaryHeader) and header.config.ranks_pose:
        whose = f"the row's auxiliary {header.config.kind} ranks the image with its keypoints"
        return _with_confidence(whose, header.facts["joints"])
    return None if fusion is None else _of_fusion(fusion)


def _with_confidence(whose: str, joints: Sequence[str]) -> TakenPose:
    count, names = len(joints), ", ".join(joints)
    return TakenPose(
        f"{whose}: x, y in pixels and confidence of {names}, [n, {count}, 3],", tuple(joints), ((count, 3),)
    )


def _of_fusion(fusion: FusionHeader) -> TakenPose:
    """A fusion tells the number of its joints alone."""
    count = fusion.joints
    names = [f"joint {number}" for number in range(count)]
    if fusion.pose.source == "keypoints":
        words = f"the row ranks the image with its keypoints: x, y in pixels of {count} joints, [n, {count}, 2],"
        return TakenPose(words, names, ((count, 2), (count, 3)))
    words = f"the row ranks the image with HRNet's pose embedding, [n, {count * CELLS}],"
    return TakenPose(words, names, ((count * CELLS,),))
