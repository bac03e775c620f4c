"""DVC stage `metric`: one row of the metric model, trained, stopped by individuals held out, and tested.

usage: python pipeline/metric.py DATASET-ROW-SEED
"""

import json
from pathlib import Path

import checkout  # noqa: F401
import numpy as np

from auxreid.data.frames import Frames, open_frames
from auxreid.evaluation.protocols import query_and_gallery
from auxreid.evaluation.ranking import distance_blocks, rank_blocks, summarise
from auxreid.metric.backbone import open_backbone
from auxreid.metric.checkpoint import save_metric_model
from auxreid.metric.choice import Validation
from auxreid.metric.features import SEARCHED, load_features
from auxreid.metric.row import Data, Made, make_row
from auxreid.metric.scores import About, HeldOutEmbeddings, MetricScores, write_metric_scores
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script

RESULTS = Path("results")
DIGITS = 6  # of a figure


def main(stage: Stage) -> None:
    row, seed = stage.settings.metric_row, stage.entry["seed"]
    settings = stage.settings.train.replaced(row.train or {})
    with stage.run(replaced={"train": settings}) as run:
        data, curves = open_data(stage), Curves(run)
        made = make_row(row, settings, data, seed, curves)
        curves.write(run.out / "history.csv")
        save_metric_model(run.out / "model.safetensors", made.model, stage.settings.features.backbone)
        run.artifact("model.safetensors")
        scores = test_scores(stage, data.frames, made)
        write_metric_scores(RESULTS, scores)
        if made.suspicious is not None:
            write_suspicious(run, data.frames, made.suspicious)
        metrics = test_metrics(scores, data.frames) | {
            "val_mAP": round(float(made.validated.curve[made.validated.epoch]), DIGITS),
            "val_mAP_untouched": round(float(np.nanmean(made.validated.untouched)), DIGITS),
            "epoch": made.validated.epoch,
        }
        write_text(run.out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
        run.summary(metrics)


def open_data(stage: Stage) -> Data:
    """Features and frames; the encoder too where the row trains a part of it."""
    frames = open_frames(stage.reads["frames"], stage.entry["split"])
    features, known = load_features(stage.reads["features"], frames)
    backbone, taken = None, None
    if stage.settings.metric_row.trained:
        backbone, taken = open_backbone(stage.settings.features.backbone, stage.reads["backbone"])
    return Data(known, features, stage.settings.protocol, backbone, taken)


def test_scores(stage: Stage, frames: Frames, made: Made) -> MetricScores:
    """What the table needs of this row and seed."""
    tested = np.flatnonzero(np.isin(frames.split.astype(str), SEARCHED))
    validated, entry = made.validated, stage.entry
    about = About(stage.dataset, entry["row"], entry["seed"], entry["split"], stage.settings.protocol, validated.epoch)
    validation = Validation(validated.precision, validated.untouched, validated.identity)
    learnt = stage.settings.metric_row.loss is not None
    held_out = held_out_embeddings(made, frames) if learnt else None
    return MetricScores(about, frames.frame_id[tested], made.embeddings[tested].numpy(), validation, held_out)


def held_out_embeddings(made: Made, frames: Frames) -> HeldOutEmbeddings:
    """Of the validation, for what is fitted on individuals that no network has learnt from."""
    rows = np.concatenate([fold.rows for fold in made.folds])
    fold = np.repeat(np.arange(len(made.folds)), [len(fold.rows) for fold in made.folds])
    order = np.argsort(rows)
    return HeldOutEmbeddings(frames.frame_id[rows][order], made.validated.held_out[order], fold[order])


def test_metrics(scores: MetricScores, frames: Frames) -> dict[str, float]:
    """mAP, mINP and CMC on the test individuals."""
    tested = frames.where(SEARCHED)
    query, gallery = query_and_gallery(tested, scores.embeddings, scores.about.protocol)
    labels = query.identity, gallery.identity, query.group, gallery.group
    ranked = rank_blocks(distance_blocks(query.embedding, gallery.embedding), *labels)
    return {name: round(value, DIGITS) for name, value in summarise(ranked).items()}


def write_suspicious(run: Run, frames: Frames, rows: np.ndarray) -> None:
    """Photos whose label is likely wrong, for a person to look at."""
    lines = [f"{frames.path[row]},{frames.identity_name[row]}\n" for row in rows]
    write_text(run.figure("suspicious_photos.csv"), "".join(["path,identity\n", *lines]))
    run.summary({"suspicious_photos": len(rows)})


if __name__ == "__main__":
    run_script(main)
