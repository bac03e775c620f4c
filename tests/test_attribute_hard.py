"""Batches of people who are alike in their attributes, and a triplet margin that grows with how alike they are."""

import numpy as np
import pytest
import torch
from batches import check_batches
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import CLASSES, built, few_people, tiny_settings, trained

from auxreid.auxiliary.attribute_hard import alike_batches, growing_triplet
from auxreid.clipreid.identity_attributes import share_of_equal
from auxreid.clipreid.losses import batch_hard_triplet
from auxreid.plumbing.base.errors import ConfigError

CONFIG = {"kind": "attribute_hard", "near": 1.0, "growth": 1.0, "weight": 1.0, "shuffled": False}


@pytest.fixture
def people(tmp_path):
    return few_people(tmp_path)


def features(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


# batches


@given(
    st.lists(st.integers(1, 11), min_size=3, max_size=9),
    st.integers(2, 3),
    st.integers(2, 4),
    st.integers(1, 2),
    st.integers(0, 2**31),
)
def test_every_batch_has_p_identities_of_k_images_and_no_row_twice(sizes, p, k, near, seed):
    near = min(near, p - 1)
    identities, rng = np.repeat(np.arange(len(sizes)), sizes), np.random.default_rng(seed)
    share = share_of_equal(rng.integers(-1, 3, (len(sizes), 4)))
    batches = alike_batches(identities, p, k, share, near, rng)
    check_batches(batches, identities, sizes, p, k)
    left = [max(1, size // k) for size in sizes]
    for batch in batches:
        drawn = list(dict.fromkeys(identities[batch].tolist()))
        outside = [own for own, chunks in enumerate(left) if chunks and own not in drawn[: near + 1]]
        worst = min(share[drawn[0], own] for own in drawn[1 : near + 1])
        assert all(share[drawn[0], own] <= worst for own in outside)  # nobody left is nearer than the near ones
        for own in drawn:
            left[own] -= 1
    assert min(left) >= 0 and sum(chunks > 0 for chunks in left) < p  # walked until fewer than p were left


def test_pairs_of_alike_people_are_batches():
    identities, share = np.repeat(np.arange(4), 4), np.eye(4)
    share[0, 3] = share[3, 0] = share[1, 2] = share[2, 1] = 0.5
    batches = alike_batches(identities, 2, 2, share, 1, np.random.default_rng(0))
    assert sorted(tuple(sorted(set(identities[batch]))) for batch in batches) == [(0, 3), (0, 3), (1, 2), (1, 2)]


def test_equally_alike_people_are_drawn_at_random():
    identities = np.repeat(np.arange(9), 2)
    draws = [alike_batches(identities, 2, 2, np.ones((9, 9)), 1, np.random.default_rng(seed)) for seed in range(30)]
    partners = {frozenset(identities[batch].tolist()) for batches in draws for batch in batches}
    assert len(partners) == 36


def test_too_few_identities_is_an_error():
    with pytest.raises(ValueError, match="needs 3 identities, the training frames have 2"):
        alike_batches(np.array([0, 0, 1, 1]), 3, 2, np.eye(2), 1, np.random.default_rng(0))


# the triplet


def slowly(rows: torch.Tensor, identities: list[int], margins: torch.Tensor) -> float:
    """Anchor by anchor."""
    losses = []
    for i, own in enumerate(identities):
        apart = [float((rows[i] - other).norm()) for other in rows]
        positive = max(apart[j] for j, other in enumerate(identities) if other == own)
        negative = max(float(margins[i, j]) - apart[j] for j, other in enumerate(identities) if other != own)
        losses.append(max(positive + negative, 0.0))
    return sum(losses) / len(losses)


def test_four_points_on_a_line():
    rows = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
    identities = torch.tensor([0, 0, 1, 2])
    margins = 0.5 * (1 + torch.tensor([[1.0, 1, 0, 1], [1, 1, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]]))
    # 0: 1 + max(.5 - 3, 1 - 3.5); 1: 1 + max(.5 - 2, 1 - 2.5); 2: 0 + .5 - .5; 3: 0 + max(.5 - .5, 1 - 2.5)
    assert float(growing_triplet(rows, identities, margins)) == pytest.approx(0, abs=1e-5)
    # all margins larger by 2: 1 + max(2.5 - 3, 3 - 3.5), 1 + max(2.5 - 2, 3 - 2.5), 2.5 - .5, max(2.5 - .5, 3 - 2.5)
    assert float(growing_triplet(rows, identities, margins + 2)) == pytest.approx((0.5 + 1.5 + 2 + 2) / 4, rel=1e-5)


@given(st.integers(0, 1000))
def test_it_is_that_of_a_slow_loop(seed):
    rng = np.random.default_rng(seed)
    identities = np.concatenate([[0, 1], rng.integers(0, 3, 6)])
    margins = torch.from_numpy(rng.random((8, 8))).float() * 3
    found = growing_triplet(features(8, seed), torch.from_numpy(identities), margins)
    assert float(found) == pytest.approx(slowly(features(8, seed), identities.tolist(), margins), rel=1e-4, abs=1e-5)


def test_of_equal_margins_it_is_the_batch_hard_triplet_with_its_gradient():
    identities = torch.tensor([0, 0, 1, 1, 2, 2])
    one, other = (features(6).requires_grad_() for _ in range(2))
    ours, theirs = growing_triplet(one, identities, torch.full((6, 6), 0.3)), batch_hard_triplet(other, identities, 0.3)
    (ours + theirs).backward()
    assert torch.equal(ours, theirs) and torch.equal(one.grad, other.grad)


def test_without_a_negative_it_is_0():
    assert growing_triplet(features(3), torch.zeros(3, dtype=torch.int64), torch.ones(3, 3)) == 0


# in stage 2


def test_margins_grow_with_the_share(people):
    _, module = built(people, CONFIG | {"growth": 2.0}, tiny_settings(w_triplet=0.0))
    share = np.array([[1, 1 / 2, 0, 0], [1 / 2, 1, 1 / 2, 1 / 2], [0, 1 / 2, 1, 2 / 3], [0, 1 / 2, 2 / 3, 1]])
    np.testing.assert_allclose(module.margins, 0.3 * (1 + 2 * share), rtol=1e-6)
    given, labels = (features(4), features(4, 1), features(4, 2)), torch.tensor([0, 0, 2, 3])
    _, terms = module(given, (), labels)
    expected = sum(slowly(one, labels.tolist(), module.margins[labels][:, labels]) for one in given)
    assert float(terms["hard_triplet"]) == pytest.approx(expected, rel=1e-5)
    assert terms["loss"] == module.weight * terms["hard_triplet"]


def test_random_batches_and_a_margin_that_does_not_grow_are_plain_training(people):
    alone, _, _ = trained(people)
    control, curve, _ = trained(people, CONFIG | {"near": 0.0, "growth": 0.0}, w_triplet=0.0)
    torch.testing.assert_close(alone, control, rtol=1e-5, atol=1e-6)  # sums in another order, else the same
    assert all(means["hard_triplet"] > 0 for means in curve)
    for changed in ({"near": 1.0}, {"growth": 2.0}):
        _, other, _ = trained(people, CONFIG | {"near": 0.0, "growth": 0.0} | changed, w_triplet=0.0)
        assert abs(other[0]["hard_triplet"] - curve[0]["hard_triplet"]) > 1e-3


def test_its_batches_are_of_alike_people(people):
    settings = tiny_settings(w_triplet=0.0)
    _, module = built(people, CONFIG, settings)
    firsts = [module.batches(CLASSES, settings, np.random.default_rng(seed))[0] for seed in range(20)]
    pairs = {tuple(dict.fromkeys(CLASSES[batch].tolist())) for batch in firsts}
    assert pairs <= {(0, 1), (1, 0), (1, 2), (1, 3), (2, 3), (3, 2)} and {(2, 3), (3, 2)} <= pairs


def test_shuffled_shares_are_those_of_other_people(people):
    settings = tiny_settings(w_triplet=0.0)
    true, false = (built(people, CONFIG | {"shuffled": shuffled}, settings)[1].share for shuffled in (False, True))
    assert not np.array_equal(true, false) and sorted(true.ravel()) == sorted(false.ravel())


def test_two_triplet_losses_at_once_are_refused(people):
    with pytest.raises(ConfigError, match=r"finetune.w_triplet is 1.0 and must be 0"):
        built(people, CONFIG, tiny_settings())
