"""DVC stage `pretrain`: the CLIP that the chain starts from, trained here on captions or imported from given weights.

usage: python pipeline/pretrain.py DATASET-SPLIT
"""

from collections.abc import Callable
from pathlib import Path

import checkout  # noqa: F401
from torch import nn

from auxreid.clip.activation import settled
from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_no_text, save_tower
from auxreid.clip.pretrain import pretrain_clip
from auxreid.clip.text_tower import TextTower
from auxreid.data.frames import Frames, open_frames
from auxreid.plumbing.settings.recipes import EncoderConfig
from auxreid.plumbing.stage.checkpoint import stage_checkpoint
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.run import Run
from auxreid.plumbing.stage.script import run_script
from auxreid.training.seeding import seed_everything

SEED = 0  # the start is shared by all seeds of the study, as given weights are


def main(stage: Stage) -> None:
    recipe = stage.settings
    with stage.run() as run:
        encoder = settled(recipe.encoder)
        seed_everything(SEED)
        image, text = build_towers(encoder, (recipe.input.height, recipe.input.width))
        image.remark = remark(encoder, bool(stage.entry["captions_of"]))
        save_tower(image, run.out / "initial.safetensors", encoder, recipe.input)
        curves = Curves(run)
        if stage.entry["captions_of"]:
            train(stage, image, text, run, curves)
        curves.write(run.out / "history.csv")
        save_tower(image, run.out / "image.safetensors", encoder, recipe.input)
        save_text(text, encoder, stage, run.out / "text.safetensors")


def remark(encoder: EncoderConfig, captions: bool) -> str:
    """What a reader of the encoder's figures must know before it is trained: whose its image weights are, and that it
    will see no caption. Nothing where they are a CLIP's, or as drawn for a CLIP that is trained next."""
    given = getattr(encoder, "checkpoint", None)
    if encoder.kind == "open_clip" or (given is None and captions):
        return ""
    weights = "image weights as initialised" if given is None else f"image weights of {Path(given).name}"
    return weights if captions else f"{weights}, no captions"


def train(
    stage: Stage,
    image: nn.Module,
    text: TextTower,
    run: Run,
    curves: Curves,
    build_branch: Callable[[Frames], nn.Module] | None = None,
) -> None:
    """Both towers in place, on the captions of the data set that the graph names, and a third one if it is built."""
    settings, frames = stage.settings.pretrain, captioned_frames(stage)
    with stage_checkpoint(run, stage, curves) as checkpoint:
        training = settings, stage.settings.input, SEED, curves, checkpoint, stage.settings.precision
        pretrain_clip(image, text, frames, *training, build_branch and build_branch(frames))
    run.summary(curves.last)
    others = stage.entry["captions_of"] != stage.dataset
    image.remark = f"pre-trained on captions of {stage.entry['captions_of']}" if others else ""


def captioned_frames(stage: Stage) -> Frames:
    """The training images of this data set's split, or of another data set's first, with predicted words if need be."""
    others, labels = stage.reads["captions"], stage.reads["labels"]
    if others is None:
        return open_frames(stage.reads["frames"], stage.entry["split"], labels).where("train")
    return open_frames(others, labels=labels).where("train")


def save_text(text: TextTower, encoder: EncoderConfig, stage: Stage, path: Path) -> None:
    """The text tower, if it has been trained or has come with the weights: as initialised, it says nothing."""
    size = stage.settings.input
    if encoder.kind == "open_clip" or stage.entry["captions_of"]:
        save_tower(text, path, encoder, size)
    else:
        save_no_text(path, encoder, size, f"{stage.dataset} has no captions to train one on")


if __name__ == "__main__":
    run_script(main)
