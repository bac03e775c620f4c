"""The stage that mlflow_gone.py measures: stage 2 of the demo's encoder on synthetic pictures, under a record.

    python benchmarks/mlflow_gone_stage.py ROOT KEY EPOCHS PATIENCE

ROOT holds frames.arrow; the record goes to ROOT/results. PATIENCE: seconds until live logging begins.
"""

import sys
from pathlib import Path

import torch

from auxreid.clip.build import build_towers
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.stage2_losses import Supervision
from auxreid.data.frames import open_frames
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.stage import live
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.run import stage_run

PARAMS = Path(__file__).parents[1] / "params.yaml"
RECIPE, DATASET, STAGE = "sample_people", "mlflow_gone", "training"


def main(root: str, key: str, epochs: str, patience: str) -> None:
    """Trains from random weights against random texts; the same in every situation."""
    live.PATIENCE = float(patience)
    recipe, frames = load_config(PARAMS).recipes[RECIPE], open_frames(Path(root) / "frames.arrow")
    settings = recipe.finetune.model_copy(update={"epochs": int(epochs)})
    torch.manual_seed(0)
    encoder, _ = build_towers(recipe.encoder, (recipe.input.height, recipe.input.width), weights=False)
    encoder.input_config = recipe.input
    identities = frames.identity - 1
    texts = torch.randn(int(identities.max()) + 1, encoder.dims[2])
    params = {"recipes": {RECIPE: {"finetune": settings.model_dump(mode="json")}}}
    with stage_run(STAGE, key, dataset=DATASET, params=params, root=Path(root) / "results") as run:
        curves = Curves(run)
        finetune_encoder(encoder, frames, identities, Supervision(texts), settings, 0, curves)
        run.summary(curves.last)


if __name__ == "__main__":
    main(*sys.argv[1:])
