"""DVC stage `finetune`: CLIP-ReID stage 2 of one ablation.

usage: python pipeline/finetune.py DATASET ABLATION SEED
"""

import sys

import numpy as np
from safetensors.torch import load_file
from torch import Tensor

from auxreid.clip.checkpoints import load_image_encoder, save_tower
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.training_set import training_set
from auxreid.errors import DataError
from auxreid.graph import load_study, split_of
from auxreid.tracking.curves import Curves
from auxreid.tracking.stage import stage_run


def main(dataset: str, ablation: str, seed: str) -> None:
    config = load_study()
    body, row, settings = config.datasets[dataset], config.ablations[ablation], config.finetune(dataset, ablation)
    split, prompts_key = split_of(config, dataset, int(seed)), f"{dataset}-{row.prompts}-{seed}"
    params = {
        "recipes": {body.recipe: {"finetune": settings.model_dump(mode="json")}},
        "ablations": {ablation: row.model_dump(mode="json")},
        "prompts_key": prompts_key,
    }
    key = f"{dataset}-{ablation}-{seed}"
    with stage_run("finetune", key, dataset=dataset, params=params, ablation=ablation, seed=int(seed)) as run:
        frames, identities, names = training_set(f"results/ingest/{dataset}/frames.arrow", split)
        texts = read_texts(f"results/prompts/{prompts_key}/prompts.safetensors", names)
        encoder = load_image_encoder(f"results/pretrain/{dataset}-{split}/image.safetensors")
        curves = Curves(run)
        finetune_encoder(encoder, frames, identities, texts, settings, int(seed), curves)
        save_tower(encoder, run.out / "encoder.safetensors", config.recipe(dataset).encoder, encoder.input_config)
        curves.write(run.out / "history.csv")
        run.summary(curves.last)
        run.artifact("encoder.safetensors")


def read_texts(path: str, names: np.ndarray) -> Tensor:
    """Text features [k, e] of stage 1, checked to belong to the identities `names` [k]."""
    prompts = load_file(path)
    if not np.array_equal(prompts["identities"].numpy(), names):
        raise DataError(f"{path}: holds texts of other identities than the training frames have")
    return prompts["texts"]


if __name__ == "__main__":
    main(*sys.argv[1:])
