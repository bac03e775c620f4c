"""DVC stage `prompts`: CLIP-ReID stage 1, one text feature per training identity.

usage: python pipeline/prompts.py DATASET-VARIANT-SEED
"""

from pathlib import Path

import checkout  # noqa: F401
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
from auxreid.plumbing.base.files import finished_file
from auxreid.plumbing.settings.rows import variant_needs_attributes
from auxreid.plumbing.stage.checkpoint import stage_checkpoint
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script
from auxreid.training.seeding import seed_everything


def main(stage: Stage) -> None:
    with stage.run() as run:
        training = training_set(stage.reads["frames"], stage.entry["split"], stage.reads["labels"])
        seed_everything(stage.entry["seed"])
        curves = Curves(run)
        tensors = make_texts(stage, training, run, curves)
        curves.write(run.out / "history.csv")
        with finished_file(run.out / "prompts.safetensors") as unfinished:
            save_file(tensors | {"identities": torch.tensor(training[2])}, unfinished)


def make_texts(stage: Stage, training, run: Run, curves: Curves) -> dict[str, Tensor]:
    """The texts [k, e] of a variant, and its learned tokens [k, tokens, d] where it has some."""
    prompt, precision, (frames, classes, names) = stage.settings.variant, stage.settings.precision, training
    word = frames.meta.word
    attributes = identity_attributes(frames, classes) if variant_needs_attributes(prompt) else None
    if prompt.kind == "centroids":
        return {"texts": centroids(image_features(stage.reads["image"], frames, precision), classes)}
    text = load_text_tower(stage.reads["text"])
    if prompt.kind == "attributes":
        return {"texts": encode_sentences(text, attribute_texts(prompt, word, attributes), precision=precision)}
    learner = PromptLearner(text, learner_sentences(prompt, word, len(names), attributes))
    if prompt.kind != "random":
        targets = contrastive_targets(prompt, attributes)
        features = image_features(stage.reads["image"], frames, precision)
        with stage_checkpoint(run, stage, curves) as checkpoint:
            training = classes, targets, stage.settings.prompts, curves, checkpoint, precision
            train_prompts(text, learner, features, *training)
        run.summary(curves.last)
    texts = text_features(text, learner, precision=precision)
    return {"texts": texts, "learned": learner.learned.detach().cpu().contiguous()}


def image_features(path: Path, frames, precision: str) -> Tensor:
    """f3 of the training frames [n, e], without augmentation, by the encoder of a file."""
    encoder = load_image_encoder(path)
    return encode_frames(encoder, frames, encoder.input_config, precision=precision)[2]


if __name__ == "__main__":
    run_script(main)
