"""Keypoints in the body's own frame: against complex numbers, joint by joint, and what must leave them as they are."""

import cmath

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auxreid.clipreid.body_coordinates import LEAST_TRUNK, body_coordinates, trunk_ends
from auxreid.clipreid.pose_inputs import BodyKeypoints
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.table import KeypointTable

JOINTS = ("neck", "root_of_tail", "left_front_paw", "right_front_paw")
SEEDS = st.integers(0, 2**31)


def slowly(points: np.ndarray, joints: tuple[str, ...]) -> np.ndarray:
    """body_coordinates [n, J, 2], one body and joint at a time, pixels as complex numbers."""
    front, rear = trunk_ends(joints)
    found = np.empty(points.shape)
    for number, body in enumerate(points.astype(float)):
        places = [complex(x, y) for x, y in body]
        ends = [sum(places[joint] for joint in named) / len(named) for named in (front, rear)]
        trunk = ends[0] - ends[1]
        if trunk.real < 0 and abs(trunk.real) > abs(trunk.imag):
            places, ends = [complex(-p.real, p.imag) for p in places], [complex(-p.real, p.imag) for p in ends]
            trunk = ends[0] - ends[1]
        width, height = np.ptp([p.real for p in places]), np.ptp([p.imag for p in places])
        unit = max(abs(trunk), LEAST_TRUNK * abs(complex(width, height)))
        turn = cmath.exp(-1j * cmath.phase(trunk)) / unit
        placed = [(p - (ends[0] + ends[1]) / 2) * turn for p in places]
        found[number] = [(p.real, p.imag) for p in placed]
    return found


def bodies(seed: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).random((count, len(JOINTS), 2)) * 100


@given(SEEDS)
def test_each_joint_is_placed_along_and_across_the_trunk(seed):
    points = bodies(seed)
    np.testing.assert_allclose(body_coordinates(points, JOINTS), slowly(points, JOINTS), atol=1e-9)


def test_a_dog_by_hand():
    """From x = 10 to x = 50 it is 40 long; its paws are 20 below, under its neck and 10 behind it."""
    dog = np.array([[[50, 30], [10, 30], [50, 50], [40, 50]]])
    expected = [[[0.5, 0], [-0.5, 0], [0.5, 0.5], [0.25, 0.5]]]
    np.testing.assert_allclose(body_coordinates(dog, JOINTS), expected)
    facing_left = dog * [-1, 1] + [60, 0]
    np.testing.assert_allclose(body_coordinates(facing_left, JOINTS), expected)


@given(SEEDS, st.floats(0.2, 5), st.floats(-100, 100), st.floats(-30, 30))
def test_size_place_and_lean_change_nothing(seed, factor, shift, degrees):
    points = bodies(seed)
    front, rear = points[:, 0] - points[:, 1], cmath.exp(1j * np.deg2rad(degrees))
    flat = abs(np.angle(front[:, 0] + 1j * front[:, 1])) < np.deg2rad(14)  # so that no lean makes them stand
    lying = points[flat & (np.linalg.norm(front, axis=1) > 30)]  # and no box measures them
    assume(len(lying))
    turned = (lying[..., 0] + 1j * lying[..., 1]) * rear * factor + shift
    moved = np.stack([turned.real, turned.imag], axis=2)
    np.testing.assert_allclose(body_coordinates(moved, JOINTS), body_coordinates(lying, JOINTS), atol=1e-8)


@given(SEEDS)
def test_an_animal_is_the_same_whichever_way_it_walks(seed):
    points = bodies(seed)
    trunk = abs(points[:, 0] - points[:, 1])
    lying = points[trunk[:, 0] > trunk[:, 1] + 1e-6]
    np.testing.assert_allclose(body_coordinates(lying * [-1, 1], JOINTS), body_coordinates(lying, JOINTS), atol=1e-9)


def test_a_trunk_seen_from_its_end_is_measured_by_the_box_and_one_point_is_the_origin():
    seen_from_its_end = np.array([[[5.0, 5.0], [5.0, 5.0], [2.0, 9.0], [8.0, 9.0]]])
    box = np.hypot(6, 4) * LEAST_TRUNK
    expected = (seen_from_its_end - 5.0) / box
    np.testing.assert_allclose(body_coordinates(seen_from_its_end, JOINTS), expected)
    assert (body_coordinates(np.full((1, 4, 2), 7.0), JOINTS) == 0).all()


@pytest.mark.parametrize(
    ("joints", "front", "rear"),
    [
        (("nose", "L_Shoulder", "R_Shoulder", "L_Hip", "R_Hip"), [1, 2], [3, 4]),
        (("Neck", "l_shoulder", "Root of tail", "l_hip"), [0], [2]),
        (("neck_right", "neck_left", "right_hip", "left_hip"), [0, 1], [2, 3]),
    ],
)
def test_the_trunk_is_found_by_the_joints_names(joints, front, rear):
    assert trunk_ends(joints) == (front, rear)


def test_joints_without_a_trunk_are_named():
    with pytest.raises(DataError, match=r"joints nose, left_hip: no trunk .* neck, withers, shoulder and one of tail"):
        trunk_ends(("nose", "left_hip"))


@given(SEEDS)
def test_of_a_mirrored_image_the_mirrored_body_is_measured(seed):
    joints = ("neck", "left_hip", "right_hip")
    points = np.random.default_rng(seed).random((2, 3, 3), np.float32) * 16
    two = type("Two", (), {"frame_id": np.arange(2), "size": np.array([[16, 32], [20, 40]])})
    inputs = BodyKeypoints(KeypointTable(joints, np.arange(2), points, np.zeros((2, 96))), two, True, "table")
    found = inputs(np.array([1, 0, 1]), np.array([True, False, False])).numpy().reshape(3, 3, 2)
    pixels = points[..., :2].astype(float)
    mirror = pixels[1][[0, 2, 1]] * [-1, 1] + [20, 0]
    np.testing.assert_allclose(found, slowly(np.stack([mirror, pixels[0], pixels[1]]), joints), rtol=2e-3, atol=2e-3)
