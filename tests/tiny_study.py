"""A study small enough to be run in a test: params.yaml with a recipe that takes a second, and what its stages read."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from params import ROOT, raw_params, write_params
from small_frames import small_frames

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import save_tower
from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.graph.sources import write_sources
from auxreid.plumbing.graph.table import build_graph, write_graph
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.stage.instance import open_stage
from auxreid.pose.architecture import PoseSpec, build
from auxreid.pose.checkpoint import save_checkpoint
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints

DATASET, IDENTITIES, IMAGES = "sample_people", 6, 4
HEIGHT, WIDTH = 64, 32
JOINTS = ("neck", "left_hip", "right_hip")


def run(name: str, key: str) -> None:
    """A script of pipeline/ on the study of the current folder."""
    importlib.import_module(name).main(open_stage(name, key, ROOT))


def write_study(params: dict, checkout: Path = ROOT) -> Config:
    """Make the current folder one that the scripts of a checkout run in: params.yaml and what is made of it."""
    write_params(Path("params.yaml"), params)
    config = load_config()
    write_graph(config)
    write_sources(checkout)
    return config


def run_study(folder: Path, params: dict, write_inputs: Callable[[], None], stages: Sequence[str]) -> Path:
    """A study in this folder, of which all scripts of these stages have run, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUXREID_LIVE", "off")
        patch.syspath_prepend(str(ROOT / "pipeline"))
        config = write_study(params)
        write_inputs()
        for stage in stages:
            for key in build_graph(config)[stage]:
                run(stage, key)
    return folder


def tiny_params() -> dict:
    """params.yaml with a recipe that takes a second, and no data set but the sample's people."""
    raw = raw_params()
    raw["study"] = {"datasets": [DATASET], "seeds": [0], "rows": None}
    raw["recipes"] = {DATASET: raw["recipes"][DATASET]}
    raw["datasets"] = {DATASET: raw["datasets"][DATASET]}
    recipe = raw["recipes"][DATASET]
    recipe["input"] |= {"height": HEIGHT, "width": WIDTH}
    recipe["encoder"] |= {"width": 4, "embed_dim": 8, "text": {"width": 16, "heads": 2, "layers": 1}}
    recipe["pretrain"] |= {"batch_size": 8}
    recipe["prompts"] |= {"epochs": 2, "warmup_epochs": 1, "batch_size": 12, "lr": 0.1}
    recipe["finetune"] |= {"epochs": 1, "identities": 4, "instances": 2, "milestones": [2], "warmup_epochs": 0}
    recipe["finetune"]["max_epoch_factor"] = None
    return raw


def person(number: int) -> dict[str, str]:
    """27 words; the first two people have the same."""
    rng = np.random.default_rng(max(number, 1))
    return {name: words[rng.integers(len(words))] for name, words in PERSON_ATTRIBUTES.items()}


def write_inputs(config: Config) -> None:
    """What the stages before the rows leave: frames, towers, keypoints, an HRNet."""
    identities = np.repeat(np.arange(1, IDENTITIES + 1), IMAGES)
    words = {number + 1: person(number) for number in range(IDENTITIES)}
    path = Path(f"results/ingest/{DATASET}/frames.arrow")
    small_frames(path, identities.tolist(), size=(WIDTH, HEIGHT), vocabulary=PERSON_ATTRIBUTES, words=words)
    recipe, towers = config.recipe(DATASET), Path(f"results/pretrain/{DATASET}-0")
    towers.mkdir(parents=True)
    torch.manual_seed(1)
    first, _ = build_towers(recipe.encoder, (HEIGHT, WIDTH))
    save_tower(first, towers / "initial.safetensors", recipe.encoder, recipe.input)
    torch.manual_seed(0)
    image, text = build_towers(recipe.encoder, (HEIGHT, WIDTH))
    save_tower(image, towers / "image.safetensors", recipe.encoder, recipe.input)
    save_tower(text, towers / "text.safetensors", recipe.encoder, recipe.input)
    rng, count = np.random.default_rng(0), len(identities)
    points = rng.random((count, len(JOINTS), 3), np.float32) * [WIDTH, HEIGHT, 1]
    keypoints = Path(f"results/keypoints/{DATASET}/keypoints.parquet")
    keypoints.parent.mkdir(parents=True)
    poses = Poses(points.astype(np.float32), rng.random((count, len(JOINTS) * 32), np.float32))
    write_keypoints(keypoints, JOINTS, [(np.arange(count), poses)])
    spec = PoseSpec("small", JOINTS, (), height=HEIGHT, width=WIDTH, padding=1.0, source="test")
    hrnet = Path(f"results/pose/{DATASET}/hrnet.safetensors")
    hrnet.parent.mkdir(parents=True)
    save_checkpoint(build(spec), spec, hrnet)
