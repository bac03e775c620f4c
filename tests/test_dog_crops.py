"""Photographs cropped to their dogs: which box is taken, and that a crop by hand stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pets_client import GENEROUS, WHITE, Pets, TestClient
from toy_engine import ToyLooker, toy_engine

from auxreid.lostpets import dog_crops
from auxreid.lostpets.service.app import create_app
from auxreid.lostpets.service.looking import SharedLooker
from auxreid.lostpets.service.settings import Settings
from auxreid.plumbing.base.errors import ConfigError
from auxreid.serving.dog_boxes import DogBoxes, crop_to

BOX = (0.25, 0.25, 0.5, 0.5)


def test_the_likeliest_dog_is_taken_with_a_margin_and_none_that_is_unlikely():
    assert crop_to([BOX, (0, 0, 1, 1)], [0.9, 0.8]) == pytest.approx((0.225, 0.225, 0.55, 0.55))
    assert crop_to([BOX], [0.4]) is None and crop_to([], []) is None
    assert crop_to([(0.0, 0.5, 1.0, 0.5)], [0.5]) == pytest.approx((0.0, 0.475, 1.0, 0.525))


side = st.floats(0, 1, allow_nan=False)


@given(side, side, side, side)
def test_a_crop_lies_within_the_photograph(left, top, width, height):
    found = crop_to([(left, top, min(width, 1 - left), min(height, 1 - top))], [1.0])
    if found is not None:
        assert min(found) >= 0 and found[0] + found[2] <= 1 + 1e-9 and found[1] + found[3] <= 1 + 1e-9
        assert found[2] > 0 and found[3] > 0


def test_what_the_detector_finds_crops_what_nobody_has_cropped(monkeypatch, tmp_path):
    monkeypatch.setattr(DogBoxes, "check", lambda self: None)
    monkeypatch.setattr(DogBoxes, "find", lambda self, image, count: [([BOX], [0.9])] * (count - 1) + [([], [])])
    find = dog_crops.dog_crops(tmp_path / "weights")
    by_hand = (0.0, 0.0, 0.5, 1.0)
    found = find([WHITE[0], WHITE[1], WHITE[2]], [None, by_hand, None])
    assert found[0] == pytest.approx((0.225, 0.225, 0.55, 0.55)) and found[1:] == [by_hand, None]


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ConfigError, match="weights"):
        dog_crops.dog_crops(tmp_path / "weights.pth")


def test_the_service_looks_at_the_dog_and_says_which_part_that_was(tmp_path):
    """And so it does where a search names no crop."""
    part = (0.0, 0.0, 0.5, 0.5)
    engine = toy_engine(tmp_path)
    engine.looker = SharedLooker(
        ToyLooker(), lambda photos, crops: [one or part for one in crops or [None] * len(photos)]
    )
    with TestClient(create_app(engine, tmp_path, Settings(**GENEROUS))) as client:
        pets = Pets(client, tmp_path)
        assert pets.look(WHITE[0]).json()["crops"] == [list(part)]
        by_hand = pets.look(WHITE[0], data={"crops": "[[0,0,1,1]]"})
        assert by_hand.json()["crops"] == [[0.0, 0.0, 1.0, 1.0]]
    seen = engine.looker.look([WHITE[0]]).embedding
    np.testing.assert_array_equal(seen, ToyLooker().look([WHITE[0]], [part]).embedding)
