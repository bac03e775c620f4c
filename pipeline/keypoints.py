"""DVC stage `keypoints`: HRNet's keypoints and pose embedding of every image of a data set.

usage: python pipeline/keypoints.py DATASET
"""

from collections.abc import Iterator
from pathlib import Path

import checkout  # noqa: F401
import numpy as np

from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.base.progress import track
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script
from auxreid.pose.architecture import PoseSpec
from auxreid.pose.checkpoint import load_checkpoint
from auxreid.pose.heatmaps import asked_runtime
from auxreid.pose.overlay import write_overlay
from auxreid.pose.predict import FrameImages, Poses, predict
from auxreid.pose.table import read_keypoints, write_keypoints

PICTURES = 24


def main(stage: Stage) -> None:
    runtime = asked_runtime()
    with stage.run(runtime=runtime) as run:
        frames = open_frames(stage.reads["frames"])
        net, spec = load_checkpoint(stage.reads["hrnet"])
        table = run.out / "keypoints.parquet"
        poses = predict(net, spec, FrameImages(frames), runtime=runtime)
        write_keypoints(table, spec.joints, with_ids(frames, track(poses, f"keypoints of {stage.dataset}, batches")))
        confidence = draw(table, frames, spec, run)
        run.summary({"images": len(frames), "mean_confidence": confidence})


def with_ids(frames: Frames, batches: Iterator[Poses]) -> Iterator[tuple[np.ndarray, Poses]]:
    done = 0
    for poses in batches:
        start, done = done, done + len(poses.keypoints)
        yield frames.frame_id[start:done], poses


def draw(path: Path, frames: Frames, spec: PoseSpec, run: Run) -> float:
    """A picture of random images as the table has them; returns the mean confidence over all joints and images."""
    table = read_keypoints(path)
    shown = np.sort(np.random.default_rng(0).permutation(len(frames))[:PICTURES])
    captions = [f"{frames.split[index]} {frames.frame_id[index]}" for index in shown]
    write_overlay(run.figure("keypoints.png"), frames.take(shown), table.keypoints[shown], spec, captions)
    return float(table.keypoints[..., 2].mean())


if __name__ == "__main__":
    run_script(main)
