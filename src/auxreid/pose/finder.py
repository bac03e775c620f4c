"""Joints of images that belong to no data set, found by an HRNet when they are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from auxreid.pose.checkpoint import load_checkpoint
from auxreid.pose.heatmaps import asked_runtime
from auxreid.pose.predict import FrameImages, Poses, predict
from auxreid.pose.table import write_keypoints


class JointFinder:
    """An HRNet, read once. Several threads may find joints at the same time.

    Raises:
        DataError: the file is missing, broken, or no pose checkpoint of this package.
    """

    def __init__(self, path: Path):
        self.path = path
        self.net, self.spec = load_checkpoint(path)

    @contextmanager
    def table(self, frames: Any) -> Iterator[Path]:
        """The keypoint table of frames, or of what is read like them, as stage `keypoints` writes one; it lasts as long
        as the block. Its frame_id are the frames' positions."""
        with TemporaryDirectory(prefix="auxreid-joints-") as folder:
            path = Path(folder, "keypoints.parquet")
            poses = predict(self.net, self.spec, FrameImages(frames), runtime=asked_runtime())
            write_keypoints(path, self.spec.joints, _numbered(poses))
            yield path


def _numbered(batches: Iterator[Poses]) -> Iterator[tuple[np.ndarray, Poses]]:
    done = 0
    for poses in batches:
        start, done = done, done + len(poses.keypoints)
        yield np.arange(start, done), poses
