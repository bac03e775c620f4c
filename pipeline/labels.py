"""DVC stage `labels`: the attributes of a data set that has none, as another data set's classifier predicts them.

usage: python pipeline/labels.py DATASET
"""

import json

import checkout  # noqa: F401
import torch

from auxreid.attributes.label_report import label_report, report_figures, report_lines
from auxreid.attributes.model import load_model
from auxreid.attributes.predict import predict
from auxreid.data.frames import open_frames
from auxreid.data.labels import write_labels
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script


def main(stage: Stage) -> None:
    by, device = stage.entry["model_of"], torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with stage.run() as run:
        frames = open_frames(stage.reads["frames"])
        model, spec = load_model(stage.reads["model"])
        description = f"attributes of {stage.dataset} by {by}"
        precision = stage.settings.precision
        probabilities = predict(model.to(device), frames, spec, description=description, precision=precision)
        write_labels(run.out / "labels.parquet", by, model.vocabulary, frames.frame_id, probabilities)
        report = label_report(frames, by, model.vocabulary, probabilities)
        write_text(run.out / "report.json", json.dumps(report, indent=2) + "\n")
        print("\n".join(report_lines(report)))
        run.summary(report_figures(report))
        run.artifact("report.json")


if __name__ == "__main__":
    run_script(main)
