"""DVC stage `prompts`: CLIP-ReID stage 1, one text feature per training identity.

usage: python pipeline/prompts.py DATASET VARIANT SEED
"""

import sys

import torch
from safetensors.torch import save_file

from auxreid.clip.checkpoints import load_image_encoder, load_text_tower
from auxreid.clip.embed import encode_frames
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import text_features, train_prompts
from auxreid.clipreid.training_set import training_set
from auxreid.graph import load_study, split_of
from auxreid.seeding import seed_everything
from auxreid.tracking.curves import Curves
from auxreid.tracking.stage import stage_run


def main(dataset: str, variant: str, seed: str) -> None:
    config = load_study()
    body, recipe, prompt = config.datasets[dataset], config.recipe(dataset), config.prompts[variant]
    split = split_of(config, dataset, int(seed))
    params = {
        "recipes": {body.recipe: {"prompts": recipe.prompts.model_dump(mode="json")}},
        "prompts": {variant: prompt.model_dump(mode="json")},
    }
    key = f"{dataset}-{variant}-{seed}"
    with stage_run("prompts", key, dataset=dataset, params=params, seed=int(seed)) as run:
        start = f"results/pretrain/{dataset}-{split}"
        frames, identities, names = training_set(f"results/ingest/{dataset}/frames.arrow", split)
        text = load_text_tower(f"{start}/text.safetensors")
        seed_everything(int(seed))
        prompts = PromptLearner(text, len(names), body.word, prompt.tokens)
        if prompt.kind == "learned":
            encoder = load_image_encoder(f"{start}/image.safetensors")
            features = encode_frames(encoder, frames, encoder.input_config)[2]
            curves = Curves(run)
            train_prompts(text, prompts, features, torch.from_numpy(identities), recipe.prompts, curves)
            run.summary(curves.last)
        tensors = {
            "identities": torch.tensor(names),
            "texts": text_features(text, prompts),
            "learned": prompts.learned.detach().cpu().contiguous(),
        }
        save_file(tensors, run.out / "prompts.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
