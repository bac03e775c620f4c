"""DVC stage `attributes`: train the multi-task attribute classifier of a data set, score it, and predict every frame.

usage: python pipeline/attributes.py DATASET
"""

import json
from collections.abc import Mapping

import checkout  # noqa: F401
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from auxreid.attributes.dataset import attribute_codes, with_labels
from auxreid.attributes.figures import confusion_figure, table_figure
from auxreid.attributes.metrics import AttributeScore, confusion_table, flat_metrics, score_attributes, table_rows
from auxreid.attributes.model import save_model
from auxreid.attributes.predict import predict, write_predictions
from auxreid.attributes.train import Fitted, fit
from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.checkpoint import stage_checkpoint
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.launch import run_stage
from auxreid.plumbing.stage.run import Run
from auxreid.training.environment import rank

HELD_OUT = ("query", "gallery", "test")


def main(stage: Stage) -> None:
    settings, precision = stage.settings.attributes, stage.settings.precision
    frames = open_frames(stage.reads["frames"])
    if rank() > 0:  # process 0 alone keeps the record and writes
        fit(frames, settings, lambda *_: None, precision=precision)
        return
    with stage.run(seed=settings.seed) as run:
        with stage_checkpoint(run, stage) as checkpoint:
            fitted = fit(frames, settings, run.log, checkpoint, precision)
        save_model(run.out / "model.safetensors", fitted.model, settings.backbone, settings)
        run.artifact("model.safetensors")
        description = f"attributes of all frames of {stage.dataset}"
        probabilities = predict(fitted.model, frames, settings, description=description, precision=precision)
        write_predictions(run.out / "predictions.parquet", frames.frame_id, probabilities)
        scores = score_held_out(frames, probabilities, fitted.model.vocabulary)
        write_scores(run, scores, fitted)
    show(stage.dataset, scores)


def score_held_out(frames: Frames, probabilities: Mapping, vocabulary: Mapping) -> dict[str, AttributeScore]:
    """Scores on every labelled frame that is in neither train nor val."""
    held_out = with_labels(frames.where(HELD_OUT))
    rows = held_out.frame_id  # a frame's id is its row in the file
    predicted = {name: values[rows] for name, values in probabilities.items()}
    return score_attributes(attribute_codes(held_out, vocabulary), predicted, vocabulary)


def write_scores(run: Run, scores: Mapping[str, AttributeScore], fitted: Fitted) -> None:
    metrics = flat_metrics(scores) | {
        "best_epoch": fitted.best_epoch,
        "epoch_chosen_by": "val, mean balanced accuracy" if fitted.chosen_by_val else "none, the last one",
        **{f"{name}_untrained": reason for name, reason in fitted.untrained.items()},
    }
    write_text(run.out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    mean = {"balanced_acc": metrics["mean_balanced_accuracy"], "ROC_AUC": metrics["mean_roc_auc"]}
    mean = {name: round(100 * value, 2) for name, value in mean.items()}
    write_text(run.out / "mean.json", json.dumps(mean) + "\n")
    write_text(run.out / "confusion.csv", confusion_table(scores, fitted.model.vocabulary))
    run.artifact("metrics.json")
    run.summary({name: value for name, value in metrics.items() if not isinstance(value, str)})
    confusion_figure(scores, fitted.model.vocabulary).savefig(run.figure("confusion.png"), dpi=110)
    table_figure(scores).savefig(run.figure("table.png"), dpi=110)


def show(dataset: str, scores: Mapping[str, AttributeScore]) -> None:
    header, rows = table_rows(scores)
    table = Table(title=f"{dataset}: attributes on held-out frames, percent", box=SIMPLE_HEAD)
    for number, heading in enumerate(header):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    run_stage(main)
