"""The parts of the metric model against values worked by hand and slow references."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from auxreid.metric.clusters import cluster_classes
from auxreid.metric.identity import Identity
from auxreid.metric.losses import LOSSES, build_loss, suspicious_images
from auxreid.metric.projection import Whitening, principal_axes, turn
from auxreid.metric.unicom import Unicom, margin_softmax
from auxreid.metric.verification import Verification

ROW = {"scale": 8.0, "margin": 0.3, "share": 0.4, "dimensions": 0.5, "centers": 2, "smoothing": 0.1}


def row(loss: str, **values) -> SimpleNamespace:
    return SimpleNamespace(loss=loss, **ROW | values)


def by_hand(embeddings, prototypes, targets, scale, margin) -> float:
    """The margin softmax, number by number."""
    total = 0.0
    for embedding, target in zip(embeddings, targets, strict=True):
        logits = []
        for number, prototype in enumerate(prototypes):
            cosine = float(embedding @ prototype / (np.linalg.norm(embedding) * np.linalg.norm(prototype)))
            logits.append(scale * (math.cos(math.acos(cosine) + margin) if number == target else cosine))
        total -= logits[target] - math.log(sum(map(math.exp, logits)))
    return total / len(embeddings)


def test_the_margin_softmax_of_right_angles():
    """Own prototype at 60 degrees with a margin of 30: cos 90 = 0; the other at 30 degrees."""
    embedding, prototypes = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.5, 0.75**0.5], [3 * 0.75**0.5, 3 * 0.5]])
    found = margin_softmax(embedding, prototypes, torch.tensor([0]), scale=2.0, margin=math.pi / 6)
    assert float(found) == pytest.approx(math.log(1 + math.exp(2 * 0.75**0.5)), abs=1e-5)


def test_a_margin_beyond_the_half_circle_goes_on_falling():
    angles = torch.linspace(math.pi - 0.5, math.pi - 0.01, 20)
    embeddings = torch.stack([angles.cos(), angles.sin()], 1)
    prototypes = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    losses = [float(margin_softmax(e[None], prototypes, torch.tensor([0]), 4.0, 0.3)) for e in embeddings]
    assert losses == sorted(losses) and math.isfinite(losses[-1])


def test_unicom_takes_the_dimensions_before_it_normalises():
    torch.manual_seed(0)
    loss = Unicom(5, 6, scale=8.0, margin=0.2, share=0.6, dimensions=0.5)
    embeddings, labels = torch.randn(4, 6), torch.tensor([3, 0, 3, 1])
    torch.manual_seed(7)
    found = float(loss(embeddings, labels).detach())
    torch.manual_seed(7)
    classes, dimensions = loss.draw(labels)
    assert len(classes) == 3 and len(dimensions) == 3
    prototypes = loss.prototypes.detach().numpy()[classes][:, dimensions]
    targets = [classes.tolist().index(label) for label in labels.tolist()]
    assert found == pytest.approx(by_hand(embeddings.numpy()[:, dimensions], prototypes, targets, 8.0, 0.2), abs=1e-4)


def test_unicom_draws_the_batch_and_a_share_of_the_others_each_equally_often():
    torch.manual_seed(0)
    loss, labels = Unicom(20, 10, scale=8.0, margin=0.2, share=0.3, dimensions=0.4), torch.tensor([4, 4, 9])
    seen, parts = torch.zeros(20), torch.zeros(10)
    for _ in range(600):
        classes, dimensions = loss.draw(labels)
        assert len(classes) == 6 and {4, 9} <= set(classes.tolist())
        assert classes.tolist() == sorted(set(classes.tolist())) and dimensions.tolist() == sorted(dimensions.tolist())
        seen[classes] += 1
        parts[dimensions] += 1
    others = torch.tensor([k for k in range(20) if k not in (4, 9)])
    assert (seen[others] / 600 - 4 / 18).abs().max() < 0.07 and (parts / 600 - 0.4).abs().max() < 0.08


def test_prototypes_that_take_no_part_get_no_gradient():
    torch.manual_seed(1)
    loss, labels = Unicom(8, 4, scale=8.0, margin=0.2, share=0.01, dimensions=1.0), torch.tensor([2, 5])
    loss(torch.randn(2, 4), labels).backward()
    assert loss.prototypes.grad.abs().sum(1).nonzero().flatten().tolist() == [2, 5]


@pytest.mark.parametrize("values", [{"share": 0.0}, {"dimensions": 1.5}])
def test_shares_outside_are_refused(values):
    with pytest.raises(ValueError, match="allowed is above 0 up to 1"):
        Unicom(4, 4, **{"scale": 1.0, "margin": 0.1, "share": 0.5, "dimensions": 0.5} | values)


def test_arcface_of_the_library_is_unicom_with_all_classes_and_dimensions():
    torch.manual_seed(0)
    arcface = build_loss(row("arcface"), 4, 6)
    unicom = build_loss(row("unicom", share=1.0, dimensions=1.0), 4, 6)
    unicom.prototypes.data = arcface.W.data.T.clone()
    embeddings, labels = torch.randn(5, 6), torch.tensor([0, 1, 2, 3, 0])
    with torch.no_grad():
        assert float(arcface(embeddings, labels)) == pytest.approx(float(unicom(embeddings, labels)), abs=1e-4)


def test_the_triplet_takes_the_farthest_positive_and_the_nearest_negative():
    """On the unit circle at 0, 60, 90 and 180 degrees; labels a a b b. Chords are 2 sin(angle / 2)."""
    degrees = torch.tensor([0.0, 60.0, 90.0, 180.0]).deg2rad()
    embeddings = 3 * torch.stack([degrees.cos(), degrees.sin()], 1)
    chord = lambda angle: 2 * math.sin(math.radians(angle) / 2)  # noqa: E731
    pairs = [(60, 90), (60, 30), (90, 30), (90, 120)]
    wanted = sum(max(0.3 + chord(positive) - chord(negative), 0) for positive, negative in pairs) / 4
    found = build_loss(row("triplet"), 2, 2)(embeddings, torch.tensor([0, 0, 1, 1]))
    assert float(found) == pytest.approx(wanted, abs=1e-4)


def test_the_verification_loss_by_hand():
    """Cosines: 1 of the equal pair, 0 of the two others; a = 4, b = -2."""
    loss = Verification(4.0)
    embeddings, labels = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 1])
    assert float(loss(embeddings, labels)) == pytest.approx(math.log(1 + math.exp(-2)))
    with pytest.raises(ValueError, match="2 images of 2 identities have no pairs of both kinds"):
        loss(embeddings[1:], labels[1:])


def test_the_identity_loss_by_hand():
    loss = Identity(2, 2, scale=2.0, smoothing=0.2)
    loss.weight.data = torch.eye(2)
    logs = [-math.log(1 + math.exp(-2)), -2 - math.log(1 + math.exp(-2))]
    found = loss(torch.tensor([[5.0, 0.0]]), torch.tensor([0]))
    assert float(found) == pytest.approx(-0.9 * logs[0] - 0.1 * logs[1], abs=1e-6)


def test_subcentres_name_the_photos_that_bear_a_wrong_label():
    """Two individuals along two axes; one photo of the first bears the second's name."""
    torch.manual_seed(2)
    axes = torch.eye(6)[[0] * 8 + [3] * 8] + 0.05 * torch.randn(16, 6)
    labels = torch.tensor([0] * 7 + [1] + [1] * 8)
    assert suspicious_images(row("subcenter_arcface", scale=16.0, centers=3), axes, labels).tolist() == [7]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_as_embeddings_of_one_identity_come_together(name):
    torch.manual_seed(0)
    loss = build_loss(row(name), 4, 8)
    embeddings = torch.nn.Parameter(torch.randn(16, 8))
    labels = torch.arange(16) % 4
    optimizer = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss(embeddings, labels).backward()
        optimizer.step()
    cosines = F.normalize(embeddings.detach()) @ F.normalize(embeddings.detach()).T
    same = labels[:, None] == labels
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


# classes and projections


def test_clusters_are_those_of_the_points_numbered_by_their_first_image():
    centres = np.eye(5)[[2, 0, 2, 4, 0, 4, 2, 0]]
    points = centres + 0.01 * np.random.default_rng(0).normal(size=centres.shape)
    assert cluster_classes(points, 3, seed=0).tolist() == [0, 1, 0, 2, 1, 2, 0, 1]
    assert cluster_classes(points, 100, seed=0).max() == 3  # two images each
    with pytest.raises(ValueError, match="3 images are too few"):
        cluster_classes(points[:3], 2, seed=0)


def test_principal_axes_change_no_cosine_and_begin_with_most_energy():
    torch.manual_seed(0)
    features = F.normalize(torch.randn(30, 6) * torch.tensor([1.0, 5, 2, 0.1, 3, 0.5]))
    axes = principal_axes(features, 6)
    made = features @ axes.T
    assert torch.allclose(axes @ axes.T, torch.eye(6), atol=1e-5)
    assert torch.allclose(made @ made.T, features @ features.T, atol=1e-5)
    energy = made.square().sum(0)
    assert (energy[:-1] >= energy[1:]).all()
    singular = torch.linalg.svdvals(features)
    assert torch.allclose(energy, singular.square(), atol=1e-4)
    assert principal_axes(features[:2], 6).shape == (6, 6)  # fewer images than axes
    with pytest.raises(ValueError, match="7 axes"):
        principal_axes(features, 7)


def test_a_turned_layer_keeps_cosines_and_its_cuts_lose_least():
    torch.manual_seed(0)
    features, layer = torch.randn(40, 8), torch.nn.Linear(8, 5)
    with torch.no_grad():
        before = F.normalize(layer(features))
        turn(layer, features)
        after = F.normalize(layer(features))
    assert torch.allclose(before @ before.T, after @ after.T, atol=1e-5)
    assert after[:, :2].square().sum() >= before[:, :2].square().sum()


def test_whitening_by_hand_and_shrunk_to_the_encoder_as_it_is():
    """Two individuals; within them the first axis varies nine times as much (variance) as the second."""
    features = np.array([[3.0, 0], [-3, 0], [0, 1], [0, -1], [13, 5], [7, 5], [10, 6], [10, 4]])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    found = Whitening(features, labels)
    assert np.allclose(found.matrix(0.0), [[0.5, 0], [0, 1.5]])
    assert np.allclose(found.matrix(1.0), np.eye(2))
    with pytest.raises(ValueError, match="no identity has two images"):
        Whitening(features[:2], np.array([0, 1]))
