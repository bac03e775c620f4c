"""The pose of an image as it is seen: mirrored coordinates and heat maps, rows by frame, and the HRNet that drifts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_frames import small_frames

from auxreid.clipreid.pose_inputs import DriftingHRNet, HeatMaps, Keypoints, open_pose
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.rows import PoseFusionConfig
from auxreid.pose.architecture import PoseSpec, build
from auxreid.pose.checkpoint import load_checkpoint, save_checkpoint
from auxreid.pose.predict import Poses, pose_embedding
from auxreid.pose.table import KeypointTable, write_keypoints

JOINTS = ("head", "left_hand", "right_hand")
SWAPPED = [0, 2, 1]
POINTS = np.array([[[4, 8, 1], [2, 16, 0.5], [12, 24, 0.1]], [[0, 0, 1], [16, 32, 1], [8, 4, 1]]], np.float32)


@pytest.fixture
def frames(tmp_path):
    """Frames 0 and 1, 16 wide and 32 high."""
    return small_frames(tmp_path / "frames.arrow", [1, 2], size=(16, 32))


def table(points: np.ndarray = POINTS, maps: np.ndarray | None = None, frame_id=(0, 1)) -> KeypointTable:
    maps = np.zeros((len(points), 96), np.float32) if maps is None else maps
    return KeypointTable(JOINTS, np.array(frame_id), points, maps)


def pose_config(**changes) -> PoseFusionConfig:
    body = {"source": "keypoints", "normalisation": "none", "swap_joints": True, "detach_norm": True}
    return PoseFusionConfig(**(body | {"supervise": "fused", "rank": "image"} | changes))


# --- keypoints


@pytest.mark.parametrize(
    ("swap", "mirrored"),
    [
        (
            False,
            [0.75, 0.25, 0.875, 0.5, 0.25, 0.75],
        ),  # the thesis's flaw: the left hand's x is mirrored, and its name kept
        (True, [0.75, 0.25, 0.25, 0.75, 0.875, 0.5]),  # what was the right hand is a left hand in the mirror
    ],
)
def test_mirrored_keypoints_by_hand(frames, swap, mirrored):
    found = Keypoints(table(), frames, swap, "table")(np.array([0, 1, 0]), np.array([False, False, True]))
    plain = [0.25, 0.25, 0.125, 0.5, 0.75, 0.75]  # shares of the width and the height
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([plain, [0, 0, 1, 1, 0.5, 0.125], mirrored]))


def test_each_image_is_measured_by_its_own_size(tmp_path):
    small_frames(tmp_path / "a.arrow", [1], size=(16, 32))
    frames = small_frames(tmp_path / "b.arrow", [1], size=(40, 64))
    found = Keypoints(table(POINTS[:1], frame_id=[0]), frames, True, "table")(np.array([0]), np.array([False]))
    np.testing.assert_allclose(found, [[4 / 40, 8 / 64, 2 / 40, 16 / 64, 12 / 40, 24 / 64]], rtol=1e-6)


@given(st.integers(0, 2**31), st.booleans())
def test_mirroring_twice_gives_the_keypoints_back_and_leaves_the_table(seed, swap):
    points = np.random.default_rng(seed).random((2, 3, 3), np.float32) * 16
    two = type("Two", (), {"frame_id": np.arange(2), "size": np.full((2, 2), 16)})
    inputs, rows, none = Keypoints(table(points), two, swap, "table"), np.arange(2), np.zeros(2, bool)
    plain = inputs(rows, none)
    mirrored = inputs(rows, ~none).numpy().reshape(2, 3, 2)
    again = Keypoints(table(np.concatenate([mirrored * 16, points[..., 2:]], axis=2)), two, swap, "table")(rows, ~none)
    torch.testing.assert_close(again, plain, atol=1e-6, rtol=1e-5)
    assert torch.equal(inputs(rows, none), plain)


# --- heat maps


@given(st.integers(0, 2**31), st.integers(8, 40), st.integers(4, 30))
def test_mirrored_heat_maps_are_the_pooled_mirror_of_the_full_ones(seed, height, width):
    full = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))  # [n, J, h, w]
    two = type("Two", (), {"frame_id": np.arange(2)})
    inputs = HeatMaps(table(maps=pose_embedding(full).numpy()), two, True, "table")
    found = inputs(np.array([1, 0, 1]), np.array([True, False, False]))
    mirror = full.flip(3)[:, SWAPPED]
    expected = pose_embedding(torch.stack([mirror[1], full[0], full[1]]))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_mirrored_heat_maps_without_a_swap_reverse_the_grids_columns_alone():
    maps = np.arange(2 * 96, dtype=np.float32).reshape(2, 96)
    two = type("Two", (), {"frame_id": np.arange(2)})
    found = HeatMaps(table(maps=maps), two, False, "table")(np.array([0]), np.array([True])).reshape(3, 8, 4)
    for joint in range(3):
        for row in range(8):
            assert found[joint, row].tolist() == [32 * joint + 4 * row + column for column in (3, 2, 1, 0)]


def test_heat_maps_of_a_table_depend_on_neither_the_batch_nor_the_images(frames):
    maps = np.random.default_rng(0).random((2, 96), np.float32)
    inputs = HeatMaps(table(maps=maps), frames, True, "table")
    none = np.zeros(2, bool)
    first = inputs(np.array([0, 1]), none, torch.zeros(2, 32, 16, 3, dtype=torch.uint8))
    other = inputs(np.array([0, 0]), none, torch.full((2, 32, 16, 3), 255, dtype=torch.uint8))
    assert torch.equal(first, torch.from_numpy(maps)) and torch.equal(other[1], first[0])


# --- rows of the table by frame


@pytest.mark.parametrize("source", ["keypoints", "hrnet"])
def test_rows_are_found_by_frame_and_not_by_their_order(frames, tmp_path, source):
    maps = np.random.default_rng(0).random((2, 96), np.float32)
    path = tmp_path / "keypoints.parquet"
    write_keypoints(path, JOINTS, [(np.array([1, 0]), Poses(POINTS[::-1].copy(), maps[::-1].copy()))])
    inputs, joints = open_pose(path, frames.take([1]), pose_config(source=source))
    assert joints == 3
    expected = POINTS[1, :, :2] / [16, 32] if source == "keypoints" else maps[1]
    np.testing.assert_allclose(inputs(np.array([0]), np.array([False]))[0], expected.reshape(-1), rtol=1e-6)


@pytest.mark.parametrize("kept", [[0], [5, 7], []])
def test_a_frame_without_a_row_is_named(frames, kept):
    short = table(POINTS[:1].repeat(len(kept), axis=0), np.zeros((len(kept), 96), np.float32), kept)
    with pytest.raises(DataError, match=rf"keys\.parquet: has no row for {2 - (kept == [0])} frames of small"):
        Keypoints(short, frames, True, "keys.parquet")


def test_a_missing_file_is_named(frames, tmp_path):
    for source, name in (("keypoints", "keypoints.parquet"), ("hrnet_in_train_mode", "hrnet.safetensors")):
        with pytest.raises(DataError, match=name):
            open_pose(tmp_path / name, frames, pose_config(source=source))


# --- the thesis's HRNet, left in training mode


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    spec = PoseSpec("small", JOINTS, (), height=64, width=32, padding=1.0, source="test")
    net = build(spec)
    torch.nn.init.normal_(net.head.final_layer.weight, std=1.0)
    path = tmp_path_factory.mktemp("pose") / "hrnet.safetensors"
    save_checkpoint(net, spec, path)
    return path


def pictures(count: int, height: int = 64, width: int = 32, seed: int = 0) -> torch.Tensor:
    """uint8 RGB [b, h, w, 3]"""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), generator=generator, dtype=torch.uint8)


def ask(inputs, images: torch.Tensor) -> torch.Tensor:
    return inputs(np.arange(len(images)), np.zeros(len(images), bool), images)


def test_its_weights_stay_and_its_running_statistics_drift(checkpoint):
    inputs = DriftingHRNet(checkpoint)
    weights = {name: one.clone() for name, one in inputs.net.named_parameters()}
    before = {name: one.clone() for name, one in inputs.net.named_buffers()}
    found = ask(inputs, pictures(3))
    assert found.shape == (3, 3 * 32) and not found.requires_grad
    assert all(torch.equal(one, weights[name]) for name, one in inputs.net.named_parameters())
    assert not any(one.requires_grad for one in inputs.net.parameters())
    drifted = [name for name, one in inputs.net.named_buffers() if not torch.equal(one, before[name])]
    means = [name for name in before if name.endswith("running_mean")]
    assert means and set(means) <= set(drifted)


def test_its_heat_maps_depend_on_the_batch_and_those_of_eval_mode_do_not(checkpoint):
    images = pictures(4)
    drifting = DriftingHRNet(checkpoint)
    alone, among = ask(drifting, images[:2]), ask(drifting, images)[:2]
    assert (alone - among).abs().max() > 1e-3
    net, _ = load_checkpoint(checkpoint)
    drifting.net = net.eval()
    torch.testing.assert_close(ask(drifting, images[:2]), ask(drifting, images)[:2], atol=1e-5, rtol=1e-5)


def test_it_is_the_network_of_mmpose_in_training_mode_on_the_whole_image(checkpoint):
    """Through mmpose's own preprocessing, which takes OpenCV's BGR and divides in another order."""
    images = pictures(3)
    net, _ = load_checkpoint(checkpoint)
    net.train()
    with torch.no_grad():
        bgr = [image.flip(2).permute(2, 0, 1) for image in images]
        prepared = net.data_preprocessor({"inputs": bgr}, training=True)["inputs"]
        expected = pose_embedding(net(prepared, None, mode="tensor"))
    torch.testing.assert_close(ask(DriftingHRNet(checkpoint), images), expected, atol=5e-4, rtol=1e-3)


def test_images_of_another_size_are_resized_to_its_view(checkpoint):
    """Twice as many equal pixels, resized back."""
    images = pictures(2)
    large = images.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)  # [b, 128, 64, 3]
    found, expected = ask(DriftingHRNet(checkpoint), large), ask(DriftingHRNet(checkpoint), images)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_it_sees_mirrored_images_mirrored_and_needs_no_swap(checkpoint):
    images = pictures(2)
    plain, mirrored = ask(DriftingHRNet(checkpoint), images), ask(DriftingHRNet(checkpoint), images.flip(2))
    assert (plain - mirrored).abs().max() > 1e-3
    rows, flips = np.arange(2), np.ones(2, bool)  # told of the mirror, it does nothing about it
    assert torch.equal(DriftingHRNet(checkpoint)(rows, flips, images.flip(2)), mirrored)


def test_equal_checkpoints_drift_alike(checkpoint):
    first, second = (
        [ask(net, pictures(3, seed=seed)) for seed in (1, 2)] for net in map(DriftingHRNet, [checkpoint] * 2)
    )
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
