"""DVC stage `search`: how evidence is weighed in the search of a data set, fitted on dogs that no network knows.

usage: python pipeline/search.py DATASET
"""

import json
from pathlib import Path

import checkout  # noqa: F401
import numpy as np

from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script
from auxreid.search.calibration_dogs import calibration_set
from auxreid.search.fit import fit_fusion
from auxreid.search.fusion import Fusion
from auxreid.search.looks import Looks
from auxreid.search.rows import IndexRows, read_rows, rows_file

RESULTS = Path("results")


def main(stage: Stage) -> None:
    seeds, splits = stage.entry["seeds"], stage.entry["splits"]
    with stage.run(rows=[stage.entry["row"]]) as run:
        rows = {seed: read_rows(rows_file(RESULTS, stage.dataset, seed)) for seed in seeds}
        frames = {seed: open_frames(stage.reads["frames"], split) for seed, split in zip(seeds, splits, strict=True)}
        fusions = {seed: fitted(stage, frames[seed], rows[seed]) for seed in seeds}
        write_text(run.out / "fusion.json", fusions[seeds[0]].to_json())
        metrics = summary(fusions[seeds[0]])
        write_text(run.out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
        run.artifact("fusion.json")
        run.summary(metrics)


def fitted(stage: Stage, frames: Frames, rows: IndexRows) -> Fusion:
    """The fusion of a seed, from dogs that neither its embedding nor the attribute classifier has learnt from."""
    looks = rows.looks if rows.held_out is None else Looks(rows.held_out, rows.looks.probabilities)
    learnt = (frames.split == "train") & (frames.identity > 0) if stage.entry["kind"] == "row" else None
    known = calibration_set(
        frames,
        looks,
        rows.header.vocabulary,
        cross_validated=stage.settings.attributes.folds is not None,
        embedding_learnt=learnt,
        fold=rows.fold,
    )
    return fit_fusion(known, rows.header.model, rows.header.seed)


def summary(fusion: Fusion) -> dict[str, float]:
    """Numbers of the fit: on how many dogs and pairs, and the weights."""
    numbers = {name: value for name, value in fusion.about.items() if isinstance(value, int | float)}
    weights = {f"weight.{name}": value for name, value in fusion.weights.items()}
    return {f"fit.{name}": round(float(value), 6) for name, value in (numbers | weights).items() if np.isfinite(value)}


if __name__ == "__main__":
    run_script(main)
