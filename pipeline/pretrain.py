"""DVC stage `pretrain`: the CLIP that the chain starts from, trained here on captions or imported from given weights.

usage: python pipeline/pretrain.py DATASET-SPLIT
"""

import checkout  # noqa: F401

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_tower
from auxreid.clip.pretrain import pretrain_clip
from auxreid.data.frames import open_frames
from auxreid.plumbing.stage.checkpoint import stage_checkpoint
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script
from auxreid.training.seeding import seed_everything

SEED = 0  # the start is shared by all seeds of the study, as given weights are


def main(stage: Stage) -> None:
    recipe = stage.settings
    with stage.run() as run:
        frames = open_frames(stage.reads["frames"], stage.entry["split"]).where("train")
        seed_everything(SEED)
        image, text = build_towers(recipe.encoder, (recipe.input.height, recipe.input.width))
        save_tower(image, run.out / "initial.safetensors", recipe.encoder, recipe.input)
        curves = Curves(run)
        if recipe.pretrain is not None:
            with stage_checkpoint(run, stage, curves) as checkpoint:
                training = recipe.pretrain, recipe.input, SEED, curves, checkpoint, recipe.precision
                pretrain_clip(image, text, frames, *training)
            run.summary(curves.last)
        save_tower(image, run.out / "image.safetensors", recipe.encoder, recipe.input)
        save_tower(text, run.out / "text.safetensors", recipe.encoder, recipe.input)


if __name__ == "__main__":
    run_script(main)
