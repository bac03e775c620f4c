"""Targets made of attributes: against numbers worked by hand and the formulas of THESIS section 4 in literal loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auxreid.clipreid.attribute_targets import (
    class_share,
    class_smoothing,
    contrastive_identity,
    contrastive_share,
    contrastive_smoothing,
)
from auxreid.clipreid.identity_attributes import share_of_equal
from auxreid.clipreid.losses import contrastive, identity_cross_entropy

HALF = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.0]])  # shares of three identities
SEEDS, SIZES = st.integers(0, 2**31), st.integers(1, 9)


def crowd(k: int, rng: np.random.Generator) -> np.ndarray:
    """27 codes [k, 27] as people on Market-1501 have them: few hats, one colour above and one below, most are alike."""
    kinds = [(0.43, 0.57), (0.65, 0.35), (0.05, 0.95), (0.4, 0.6), (0.12, 0.88), (0.02, 0.75, 0.21, 0.02)]
    kinds += [(0.97, 0.03), (0.73, 0.27), (0.75, 0.25), (0.89, 0.11)]  # hat, backpack, bag, handbag
    columns = [rng.choice(len(shares), size=k, p=shares) for shares in kinds]
    colours = [np.eye(count, dtype=int)[rng.integers(count, size=k)] for count in (8, 9)]
    return np.concatenate([np.stack(columns, axis=1), *colours], axis=1)


def shares_of(k: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(share_of_equal(crowd(k, np.random.default_rng(seed))))


def random_batch(seed: int, b: int) -> tuple[list[int], torch.Tensor]:
    """Identities of a batch, some of them twice, and the shares [5, 5] between five identities, some of them 0."""
    rng = np.random.default_rng(seed)
    return rng.integers(5, size=b).tolist(), torch.from_numpy(share_of_equal(rng.integers(3, size=(5, 4))))


# --- stage 1, thesis: (1[a = b] + share) / 2, rows normalised


def test_thesis_contrastive_targets_worked_by_hand():
    found = contrastive_share(torch.tensor([0, 1, 0]), HALF)
    # before normalising: a quarter between 0 and 1, and 1 between the two images of 0
    expected = torch.tensor([[4, 1, 4], [1, 4, 1], [4, 1, 4]]) / torch.tensor([[9], [6], [9]])
    torch.testing.assert_close(found, expected)


def test_thesis_form_leaves_some_four_percent_to_the_true_identity_among_64():
    shares = shares_of(64)
    others = shares[~torch.eye(64, dtype=torch.bool)]
    assert 0.7 < others.mean() < 0.85  # people differ in a quarter of their attributes
    targets = contrastive_share(torch.arange(64), shares)
    assert 0.035 < targets.diagonal().mean() < 0.045
    assert targets.diagonal().max() < 0.05
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(64, dtype=targets.dtype))


@given(SEEDS, SIZES)
def test_thesis_contrastive_targets_equal_a_literal_loop(seed, b):
    identities, shares = random_batch(seed, b)
    found = contrastive_share(torch.tensor(identities), shares)
    for i, one in enumerate(identities):
        row = [((1 if one == other else 0) + float(shares[one, other])) / 2 for other in identities]
        assert found[i].tolist() == pytest.approx([value / sum(row) for value in row])


def test_both_contrastive_losses_read_row_i_of_the_targets():
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(3, 4, generator=generator) for _ in range(2))
    targets = contrastive_share(torch.tensor([0, 1, 2]), HALF)
    for loss, mine, theirs in zip(contrastive(images, texts, targets), (images, texts), (texts, images), strict=True):
        total = 0.0
        for i in range(3):
            scores = [math.exp(float(mine[i] @ theirs[a])) for a in range(3)]
            total -= sum(float(targets[i, a]) * math.log(scores[a] / sum(scores)) for a in range(3))
        assert loss.item() == pytest.approx(total / 3, rel=1e-5)


# --- stage 1, corrected: (1 - epsilon) on one's identity, epsilon over the others by their share


def test_corrected_contrastive_targets_worked_by_hand():
    found = contrastive_smoothing(torch.tensor([0, 1, 2]), HALF, 0.3)
    expected = [[0.7, 0.3, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]]  # 0.3 parted as 0.5 to 0.25 in the middle row
    torch.testing.assert_close(found, torch.tensor(expected))


def test_an_identity_that_nobody_resembles_keeps_all_of_the_mass():
    found = contrastive_smoothing(torch.tensor([0, 2, 0]), HALF, 0.3)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))


@given(SEEDS, SIZES, st.floats(0, 1))
def test_corrected_contrastive_targets_equal_a_literal_loop(seed, b, epsilon):
    identities, shares = random_batch(seed, b)
    found = contrastive_smoothing(torch.tensor(identities), shares, epsilon)
    for i, one in enumerate(identities):
        own = [1 / identities.count(one) if one == other else 0.0 for other in identities]
        others = [0.0 if one == other else float(shares[one, other]) for other in identities]
        if sum(others) == 0:
            assert found[i].tolist() == pytest.approx(own)
            continue
        row = [(1 - epsilon) * o + epsilon * a / sum(others) for o, a in zip(own, others, strict=True)]
        assert found[i].tolist() == pytest.approx(row)
        assert sum(row) == pytest.approx(1)


def test_corrected_form_leaves_nine_tenths_to_the_true_identity_among_64():
    targets = contrastive_smoothing(torch.arange(64), shares_of(64), 0.1)
    torch.testing.assert_close(targets.diagonal(), torch.full((64,), 0.9, dtype=targets.dtype))


@pytest.mark.parametrize(
    "targets", [contrastive_share, lambda ids, share: contrastive_smoothing(ids, share, 0.1)], ids=["thesis", "ours"]
)
def test_shares_follow_the_batch_to_its_device(targets):
    identities = torch.zeros(3, dtype=torch.long, device="meta")  # stands for any device that is not the CPU
    assert targets(identities, HALF).device.type == "meta"


# --- stage 2, thesis: the share itself


def test_thesis_class_targets_are_not_normalised_and_rows_sum_to_hundreds():
    shares = shares_of(400)
    table = class_share(shares)
    assert torch.equal(table, shares)
    assert table.sum(dim=1).min() > 200 and table.diagonal().min() == 1


def test_thesis_cross_entropy_is_the_literal_sum_over_targets_that_do_not_sum_to_one():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
    identities = torch.tensor([1, 0])
    total = 0.0
    for i, one in enumerate(identities.tolist()):
        z = sum(math.exp(value) for value in logits[i].tolist())
        total -= sum(float(HALF[one, k]) * math.log(math.exp(float(logits[i, k])) / z) for k in range(3))
    found = identity_cross_entropy(logits, identities, 0.1, class_share(HALF))
    assert found.item() == pytest.approx(total / 2)
    normalised = identity_cross_entropy(logits, identities, 0.1, HALF / HALF.sum(dim=1, keepdim=True))
    assert found.item() > 1.4 * normalised.item()  # rows sum to 1.5 and 1.75


# --- stage 2, corrected


def test_corrected_class_targets_worked_by_hand():
    expected = [[0.8, 0.2, 0.0], [0.4 / 3, 0.8, 0.2 / 3], [0.0, 0.2, 0.8]]
    torch.testing.assert_close(class_smoothing(HALF, 0.2), torch.tensor(expected))


@given(SEEDS, st.floats(0, 1))
def test_corrected_class_targets_equal_a_literal_loop(seed, epsilon):
    _, shares = random_batch(seed, 1)
    found = class_smoothing(shares, epsilon)
    for one in range(5):
        others = [0.0 if other == one else float(shares[one, other]) for other in range(5)]
        kept = 1 - epsilon if sum(others) else 1.0
        row = [kept if other == one else epsilon * others[other] / (sum(others) or 1) for other in range(5)]
        assert found[one].tolist() == pytest.approx(row)


def test_identity_targets_are_what_all_forms_come_to_without_attributes():
    identities = torch.tensor([2, 0, 2, 1])
    nothing_shared = torch.eye(3)
    expected = contrastive_identity(identities)
    torch.testing.assert_close(contrastive_share(identities, nothing_shared), expected)
    torch.testing.assert_close(contrastive_smoothing(identities, nothing_shared, 0.5), expected)
