"""DVC stage `metric_features`: features of a pretrained encoder, kept for all metric rows.

usage: python pipeline/metric_features.py DATASET-SPLIT
"""

import checkout  # noqa: F401

from auxreid.data.frames import open_frames
from auxreid.metric.backbone import open_backbone
from auxreid.metric.features import make_features, metric_frames, save_features
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script


def main(stage: Stage) -> None:
    settings = stage.settings.features
    with stage.run() as run:
        backbone, taken = open_backbone(settings.backbone, stage.reads["backbone"])
        frames = metric_frames(open_frames(stage.reads["frames"], stage.entry["split"]), settings.unlabelled)
        features = make_features(backbone, taken, frames, settings.views, stage.settings.precision)
        save_features(run.out / "features.safetensors", features, frames.frame_id)
        counts = {"images": len(frames), "learnt_images": len(features.seen), "dimensions": features.plain.shape[1]}
        run.summary(counts)


if __name__ == "__main__":
    run_script(main)
