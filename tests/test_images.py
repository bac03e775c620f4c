"""Images as the encoders see them: views against a literal flip, pad and crop, their distribution, normalisation."""

import itertools

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_frames import noise, small_frames

from auxreid.clip.images import PADDING, PlainImages, TrainImages, View, draw_views, normalise
from auxreid.plumbing.settings.recipes import InputConfig

ENDS = 2 * PADDING


class Pictures:
    """Frames of given pictures."""

    def __init__(self, *pictures: np.ndarray):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def image(self, row: int) -> np.ndarray:
        return self.pictures[row]


def literal_view(image: np.ndarray, view: View) -> np.ndarray:
    """Mirrored, surrounded by ten black pixels, cropped to the former size; pixel by pixel (THESIS section 3)."""
    height, width, _ = image.shape
    seen = np.zeros_like(image)
    for y, x in itertools.product(range(height), range(width)):
        row, column = y + view.top - 10, x + view.left - 10
        if 0 <= row < height and 0 <= column < width:
            seen[y, x] = image[row, width - 1 - column if view.mirrored else column]
    return seen


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("corner", [(0, 0), (0, ENDS), (ENDS, 0), (ENDS, ENDS), (PADDING, PADDING), (3, 14)])
@pytest.mark.parametrize("size", [(24, 12), (12, 24), (7, 5), (3, 30), (30, 3), (10, 10), (1, 1)])
def test_views_equal_a_literal_flip_pad_and_crop(size, corner, mirrored):
    height, width = size
    image, view = noise(0, width, height), View(mirrored, *corner)
    found = TrainImages(Pictures(image), height, width)[0, view]
    assert found.dtype == torch.uint8 and found.is_contiguous()
    np.testing.assert_array_equal(found, literal_view(image, view))


@given(st.integers(1, 30), st.integers(1, 30), st.booleans(), st.integers(0, ENDS), st.integers(0, ENDS))
def test_any_view_of_any_size_equals_the_literal_one(height, width, mirrored, top, left):
    image, view = noise(height, width, height), View(mirrored, top, left)
    np.testing.assert_array_equal(TrainImages(Pictures(image), height, width)[0, view], literal_view(image, view))


def test_the_middle_view_is_the_image_and_a_far_corner_of_a_small_one_is_black():
    image = noise(1, 6, 8)
    images = TrainImages(Pictures(image), 8, 6)
    np.testing.assert_array_equal(images[0, View(False, PADDING, PADDING)], image)
    np.testing.assert_array_equal(images[0, View(True, PADDING, PADDING)], image[:, ::-1])
    assert images[0, View(False, 0, PADDING)].max() == 0  # ten rows up, of an image of eight


def test_the_pictures_of_the_frames_are_not_changed():
    image = noise(2, 12, 16)
    before = image.copy()
    images = TrainImages(Pictures(image), 16, 12)
    images[0, View(True, 0, 3)].zero_()
    np.testing.assert_array_equal(image, before)


def test_other_sizes_are_resized_before_they_are_padded(tmp_path):
    frames = small_frames(tmp_path / "frames.arrow", [1], size=(20, 50))
    resized = cv2.resize(frames.image(0), (12, 24), interpolation=cv2.INTER_CUBIC)
    view = View(True, 4, 17)
    np.testing.assert_array_equal(TrainImages(frames, 24, 12)[0, view], literal_view(resized, view))
    np.testing.assert_array_equal(PlainImages(frames, 24, 12)[0], resized)


# --- which views


def test_every_corner_is_drawn_and_half_of_the_views_are_mirrored():
    count = 40_000
    draws = draw_views(np.arange(count), np.random.default_rng(0))
    assert [row for row, _ in draws] == list(range(count))
    corners = np.zeros((ENDS + 1, ENDS + 1), int)
    for _, view in draws:
        corners[view.top, view.left] += 1
    expected = count / 21**2  # 90.7
    assert np.abs(corners - expected).max() < 5 * expected**0.5
    chi_squared = ((corners - expected) ** 2 / expected).sum()
    assert abs(chi_squared - 440) < 5 * (2 * 440) ** 0.5  # of 440 degrees of freedom
    mirrored = np.array([view.mirrored for _, view in draws])
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / count**0.5
    middle = np.array([view.top for _, view in draws])
    assert abs(np.corrcoef(mirrored, middle)[0, 1]) < 0.03


def test_views_follow_their_generator_and_are_plain_numbers():
    first, second, other = (draw_views(np.array([4, 4, 9]), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second != other
    row, view = first[0]
    assert (type(row), type(view.mirrored), type(view.top), type(view.left)) == (int, bool, int, int)


# --- normalisation

CONFIG = InputConfig(height=8, width=6, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_normalise_is_the_formula_in_channels_last():
    images = torch.from_numpy(np.stack([noise(number, 6, 8) for number in range(4)]))  # [4, 8, 6, 3]
    before = images.clone()
    found = normalise(images, CONFIG)
    assert found.shape == (4, 3, 8, 6) and found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)
    for b, channel, y, x in [(0, 0, 0, 0), (1, 1, 7, 5), (3, 2, 4, 2), (2, 0, 7, 0)]:
        expected = (int(images[b, y, x, channel]) / 255 - CONFIG.mean[channel]) / CONFIG.std[channel]
        assert found[b, channel, y, x].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_black_is_what_padding_and_a_black_pixel_share():
    """Padding comes before normalisation, as in the reference: it is black and not grey."""
    image = np.full((8, 6, 3), 255, np.uint8)
    seen = TrainImages(Pictures(image), 8, 6)[0, View(False, PADDING - 1, PADDING)]
    found = normalise(seen[None], CONFIG)[0]
    expected = torch.tensor([-mean / std for mean, std in zip(CONFIG.mean, CONFIG.std, strict=True)])
    torch.testing.assert_close(found[:, 0], expected[:, None].expand(3, 6))
