"""Local descriptors: what they add to the embedding of an image, and to what is fitted before any is ranked.

    python benchmarks/local_descriptors.py [--identities 64] [--images 8]

Images are embedded by the encoder of recipe lite0, from random weights, on synthetic JPEGs: by its global feature,
which is the reference, and with descriptors at joints on two maps beside it. The shrinkage of a whitening is chosen on
features of 2048 numbers; the reference makes the whitening matrix of each candidate, and must choose alike.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from result import Asked, Row, finish, times
from sizes import read_sizes
from stage2 import PARAMS, synthetic_frames

from auxreid.clip.build import build_towers
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.descriptors.fit import fit_descriptors
from auxreid.descriptors.held_out import held_out_score
from auxreid.descriptors.whitening import SHRINKAGES, choose_shrinkage, whitening, within_spread
from auxreid.plumbing.settings.load import load_config
from auxreid.pose.predict import GRID, Poses
from auxreid.pose.table import write_keypoints

IDENTITIES, IMAGES = 64, 8
WIDTH, REPEATS = 2048, 3
JOINTS = ("nose", "neck", *(f"{side}_{part}" for part in ("hip", "knee", "ankle") for side in ("left", "right")))
ROW = "local_joints"
MOST, LEAST_RATIO = 1.5, 3


def random_joints(path: Path, frames) -> Path:
    """A keypoint table with joints anywhere in the frames."""
    places = np.random.default_rng(0).random((len(frames), len(JOINTS), 3)) * [*frames.size[0], 1]
    maps = np.zeros((len(frames), len(JOINTS) * GRID[0] * GRID[1]), np.float32)
    write_keypoints(path, JOINTS, [(frames.frame_id, Poses(places.astype(np.float32), maps))])
    return path


def shortest(run: Callable[[], object]) -> float:
    """Seconds of the shortest of some runs, after one that is not counted."""
    run()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


def embedding(frames, joints: Path, classes: np.ndarray) -> Row:
    """Milliseconds an image of both."""
    config = load_config(PARAMS)
    recipe = config.recipes["lite0"]
    torch.manual_seed(0)
    encoder, _ = build_towers(recipe.encoder, (recipe.input.height, recipe.input.width), weights=False)
    encoder.input_config = recipe.input
    rank = config.ablations[ROW].rank
    descriptors = fit_descriptors(rank, encoder, None, frames, classes, joints, recipe.precision, 0)
    plain = shortest(lambda: embed_for_ranking(encoder, None, frames, None)) / len(frames)
    local = shortest(lambda: descriptors.embed(encoder, None, frames, joints)) / len(frames)
    figures = f"{1000 * plain:.2f} ms", f"{1000 * local:.2f} ms", f"{local / plain:.2f}"
    name = f"an image embedded with local descriptors of {len(rank.maps)} maps"
    return Row(name, "its global feature", *figures, (Asked("times the reference's", local / plain, most=MOST),))


def literal_choice(features: torch.Tensor, classes: np.ndarray, score: Callable) -> float:
    """As choose_shrinkage, by a whitening matrix for each candidate."""
    halves = np.array_split(np.random.default_rng(0).permutation(int(classes.max()) + 1), 2)
    rows = [np.flatnonzero(np.isin(classes, half)) for half in halves]
    scores = dict.fromkeys(SHRINKAGES, 0.0)
    for fitted, held_out in (rows, rows[::-1]):
        spread = within_spread(features[fitted], np.unique(classes[fitted], return_inverse=True)[1])
        for shrinkage in SHRINKAGES:
            scores[shrinkage] += score(features[held_out] @ whitening(spread, shrinkage), held_out)
    return max(scores, key=lambda one: (scores[one], one))


def choice(frames, classes: np.ndarray) -> Row:
    """Seconds of both."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(int(classes.max()) + 1, WIDTH, generator=generator)
    noise = torch.randn(len(classes), WIDTH, generator=generator) * torch.linspace(0, 12, WIDTH)
    features, score = centres[classes] + noise, held_out_score(frames, classes)
    ours, theirs = choose_shrinkage(features, classes, score, 0)[0], literal_choice(features, classes, score)
    if ours != theirs:
        raise ValueError(f"shrinkage {ours} was chosen, and {theirs} by whitening matrices")
    fast = shortest(lambda: choose_shrinkage(features, classes, score, 0))
    slow = shortest(lambda: literal_choice(features, classes, score))
    name = f"a shrinkage chosen among {len(SHRINKAGES)} on {len(classes)} x {WIDTH}"
    asked = Asked("times as fast", slow / fast, least=LEAST_RATIO)
    return Row(name, "a whitening matrix each", f"{slow:.2f} s", f"{fast:.2f} s", times(slow, fast), (asked,))


def rows(identities: int = IDENTITIES, images: int = IMAGES) -> list[Row]:
    """Both rows."""
    with tempfile.TemporaryDirectory() as folder:
        frames = synthetic_frames(Path(folder, "frames.arrow"), identities, images)
        classes = np.repeat(np.arange(identities), images)
        return [
            embedding(frames, random_joints(Path(folder, "joints.parquet"), frames), classes),
            choice(frames, classes),
        ]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, identities=IDENTITIES, images=IMAGES)))
