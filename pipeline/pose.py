"""DVC stage `pose`: an HRNet for a data set's keypoints, fitted here or imported.

usage: python pipeline/pose.py DATASET
"""

import json

import checkout  # noqa: F401
import numpy as np
from torch import nn

from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.settings.recipes import PoseConfig
from auxreid.plumbing.stage.checkpoint import StageCheckpoint, stage_checkpoint
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script
from auxreid.pose.architecture import PoseSpec
from auxreid.pose.checkpoint import Body, import_checkpoint, pairs, save_checkpoint
from auxreid.pose.fit import FITTED_PADDING, Epoch, choose_frames, fit
from auxreid.pose.overlay import write_overlay
from auxreid.pose.pck import pck
from auxreid.pose.predict import FrameImages, predict_all
from auxreid.training.seeding import seed_everything

PICTURES = 24


def main(stage: Stage) -> None:
    settings = stage.settings.pose
    with stage.run(seed=settings.seed) as run:
        frames = open_frames(stage.reads["frames"])
        seed_everything(settings.seed)
        if settings.checkpoint == "fit":
            with stage_checkpoint(run, stage) as checkpoint:
                net, spec, metrics = fit_network(frames, settings, run, checkpoint)
        else:
            net, spec = import_checkpoint(settings, Body(frames.meta.joints, frames.meta.skeleton))
            metrics = check_imported(net, spec, frames, settings, run)
        save_checkpoint(net, spec, run.out / "hrnet.safetensors")
        write_text(run.out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
        mean = {"PCK": round(100 * metrics["PCK"], 2)} if "PCK" in metrics else {}
        write_text(run.out / "mean.json", json.dumps(mean) + "\n")
        run.summary(metrics)
        run.artifact("hrnet.safetensors")


def fit_network(
    frames: Frames, settings: PoseConfig, run: Run, checkpoint: StageCheckpoint
) -> tuple[nn.Module, PoseSpec, dict[str, float]]:
    """Fit on the data set's own keypoints and measure on individuals that were held out."""
    if not frames.meta.joints:
        raise DataError(f"data set {frames.meta.dataset!r} has no keypoints to fit on: name a pose.checkpoint instead")
    training, held_out = choose_frames(frames, settings.held_out, settings.max_images, settings.seed)
    spec = PoseSpec(
        architecture=settings.architecture,
        joints=tuple(frames.meta.joints),
        skeleton=pairs(frames.meta.skeleton),
        height=settings.height,
        width=settings.width,
        padding=FITTED_PADDING,
        source=f"fitted on {frames.meta.dataset}",
    )

    def on_epoch(epoch: Epoch) -> None:
        measured = {} if epoch.pck is None else {"PCK": epoch.pck}
        run.log({"loss": epoch.loss} | measured, step=epoch.number)
        values = f"loss {epoch.loss:.5f}" + "".join(
            f", held-out {name} {value:.3f}" for name, value in measured.items()
        )
        print(f"  epoch {epoch.number} of {settings.epochs}: {values}", flush=True)

    print(f"  fitting on {len(training)} images, {len(held_out)} of other individuals are held out", flush=True)
    net = fit(spec, training, held_out, settings, on_epoch, checkpoint)
    return net, spec, measure(net, spec, held_out, run) | {"images_fitted": len(training)}


def check_imported(net: nn.Module, spec: PoseSpec, frames: Frames, settings: PoseConfig, run: Run) -> dict[str, float]:
    """PCK of a given network, where the data set has keypoints of the same joints; else nothing can be measured."""
    _, annotated = frames.keypoints()
    if tuple(frames.meta.joints) != spec.joints or not annotated.any():
        return {"images_held_out": 0, "images_fitted": 0}
    _, held_out = choose_frames(frames, settings.held_out, settings.max_images, settings.seed)
    return measure(net, spec, held_out, run) | {"images_fitted": 0}


def measure(net: nn.Module, spec: PoseSpec, held_out: Frames, run: Run) -> dict[str, float]:
    """PCK@0.1 overall and per joint, and a picture of held-out images with truth and prediction."""
    predicted = predict_all(net, spec, FrameImages(held_out))
    truth, _ = held_out.keypoints()
    score = pck(predicted, truth)
    shown = np.sort(np.random.default_rng(0).permutation(len(held_out))[:PICTURES])
    captions = [f"PCK {pck(predicted[[index]], truth[[index]]).overall:.2f}" for index in shown]
    picture = run.figure("held_out.png")
    write_overlay(picture, held_out.take(shown), predicted[shown], spec, captions, truth[shown])
    labelled = np.flatnonzero(~np.isnan(score.per_joint)).tolist()
    by_joint = {f"PCK_{spec.joints[number]}".replace(" ", "_"): float(score.per_joint[number]) for number in labelled}
    return {"PCK": score.overall, "images_held_out": len(held_out)} | by_joint


if __name__ == "__main__":
    run_script(main)
