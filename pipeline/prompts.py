"""DVC stage `prompts`: CLIP-ReID stage 1, one text feature per training identity.

usage: python pipeline/prompts.py DATASET VARIANT SEED
"""

import torch
from safetensors.torch import save_file
from torch import Tensor

from auxreid.clip.checkpoints import load_image_encoder, load_text_tower
from auxreid.clip.embed import encode_frames
from auxreid.clipreid.identity_attributes import identity_attributes
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import text_features, train_prompts
from auxreid.clipreid.training_set import training_set
from auxreid.clipreid.variants import (
    attribute_texts,
    centroids,
    contrastive_targets,
    encode_sentences,
    learner_sentences,
)
from auxreid.config import variant_needs_attributes
from auxreid.files import finished_file
from auxreid.graph import build_graph, load_study, split_of
from auxreid.seeding import seed_everything
from auxreid.stage_script import run_script
from auxreid.tracking.curves import Curves
from auxreid.tracking.stage import Run, stage_run
from auxreid.tracking.stage_checkpoint import stage_checkpoint


def main(dataset: str, variant: str, seed: str) -> None:
    config = load_study()
    recipe, prompt, key = config.recipe(dataset), config.prompts[variant], f"{dataset}-{variant}-{seed}"
    params = {
        "recipes": {config.datasets[dataset].recipe: {"prompts": recipe.prompts.model_dump(mode="json")}},
        "prompts": {variant: prompt.model_dump(mode="json")},
    }
    with stage_run("prompts", key, dataset=dataset, params=params, seed=int(seed)) as run:
        split = split_of(config, dataset, int(seed))
        files = build_graph(config)["prompts"][key] | {"frames": f"results/ingest/{dataset}/frames.arrow"}
        training = training_set(files["frames"], split)
        seed_everything(int(seed))
        tensors = make_texts(prompt, recipe.prompts, training, files, run)
        with finished_file(run.out / "prompts.safetensors") as unfinished:
            save_file(tensors | {"identities": torch.tensor(training[2])}, unfinished)


def make_texts(prompt, settings, training, files: dict, run: Run) -> dict[str, Tensor]:
    """The texts [k, e] of a variant, and its learned tokens [k, tokens, d] where it has some."""
    frames, classes, names = training
    word, text = frames.meta.word, load_text_tower(files["text"])
    attributes = identity_attributes(frames, classes) if variant_needs_attributes(prompt) else None
    if prompt.kind == "attributes":
        return {"texts": encode_sentences(text, attribute_texts(prompt, word, attributes))}
    if prompt.kind == "centroids":
        return {"texts": centroids(image_features(files["image"], frames), classes)}
    learner = PromptLearner(text, learner_sentences(prompt, word, len(names), attributes))
    if prompt.kind != "random":
        curves, targets = Curves(run), contrastive_targets(prompt, attributes)
        features = image_features(files["image"], frames)
        inputs = [files[name] for name in ("frames", "image", "text")]
        with stage_checkpoint(run, __file__, inputs, curves) as checkpoint:
            train_prompts(text, learner, features, torch.from_numpy(classes), targets, settings, curves, checkpoint)
        run.summary(curves.last)
    return {"texts": text_features(text, learner), "learned": learner.learned.detach().cpu().contiguous()}


def image_features(path: str, frames) -> Tensor:
    """f3 of the training frames [n, e], without augmentation, by the encoder of a file."""
    encoder = load_image_encoder(path)
    return encode_frames(encoder, frames, encoder.input_config)[2]


if __name__ == "__main__":
    run_script(main)
