"""DVC stage `pretrain_branch`: as `pretrain`, with a third tower beside image and text, which is left behind.

usage: python pipeline/pretrain_branch.py DATASET-SPLIT-PRETRAINING
"""

from functools import partial

import checkout  # noqa: F401
import numpy as np
from pretrain import SEED, save_text, train
from torch import nn

from auxreid.clip.activation import settled
from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_tower
from auxreid.clip.pretrain_branch import AttributeTower, AttributeWords, Branch, PoseTower
from auxreid.data.frames import Frames
from auxreid.data.labels import individuals
from auxreid.plumbing.stage.curves import Curves
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import run_script
from auxreid.pose.joint_places import another, open_places
from auxreid.training.seeding import seed_everything


def main(stage: Stage) -> None:
    recipe = stage.settings
    with stage.run() as run:
        encoder = settled(recipe.encoder)
        seed_everything(SEED)
        image, text = build_towers(encoder, (recipe.input.height, recipe.input.width))  # as drawn for the plain one
        curves = Curves(run)
        train(stage, image, text, run, curves, partial(build_branch, stage, image.dims[2]))
        curves.write(run.out / "history.csv")
        save_tower(image, run.out / "image.safetensors", encoder, recipe.input)
        save_text(text, encoder, stage, run.out / "text.safetensors")


def build_branch(stage: Stage, embed_dim: int, frames: Frames) -> Branch:
    """The third tower that the stage's block asks for, on the frames that are trained on.

    Raises:
        DataError: one of them has no joints.
    """
    config, size = stage.settings.pretraining, stage.settings.input
    seed_everything(SEED)  # its weights
    if config.branch == "pose":
        whose = "other" if config.shuffled else "own"
        known = open_places(stage.reads["pose"], frames, (size.height, size.width), whose, SEED)
        tower: nn.Module = PoseTower(len(known.joints), config.width, embed_dim)
    else:
        vocabulary = frames.meta.attributes
        codes = np.stack([frames.attribute_codes(name) for name in vocabulary], axis=1)  # [n, A]
        known = AttributeWords(codes[of_others(frames)] if config.shuffled else codes, [*map(len, vocabulary.values())])
        tower = AttributeTower(known.count, config.width, embed_dim)
    return Branch(tower, known, config.weight)


def of_others(frames: Frames) -> np.ndarray:
    """For each frame a frame of another individual, the same one for all of one individual's; int64 [n]."""
    whose = individuals(frames.identity, frames.split)
    _, first = np.unique(whose, return_index=True)
    return first[another(len(first), SEED)[whose]]


if __name__ == "__main__":
    run_script(main)
