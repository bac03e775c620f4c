"""Losses of CLIP-ReID against numbers worked by hand and literal loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auxreid.clipreid.attribute_targets import contrastive_identity
from auxreid.clipreid.losses import batch_hard_triplet, contrastive, identity_cross_entropy


def test_image_to_text_of_two_worked_by_hand():
    images, texts = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.eye(2)
    # logits [[1, 0], [0, 2]]
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 2
    i2t, _ = contrastive(images, texts, contrastive_identity(torch.tensor([4, 2])))
    assert i2t.item() == pytest.approx(expected)


def test_text_to_image_averages_over_the_images_of_an_identity():
    images = torch.tensor([[1.0], [3.0], [0.0]])
    texts = torch.tensor([[1.0], [1.0], [2.0]])  # the first two images share an identity, hence a text
    identities = torch.tensor([7, 7, 9])
    z1 = math.log(math.exp(1) + math.exp(3) + 1)
    z2 = math.log(math.exp(2) + math.exp(6) + 1)
    first = -((1 - z1) + (3 - z1)) / 2
    _, t2i = contrastive(images, texts, contrastive_identity(identities))
    assert t2i.item() == pytest.approx((first + first + z2) / 3)


@given(st.integers(0, 2**31), st.integers(2, 8))
def test_contrastive_losses_equal_literal_loops(seed, b):
    generator = torch.Generator().manual_seed(seed)
    identities = torch.randint(0, 3, (b,), generator=generator)
    per_identity = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    images, texts = torch.randn(b, 4, generator=generator, dtype=torch.float64), per_identity[identities]
    i2t, t2i = [], []
    ours = contrastive(images, texts, contrastive_identity(identities).double())
    for i in range(b):
        scores = [math.exp(float(images[i] @ texts[a])) for a in range(b)]
        i2t.append(-math.log(scores[i] / sum(scores)))
        back = [math.exp(float(images[a] @ texts[i])) for a in range(b)]
        positives = [p for p in range(b) if identities[p] == identities[i]]
        t2i.append(sum(-math.log(back[p] / sum(back)) for p in positives) / len(positives))
    assert ours[0].item() == pytest.approx(sum(i2t) / b)
    assert ours[1].item() == pytest.approx(sum(t2i) / b)


def test_image_text_cross_entropy_with_smoothing_worked_by_hand():
    images, texts = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    z = math.log(math.exp(2) + 1)
    expected = -(0.95 * (2 - z) + 0.05 * (0 - z))  # eps 0.1 over two identities
    assert identity_cross_entropy(images @ texts.T, torch.tensor([0]), 0.1).item() == pytest.approx(expected)


def test_triplet_worked_by_hand():
    features = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
    identities = torch.tensor([0, 0, 1, 1])
    # anchors: d_ap 1, 1, .5, .5; d_an 3, 2, 2, 2.5 -> margin 1.5: 0, .5, 0, 0
    assert batch_hard_triplet(features, identities, 1.5).item() == pytest.approx(0.125, abs=1e-5)


@given(st.integers(0, 2**31))
def test_triplet_equals_the_hardest_of_all_triplets(seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    identities = torch.tensor([0, 0, 1, 1, 2, 2])
    losses = []
    for a in range(6):
        d = [float((features[a] - features[other]).norm()) for other in range(6)]
        ap = max(d[p] for p in range(6) if identities[p] == identities[a])
        an = min(d[n] for n in range(6) if identities[n] != identities[a])
        losses.append(max(0.3 + ap - an, 0.0))
    assert batch_hard_triplet(features, identities, 0.3).item() == pytest.approx(sum(losses) / 6, abs=1e-6)


def test_triplet_of_equal_features_has_a_finite_gradient():
    features = torch.zeros(4, 2, requires_grad=True)
    batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert torch.isfinite(features.grad).all()
