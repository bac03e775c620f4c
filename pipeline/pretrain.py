"""DVC stage `pretrain`: the CLIP that the chain starts from, trained here on captions or imported from given weights.

usage: python pipeline/pretrain.py DATASET SPLIT
"""

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_tower
from auxreid.clip.pretrain import pretrain_clip
from auxreid.data.frames import open_frames
from auxreid.graph import build_graph, load_study, local_inputs
from auxreid.seeding import seed_everything
from auxreid.stage_script import run_script
from auxreid.tracking.curves import Curves
from auxreid.tracking.stage import stage_run
from auxreid.tracking.stage_checkpoint import stage_checkpoint

SEED = 0  # the start is shared by all seeds of the study, as given weights are


def main(dataset: str, split: str) -> None:
    config = load_study()
    body, recipe = config.datasets[dataset], config.recipe(dataset)
    sections = recipe.model_dump(mode="json", include={"input", "encoder", "pretrain"})
    key, source = f"{dataset}-{split}", f"results/ingest/{dataset}/frames.arrow"
    with stage_run("pretrain", key, dataset=dataset, params={"recipes": {body.recipe: sections}}) as run:
        frames = open_frames(source, int(split)).where("train")
        seed_everything(SEED)
        image, text = build_towers(recipe.encoder, (recipe.input.height, recipe.input.width))
        save_tower(image, run.out / "initial.safetensors", recipe.encoder, recipe.input)
        curves = Curves(run)
        if recipe.pretrain is not None:
            inputs = [source, *local_inputs(build_graph(config)["pretrain"][key])]
            with stage_checkpoint(run, __file__, inputs, curves) as checkpoint:
                pretrain_clip(image, text, frames, recipe.pretrain, recipe.input, SEED, curves, checkpoint)
            run.summary(curves.last)
        save_tower(image, run.out / "image.safetensors", recipe.encoder, recipe.input)
        save_tower(text, run.out / "text.safetensors", recipe.encoder, recipe.input)


if __name__ == "__main__":
    run_script(main)
