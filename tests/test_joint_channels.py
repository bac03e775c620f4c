"""Heat maps as further channels: what they hold, when they are left out, what rebuilds them, and ranking with them."""

import numpy as np
import pytest
import torch
from joint_study import (
    CLASSES,
    HEIGHT,
    WIDTH,
    equal_weights,
    idea,
    joint_frames,
    settings_of,
    tower,
    train,
)
from pydantic import ValidationError
from torch.nn import functional as F

from auxreid.clip.checkpoints import AuxiliaryHeader, load_ranked_encoder, save_tower
from auxreid.clip.embed import encode_frames
from auxreid.clip.images import PADDING, PLAIN, View
from auxreid.clip.maps import captured
from auxreid.clipreid.fused_embedding import embed_for_ranking
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.pose.joint_places import open_places
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints

BLOCK = {"kind": "joint_channels", "sigma": 0.1, "left_out": 0.25, "weight": 0.5, "shuffled": False, "blank": False}
BLANK = BLOCK | {"blank": True}
ROWS, PLAINS = np.arange(9), [PLAIN] * 9


@pytest.fixture
def data(tmp_path):
    return joint_frames(tmp_path)


def noise(count: int = 9) -> torch.Tensor:
    return torch.randn(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shuffled", [False, True])
def test_channels_are_those_of_a_loop_over_pixels(data, shuffled):
    added = idea(BLOCK | {"shuffled": shuffled}, data, tower()).eval()
    rows, views = np.array([5, 2]), [PLAIN, View(True, PADDING - 3, PADDING + 2)]
    images = noise(2)
    found = added.images(images, added.inputs(rows, views))
    assert found.shape == (2, 6, HEIGHT, WIDTH) and torch.equal(found[:, :3], images)
    places = open_places(data[1], data[0], (HEIGHT, WIDTH), "other" if shuffled else "own", 0)(rows, views).numpy()
    for image in range(2):
        for joint in range(3):
            x, y, height = places[image, joint] * [WIDTH, HEIGHT, 1]
            for row, column in [(0, 0), (13, 7), (40, 31), (63, 16)]:
                squared = (row + 0.5 - y) ** 2 + (column + 0.5 - x) ** 2
                expected = height * np.exp(-squared / (2 * (0.1 * HEIGHT) ** 2))
                assert found[image, 3 + joint, row, column].item() == pytest.approx(expected, abs=1e-5)


def test_the_encoder_begins_as_it_was(data):
    before, encoder = tower().eval(), tower().eval()
    added = idea(BLOCK, data, encoder).eval()
    changed = encoder(added.images(noise(), added.inputs(ROWS, PLAINS)))
    for ours, theirs in zip(changed, before(noise()), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_an_encoder_that_has_channels_already_is_no_start(data):
    encoder = tower()
    idea(BLOCK, data, encoder)
    with pytest.raises(ConfigError, match="name another start"):
        idea(BLOCK, data, encoder)


def test_a_quarter_of_the_training_images_comes_without_in_whatever_batches(data):
    added = idea(BLOCK, data, tower())
    rows = np.arange(9).repeat(441)
    views = [View(False, top, left) for _ in range(9) for top in range(21) for left in range(21)]
    given = added.given(rows, views)
    assert 0.73 < given.mean() < 0.77
    np.testing.assert_array_equal(added.given(rows[-500:], views[-500:]), given[-500:])
    assert added.eval().given(rows, views).all()
    without = added.train().images(noise(1), added.inputs(rows[:1], [views[int(np.argmin(given[:441]))]]))
    assert not without[:, 3:].any()


def test_blank_channels_are_empty_in_training_and_at_test(data):
    added = idea(BLANK, data, tower())
    for _ in range(2):
        assert not added.images(noise(), added.inputs(ROWS, PLAINS))[:, 3:].any()
        added.eval()


def test_the_reconstruction_is_measured_by_the_mean_channels_of_each_cell(data):
    encoder = tower()
    added = idea(BLOCK | {"left_out": 1.0}, data, encoder)
    known = added.inputs(ROWS, PLAINS)
    with captured(encoder, added.maps) as maps:
        features = encoder(added.images(noise(), known))
    seen = added.observe(features, maps, known)
    _, terms = added(features, seen, torch.from_numpy(CLASSES))
    full = added.eval().images(noise(), added.inputs(ROWS, PLAINS))[:, 3:]
    wanted = F.avg_pool2d(full, 16)  # the late map has stride 16
    layer = added.reconstruct
    root = wanted.square().mean().sqrt()
    found = torch.einsum("bdhw,jd->bjhw", maps["late"], layer.weight[..., 0, 0]) + layer.bias[:, None, None]
    missed = root * found - wanted
    torch.testing.assert_close(terms["reconstruction"], missed.square().sum() / wanted.square().sum())
    torch.testing.assert_close(terms["loss"], 0.5 * terms["reconstruction"])
    terms["loss"].backward()
    assert encoder.visual.conv1.weight.grad[:, :3].abs().max() > 0
    assert not encoder.visual.conv1.weight.grad[:, 3:].any()  # all were left out


def test_the_channels_are_learned_from(data):
    encoder, _, curve = train(BLOCK, data)
    assert encoder.visual.conv1.weight[:, 3:].abs().min() > 0 and "reconstruction" in curve[0]


def test_blank_without_a_loss_trains_the_encoder_as_without_it(data):
    alone, _, _ = train(None, data)
    blank, _, _ = train(BLANK | {"weight": 0.0}, data)
    ours, theirs = blank.state_dict(), alone.state_dict()
    assert not ours["visual.conv1.weight"][:, 3:].any()
    ours["visual.conv1.weight"] = ours["visual.conv1.weight"][:, :3]
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, atol=2e-3, rtol=2e-2)  # sums of other lengths, six steps of Adam


def test_equal_seeds_give_equal_weights(data):
    (first, ours, _), (second, theirs, _) = train(BLOCK, data), train(BLOCK, data)
    assert equal_weights(first, second) and equal_weights(ours, theirs)


def saved(block, data, path):
    """The trained network's file, as a row writes it, and the network."""
    encoder, added, _ = train(block, data)
    header = AuxiliaryHeader(config=settings_of(block), facts=added.facts)
    save_tower(encoder, path, encoder.encoder_config, encoder.input_config, (added, header))
    return encoder, added


@pytest.mark.parametrize("block", [BLOCK, BLOCK | {"shuffled": True}])
def test_its_file_ranks_with_channels_as_the_network_that_was_trained(data, tmp_path, block):
    encoder, added = saved(block, data, tmp_path / "encoder.safetensors")
    found = embed_for_ranking(*load_ranked_encoder(tmp_path / "encoder.safetensors"), data[0], data[1])
    added.eval()
    around = lambda encode: lambda images, rows: encode(added.images(images, added.inputs(rows, PLAINS)), rows)  # noqa: E731
    _, f2, f3 = encode_frames(encoder, data[0], encoder.input_config, around=around)
    np.testing.assert_allclose(found, F.normalize(torch.cat([f2, f3], dim=1), dim=1), atol=1e-5)


def test_blank_ranks_without_joints_and_others_refuse_those_of_another_kind(data, tmp_path):
    saved(BLANK, data, tmp_path / "blank.safetensors")
    assert len(embed_for_ranking(*load_ranked_encoder(tmp_path / "blank.safetensors"), data[0], None)) == 9
    saved(BLOCK, data, tmp_path / "encoder.safetensors")
    poses = Poses(np.ones((9, 2, 3), np.float32), np.zeros((9, 64), np.float32))
    write_keypoints(tmp_path / "dogs.parquet", ("nose", "tail"), [(np.arange(9), poses)])
    with pytest.raises(DataError, match=r"dogs\.parquet: has the joints nose, tail; trained with neck, left_hip"):
        embed_for_ranking(*load_ranked_encoder(tmp_path / "encoder.safetensors"), data[0], tmp_path / "dogs.parquet")


def test_what_it_needs_is_decided_by_its_keys():
    assert settings_of(BLOCK).needs_pose and settings_of(BLOCK).ranks_pose
    assert settings_of(BLANK).needs_pose and not settings_of(BLANK).ranks_pose
    with pytest.raises(ValidationError, match="use shuffled: false"):
        settings_of(BLANK | {"weight": 0.0, "shuffled": True})
