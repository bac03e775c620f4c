"""Attributes of identities: gathered from frames, compared, grouped."""

import numpy as np
import pytest
from dataset_folders import picture_bytes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from auxreid.clipreid.identity_attributes import equal_groups, identity_attributes, share_of_equal
from auxreid.clipreid.training_set import training_set
from auxreid.data.frames import FramesMeta, write_frames
from auxreid.plumbing.base.errors import DataError

VOCABULARY = {"hat": ["no", "yes"], "age": ["young", "adult", "old"]}


@pytest.fixture
def written(tmp_path):
    """Write frames of (identity, hat, age) and open them as a training set."""

    def write(*people, attributes=VOCABULARY):
        rows = [
            {"path": f"{number}.png", "split": "train", "identity": identity, "identity_name": f"{identity:04d}"}
            | {"width": 16, "height": 32, "image": picture_bytes(number, ".png")}
            | {f"attr_{name}": word for name, word in zip(attributes, words, strict=True)}
            for number, (identity, *words) in enumerate(people)
        ]
        meta = FramesMeta("small", "market1501", "market1501", "person", attributes=attributes)
        write_frames(tmp_path / "frames.arrow", rows, meta)
        return training_set(tmp_path / "frames.arrow", 0)[:2]

    return write


def test_one_row_per_identity_and_a_known_word_counts(written):
    found = identity_attributes(
        *written((9, "no", None), (2, None, "old"), (9, "no", "adult"), (2, "yes", None), (5, None, None))
    )
    assert found.names == ("hat", "age")
    assert found.words == (("no", "yes"), ("young", "adult", "old"))
    assert found.codes.dtype == np.int64 and found.codes.tolist() == [[1, 2], [-1, -1], [0, 1]]  # identities 2, 5, 9
    assert found.words_of(0) == {"hat": "yes", "age": "old"}
    assert found.words_of(1) == {"hat": None, "age": None}


@pytest.mark.parametrize("order", [1, -1])
def test_frames_that_contradict_each_other_are_named(written, order):
    frames = written(*[(2, "yes", "old"), (9, "no", "adult"), (9, None, "young"), (9, "no", None)][::order])
    with pytest.raises(DataError, match=r"small, identity 9 \(0009\): age is 'young' in .\.png and 'adult' in .\.png"):
        identity_attributes(*frames)


def test_a_data_set_without_attributes_is_named(written):
    with pytest.raises(DataError, match=r"small: none of 2 training frames has an attribute \(columns: none\)"):
        identity_attributes(*written((2,), (9,), attributes={}))
    with pytest.raises(DataError, match=r"none of 1 training frames has an attribute \(columns: hat, age\)"):
        identity_attributes(*written((2, None, None)))


def test_shares_worked_by_hand():
    codes = np.array([[0, 1, 2, -1], [0, 1, 0, 3], [1, -1, 2, 3], [-1, -1, -1, -1]])
    expected = [
        [1, 2 / 3, 1 / 2, 0],  # 0 and 1: hat and age of three known; 0 and 2: the third of the first and the third
        [2 / 3, 1, 1 / 3, 0],
        [1 / 2, 1 / 3, 1, 0],
        [0, 0, 0, 1],
    ]
    shares = share_of_equal(codes)
    assert shares.dtype == np.float64
    np.testing.assert_allclose(shares, expected, rtol=1e-15)


CODES = st.tuples(st.integers(1, 6), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(-1, 2))
)


@given(CODES)
def test_shares_and_groups_equal_literal_loops(codes):
    shares, groups = share_of_equal(codes), equal_groups(codes)
    assert groups.dtype == np.int64 and sorted(set(groups)) == list(range(len(set(groups))))
    for a, first in enumerate(codes):
        for b, second in enumerate(codes):
            known = [(x, y) for x, y in zip(first, second, strict=True) if x >= 0 and y >= 0]
            share = sum(x == y for x, y in known) / len(known) if known else 0.0
            assert shares[a, b] == (1.0 if a == b else share)
            assert (groups[a] == groups[b]) == (first.tolist() == second.tolist())
