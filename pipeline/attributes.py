"""DVC stage `attributes`: train the multi-task attribute classifier of a data set, score it, and predict every frame.

usage: python pipeline/attributes.py DATASET
"""

import json

import checkout  # noqa: F401
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from auxreid.attributes.figures import confusion_figure, table_figure, word_figure
from auxreid.attributes.held_out import HeldOut, score_held_out, trust_metrics
from auxreid.attributes.metrics import confusion_table, flat_metrics, word_scores
from auxreid.attributes.mistakes import mistake_figures
from auxreid.attributes.model import save_model
from auxreid.attributes.predict import predict_logits, write_predictions
from auxreid.attributes.table import table_frame, table_markdown, table_notes, table_rows
from auxreid.attributes.train import Fitted, fit
from auxreid.data.frames import open_frames
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.checkpoint import stage_checkpoint
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.launch import run_stage
from auxreid.plumbing.stage.run import Run
from auxreid.training.environment import rank

WIDEST = 200  # characters, for a table that is not cut where nobody looks at a terminal


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
        logits = predict_logits(fitted.model, frames, settings, description=description, precision=precision)
        vocabulary, calibration = fitted.model.vocabulary, fitted.model.calibration
        write_predictions(run.out / "predictions.parquet", frames.frame_id, calibration.probabilities(logits))
        held_out = score_held_out(frames, logits, vocabulary, calibration, fitted.fold_errors)
        write_scores(run, held_out, fitted)
        write_table(run, stage.dataset, held_out)
    show(stage.dataset, held_out)


def write_scores(run: Run, held_out: HeldOut, fitted: Fitted) -> None:
    scores = held_out.scores
    metrics = flat_metrics(scores) | trust_metrics(held_out) | fitted.described()
    write_text(run.out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    mean = {"balanced_acc": metrics["mean_balanced_accuracy"], "ROC_AUC": metrics["mean_roc_auc"]}
    mean = {name: round(100 * value, 2) for name, value in mean.items()}
    write_text(run.out / "mean.json", json.dumps(mean) + "\n")
    write_text(run.out / "confusion.csv", confusion_table(scores, fitted.model.vocabulary))
    run.artifact("metrics.json")
    run.summary({name: value for name, value in metrics.items() if not isinstance(value, str)})
    confusion_figure(scores, fitted.model.vocabulary).savefig(run.figure("confusion.png"), dpi=110)
    table_figure(held_out).savefig(run.figure("table.png"), dpi=110)
    word_figure(scores, fitted.model.vocabulary).savefig(run.figure("words.png"), dpi=110)
    for attribute, figure in mistake_figures(held_out):
        figure.savefig(run.figure(f"mistakes/{attribute}.png"), dpi=110)


def write_table(run: Run, dataset: str, held_out: HeldOut) -> None:
    write_text(run.out / "table.csv", table_frame(held_out).to_csv(index=False, lineterminator="\n"))
    write_text(run.out / "table.md", table_markdown(f"Attributes of {dataset}", held_out))
    words = word_scores(held_out.scores, held_out.vocabulary)
    write_text(run.out / "words.csv", words.to_csv(index=False, lineterminator="\n"))
    for name in ("table.csv", "table.md", "words.csv"):
        run.artifact(name)


def show(dataset: str, held_out: HeldOut) -> None:
    header, rows = table_rows(held_out)
    table = Table(title=f"{dataset}: attributes", caption="\n".join(table_notes(held_out)), box=SIMPLE_HEAD)
    for number, heading in enumerate(header):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=Console(width=WIDEST).measure(table).maximum).print(table)


if __name__ == "__main__":
    run_stage(main)
