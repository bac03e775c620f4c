"""DVC stage `pretrain`: the CLIP that the chain starts from, trained here on captions or imported from given weights.

usage: python pipeline/pretrain.py DATASET SPLIT
"""

import sys

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_tower
from auxreid.clip.pretrain import pretrain_clip
from auxreid.data.frames import open_frames
from auxreid.graph import load_study
from auxreid.seeding import seed_everything
from auxreid.tracking.curves import Curves
from auxreid.tracking.stage import stage_run

SEED = 0  # the start is shared by all seeds of the study, as given weights are


def main(dataset: str, split: str) -> None:
    config = load_study()
    body, recipe = config.datasets[dataset], config.recipe(dataset)
    sections = recipe.model_dump(mode="json", include={"input", "encoder", "pretrain"})
    with stage_run(
        "pretrain", f"{dataset}-{split}", dataset=dataset, params={"recipes": {body.recipe: sections}}
    ) as run:
        frames = open_frames(f"results/ingest/{dataset}/frames.arrow", int(split)).where("train")
        seed_everything(SEED)
        image, text = build_towers(recipe.encoder, (recipe.input.height, recipe.input.width))
        save_tower(image, run.out / "initial.safetensors", recipe.encoder, recipe.input)
        curves = Curves(run)
        if recipe.pretrain is not None:
            pretrain_clip(image, text, frames, recipe.pretrain, recipe.input, SEED, curves)
            run.summary(curves.last)
        save_tower(image, run.out / "image.safetensors", recipe.encoder, recipe.input)
        save_tower(text, run.out / "text.safetensors", recipe.encoder, recipe.input)


if __name__ == "__main__":
    main(*sys.argv[1:])
