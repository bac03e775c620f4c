"""Pre-training of a small CLIP on captions, and the fold of its logit scale."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from auxreid.clip.build import build_towers
from auxreid.clip.embed import encode_frames
from auxreid.clip.frame_captions import FrameCaptions
from auxreid.clip.pretrain import fold_scale, pretrain_clip
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.data.vocabulary import DOG_TELLING
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.recipes import InputConfig, PretrainConfig, ResNetEncoderConfig, TextConfig
from auxreid.training.seeding import seed_everything

INPUT = InputConfig(height=32, width=32, mean=(0.5,) * 3, std=(0.5,) * 3)
TEXT = TextConfig(width=32, heads=2, layers=1)
ENCODER = ResNetEncoderConfig(kind="resnet", width=8, layers=(1, 1, 1, 1), embed_dim=16, text=TEXT)
SETTINGS = PretrainConfig(epochs=8, batch_size=8, lr=2e-3, image_lr_factor=1.0, weight_decay=0.0, warmup_epochs=1)
COLORS = {"black": (20, 20, 20), "white": (240, 240, 240)}


@pytest.fixture
def frames(tmp_path):
    """Dogs that are black or white squares, and one of which nothing is known."""
    import cv2

    rng = np.random.default_rng(0)
    rows = []
    for number in range(33):
        color = ["black", "white", None][2 if number == 32 else number % 2]
        pixels = np.clip(np.array(COLORS.get(color, (128,) * 3)) + rng.normal(0, 8, (32, 32, 3)), 0, 255)
        image = cv2.imencode(".png", pixels.astype(np.uint8))[1].tobytes()
        rows.append({"path": f"{number}.png", "split": "train", "identity": number + 1, "width": 32, "height": 32})
        rows[-1] |= {"image": image, "attr_color": color}
    meta = FramesMeta("squares", "dogs", "dogs", "dog", attributes={"color": list(COLORS)}, telling=DOG_TELLING)
    write_frames(tmp_path / "frames.arrow", rows, meta)
    return open_frames(tmp_path / "frames.arrow")


def keep_loss(curve, metrics, epoch):
    curve.append(metrics["loss"])


def test_captions_are_made_where_something_is_known(frames):
    captions = FrameCaptions(frames)
    assert len(captions.rows) == 32 and 32 not in captions.rows
    assert captions.full(0) == "a photo of a black dog"


def test_a_data_set_without_attributes_is_named(frames):
    with pytest.raises(DataError, match=r"squares: .*none of 1 frames has one"):
        FrameCaptions(frames.take([32]))


def test_training_brings_images_to_their_captions_and_is_repeatable(frames):
    losses, weights = [], []
    for _ in range(2):
        seed_everything(0)
        image, text = build_towers(ENCODER, (32, 32))
        curve: list[float] = []
        pretrain_clip(image, text, frames, SETTINGS, INPUT, 0, partial(keep_loss, curve))
        losses.append(curve)
        weights.append(torch.cat([p.detach().flatten() for p in image.parameters()]))
    assert losses[0][-1] < losses[0][0]
    assert torch.equal(weights[0], weights[1]) and losses[0] == losses[1]


def test_folding_sets_the_mean_norms_so_that_dot_products_have_the_scale(frames):
    seed_everything(0)
    image, text = build_towers(ENCODER, (32, 32))
    captions = FrameCaptions(frames)
    before = encode_frames(image, frames, INPUT)[2]
    fold_scale(image, text, frames, captions, INPUT, 25.0)
    after = encode_frames(image, frames, INPUT)[2]
    assert after[captions.rows].norm(dim=1).mean().item() == pytest.approx(math.sqrt(25.0), rel=1e-4)
    torch.testing.assert_close(after / after.norm(dim=1, keepdim=True), before / before.norm(dim=1, keepdim=True))


def test_embeddings_are_f2_and_f3_normalised(frames):
    image, _ = build_towers(ENCODER, (32, 32))
    image.input_config = INPUT
    _, f2, f3 = encode_frames(image, frames, INPUT, batch_size=7)
    joined = torch.cat([f2, f3], dim=1).numpy()
    expected = joined / np.linalg.norm(joined, axis=1, keepdims=True)
    np.testing.assert_allclose(embed_for_ranking(image, None, frames, "none"), expected, rtol=1e-4, atol=1e-6)
