"""Joints where an encoder sees them: mirrored and cropped as their image is, another image's, and the mean."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_frames import small_frames

from auxreid.clip.images import PADDING, PLAIN, TrainImages, View
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.joint_places import JointPlaces, another, doubted, frame_places, mirror_groups, open_places
from auxreid.pose.predict import Poses
from auxreid.pose.table import KeypointTable, write_keypoints
from auxreid.sample.dog import JOINTS as DOG_JOINTS

JOINTS = ("head", "left_hand", "right_hand")
PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
MARKET = (  # in the order of the Market-1501 annotations
    *("head_top", "neck_right", *(f"right_{part}" for part in PARTS)),
    *(f"left_{part}" for part in reversed(PARTS)),
    "neck_left",
)
POINTS = np.array([[[4, 8, 1], [2, 16, 0.5], [12, 24, -0.1]], [[0, 0, 1], [16, 32, 1.5], [8, 4, 1]]], np.float32)
SIZE = (32, 16)  # height, width


def places_of(points: np.ndarray = POINTS) -> JointPlaces:
    shares = np.concatenate([points[..., :2] / [16, 32], points[..., 2:].clip(0, 1)], axis=2)
    return JointPlaces(shares.astype(np.float32), JOINTS, SIZE)


def test_plain_places_are_shares_and_confidences_lie_in_0_to_1():
    found = places_of()(np.array([1, 0]), [PLAIN, PLAIN])
    assert found.dtype == torch.float32
    plain = [[0.25, 0.25, 1], [0.125, 0.5, 0.5], [0.75, 0.75, 0]]
    torch.testing.assert_close(found, torch.tensor([[[0, 0, 1], [1, 1, 1], [0.5, 0.125, 1]], plain]))


def test_mirror_and_crop_by_hand():
    """The crop begins 4 pixels further down and 2 further left: joints move up by 4 / 32 and right by 2 / 16."""
    seen = View(mirrored=True, top=PADDING + 4, left=PADDING - 2)
    found = places_of()(np.array([0]), [seen])
    expected = [[0.75 + 0.125, 0.25 - 0.125, 1], [0.25 + 0.125, 0.75 - 0.125, 0], [0.875 + 0.125, 0.5 - 0.125, 0.5]]
    torch.testing.assert_close(found, torch.tensor([expected]))


def test_a_joint_stays_on_what_the_image_shows_at_it(tmp_path):
    """A bright pixel at a joint, and where it is in the training image of any view."""
    y, x = 14, 5

    def picture(_number, width, height):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[y, x] = 255
        return pixels

    frames = small_frames(tmp_path / "frames.arrow", [1], picture=picture)
    images = TrainImages(frames, *SIZE)
    point = np.array([[[(x + 0.5) / 16, (y + 0.5) / 32, 1]]], np.float32)  # of the pixel's middle
    for view in (PLAIN, View(True, PADDING, PADDING), View(True, 6, 13), View(False, 17, 7)):
        [[[across, down, _]]] = JointPlaces(point, ["head"], SIZE)(np.array([0]), [view]).tolist()
        shown = images[0, view].numpy()[..., 0]
        assert np.argwhere(shown == 255).tolist() == [[round(down * 32 - 0.5), round(across * 16 - 0.5)]]


def test_the_table_is_not_changed_by_what_is_seen():
    places = places_of()
    before = places.places.copy()
    places(np.array([0, 1]), [View(True, 3, 3), View(False, 0, 0)])
    np.testing.assert_array_equal(places.places, before)


@pytest.fixture
def files(tmp_path):
    """Frames 0..3 of 16 x 32, and a table of them whose rows stand in another order."""
    frames = small_frames(tmp_path / "frames.arrow", [1, 1, 2, 2])
    points = np.random.default_rng(0).random((4, 3, 3), np.float32) * [16, 32, 1]
    order = np.array([2, 0, 3, 1])
    poses = Poses(points[order].astype(np.float32), np.zeros((4, 96), np.float32))
    write_keypoints(tmp_path / "keypoints.parquet", JOINTS, [(order, poses)])
    return frames, tmp_path / "keypoints.parquet", (points / [16, 32, 1]).astype(np.float32)


def test_own_other_and_mean_joints_of_a_table(files):
    frames, path, shares = files
    rows, plain = np.arange(4), [PLAIN] * 4
    own = open_places(path, frames, SIZE)(rows, plain)
    np.testing.assert_allclose(own, shares, rtol=1e-5)
    other = open_places(path, frames, SIZE, "other", seed=1)(rows, plain)
    np.testing.assert_array_equal(other, own[another(4, 1)])
    mean = open_places(path, frames, SIZE, "mean")
    np.testing.assert_allclose(mean(rows, plain), np.stack([shares.mean(axis=0)] * 4), rtol=1e-5)
    left = mean(np.array([0]), [View(False, PADDING, 0)])
    np.testing.assert_allclose(left[0, :, 0], shares.mean(axis=0)[:, 0] + PADDING / 16, rtol=1e-5)


def test_a_doubted_joint_keeps_its_way_from_the_usual_place_as_far_as_it_is_sure():
    usual = np.array([[0.5, 0.1, 0.7], [0.4, 0.6, 0.7]], np.float32)
    found = np.array([[[0.9, 0.3, 0.6], [0.4, 1.0, 0.0]], [[0.1, 0.1, 0.2], [0.8, 0.6, 1.0]]], np.float32)
    expected = [[[0.8, 0.25, 0.6], [0.4, 0.6, 0.0]], [[0.3, 0.1, 0.2], [0.4 + 0.4 / 1.2, 0.6, 1.0]]]  # 3/4, 0; 1/2, 5/6
    np.testing.assert_allclose(doubted(found, usual, 0.2), expected, rtol=1e-6)


def test_joints_are_doubted_toward_their_mean_or_what_is_given(files):
    frames, path, shares = files
    rows, plain = np.arange(4), [PLAIN] * 4
    own = open_places(path, frames, SIZE, doubt=0.3)
    np.testing.assert_allclose(own(rows, plain), doubted(shares, shares.mean(axis=0), 0.3), rtol=1e-5)
    np.testing.assert_allclose(own.usual, shares.mean(axis=0), rtol=1e-5)
    elsewhere = np.full((3, 3), 0.9, np.float32)
    given = open_places(path, frames, SIZE, doubt=0.3, usual=elsewhere)
    np.testing.assert_allclose(given(rows, plain), doubted(shares, elsewhere, 0.3), rtol=1e-5)
    other = open_places(path, frames, SIZE, "other", seed=1, doubt=0.3)
    np.testing.assert_allclose(other(rows, plain), own(rows, plain)[another(4, 1)], rtol=1e-5)


def test_a_frame_that_the_table_lacks_is_named(files):
    frames, _, _ = files
    table = KeypointTable(JOINTS, np.array([0, 1, 3]), POINTS[[0, 1, 1]], np.zeros((3, 96), np.float32))
    with pytest.raises(DataError, match=r"table\.parquet: has no row for 1 frames of small, e\.g\. 2"):
        frame_places(table, frames, "table.parquet")


def test_each_frame_is_measured_by_its_own_size():
    frames = SimpleNamespace(frame_id=np.array([7, 5]), size=np.array([[10, 20], [40, 50]]))
    table = KeypointTable(("head",), np.array([5, 7]), np.array([[[20, 10, 1]], [[5, 5, 1]]], np.float32), None)
    np.testing.assert_allclose(frame_places(table, frames, "")[:, 0, :2], [[0.5, 0.25], [0.5, 0.2]])


@pytest.mark.parametrize("count", [2, 3, 50])
def test_another_is_a_permutation_without_fixed_points(count):
    for seed in range(20):
        other = another(count, seed)
        assert sorted(other) == list(range(count)) and (other != np.arange(count)).all()
    np.testing.assert_array_equal(another(count, 3), another(count, 3))
    with pytest.raises(DataError, match="there are 1 images"):
        another(1, 0)


def test_joints_that_mirror_each_other_form_a_group():
    assert mirror_groups(JOINTS) == [[0], [1, 2]]
    assert mirror_groups(("left_a", "x", "right_a")) == [[0, 2], [1]]
    assert mirror_groups(MARKET) == [[0], [1, 14], [2, 13], [3, 12], [4, 11], [5, 10], [6, 9], [7, 8]]
    named = [
        {DOG_JOINTS[number].split("_", 1)[1] for number in group}
        for group in mirror_groups(DOG_JOINTS)
        if len(group) == 2
    ]
    assert len(named) == 7 and all(len(names) == 1 for names in named)  # and the nose, the neck and the tail's root
    with pytest.raises(DataError, match="left_a"):
        mirror_groups(["left_a", "nose"])
