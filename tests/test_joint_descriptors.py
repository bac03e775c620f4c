"""Local descriptors beside the losses: a literal computation, the gradient, and that a weight of 0 changes nothing."""

import numpy as np
import pytest
import torch
from joint_study import CLASSES, HEIGHT, WIDTH, equal_weights, idea, joint_frames, settings_of, tower, train
from pydantic import ValidationError
from torch.nn import functional as F

from auxreid.clip.images import PADDING, PLAIN, View
from auxreid.clip.maps import captured
from auxreid.clipreid.map_pools import PoolProjections
from auxreid.pose.gaussians import stripe_pools
from auxreid.pose.joint_places import open_places

KIND = {"kind": "joint_descriptors", "maps": ["middle", "late"], "dim": 4, "weight": 0.3}
JOINTS = KIND | {"pools": "joints", "sigma": 0.1}
STRIPES = KIND | {"pools": "stripes", "count": 2}


@pytest.fixture
def data(tmp_path):
    return joint_frames(tmp_path)


def observed(block, data, rows, views):
    """The idea, its maps of noise images, and what it observes."""
    encoder = tower().eval()
    added = idea(block, data, encoder)
    images = torch.randn(len(rows), 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    with captured(encoder, added.maps) as maps:
        features = encoder(images)
    return added, features, maps, added.observe(features, maps, added.inputs(rows, views))


@pytest.mark.parametrize("pools", ["joints", "other_joints", "mean_joints"])
def test_descriptors_are_those_of_a_loop_over_cells(data, pools):
    rows, views = np.array([4, 0, 7]), [PLAIN, View(True, PADDING, PADDING), View(False, 4, 13)]
    added, _, maps, [found] = observed(JOINTS | {"pools": pools}, data, rows, views)
    whose = {"joints": "own", "other_joints": "other", "mean_joints": "mean"}[pools]
    places = open_places(data[1], data[0], (HEIGHT, WIDTH), whose, 0)(rows, views).double().numpy()
    for image in range(3):
        expected = []
        for name, stride, projection in zip(("middle", "late"), (8, 16), added.projections, strict=True):
            cells = maps[name][image].detach().double().numpy()
            for pool, group in enumerate([[0], [1, 2]]):  # the neck; both hips
                vector, total = 0, 0
                for row in range(cells.shape[1]):
                    for column in range(cells.shape[2]):
                        for joint in group:
                            down = stride * (row + 0.5) - places[image, joint, 1] * HEIGHT
                            across = stride * (column + 0.5) - places[image, joint, 0] * WIDTH
                            weight = np.exp(-(down**2 + across**2) / (2 * (0.1 * HEIGHT) ** 2))
                            vector, total = vector + weight * cells[:, row, column], total + weight
                expected.append(vector / total @ projection.weight[pool].detach().double().numpy())
        np.testing.assert_allclose(found[image].detach(), np.concatenate(expected), atol=1e-4)


def test_stripes_are_pooled_alike_in_all_images_and_read_no_joints(data):
    rows = np.array([0, 1])
    added, _, maps, [found] = observed(STRIPES, (data[0], None), rows, [PLAIN, PLAIN])
    parts = []
    for name, projection in zip(("middle", "late"), added.projections, strict=True):
        weights = stripe_pools(2, tuple(maps[name].shape[2:]))
        parts += [
            torch.einsum("bdhw,hw,de->be", maps[name], one, matrix)
            for one, matrix in zip(weights, projection.weight, strict=True)
        ]
    torch.testing.assert_close(found, torch.cat(parts, dim=1))
    assert not settings_of(STRIPES).needs_pose and settings_of(JOINTS).needs_pose


def test_the_loss_is_the_weighted_sum_of_its_terms(data):
    added = idea(JOINTS, data, tower())
    vectors, labels = torch.randn(6, 16, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 0, 1, 1, 2, 2])
    features = (torch.zeros(6, 2),)
    passed, terms = added(features, (vectors,), labels)
    assert passed is features
    q = F.one_hot(labels, 3) * 0.9 + 0.1 / 3
    necked = (vectors - vectors.mean(0)) / (vectors.var(0, unbiased=False) + 1e-5).sqrt()
    identity = -(q * F.log_softmax(necked @ added.neck.classifier.weight.T, dim=1)).sum(1).mean()
    distances = torch.cdist(vectors, vectors)
    hardest = []
    for anchor in range(6):
        same = [distances[anchor, one] for one in range(6) if labels[one] == labels[anchor]]
        others = [distances[anchor, one] for one in range(6) if labels[one] != labels[anchor]]
        hardest.append(max(0.3 + max(same) - min(others), torch.tensor(0.0)))
    triplet = torch.stack(hardest).mean()
    torch.testing.assert_close(terms["descriptor_id"], identity)
    torch.testing.assert_close(terms["descriptor_triplet"], triplet)
    torch.testing.assert_close(terms["loss"], 0.3 * (0.5 * identity + 2.0 * triplet))


def test_each_pool_has_a_layer_of_its_own():
    layers = PoolProjections(2, 3, 4)
    vectors = torch.randn(5, 2, 3)
    expected = torch.stack([vectors[:, pool] @ layers.weight[pool] for pool in range(2)], dim=1)
    torch.testing.assert_close(layers(vectors), expected)


def test_the_gradient_reaches_the_encoder_up_to_the_late_map(data):
    encoder = tower()
    added = idea(JOINTS, data, encoder)
    rows = np.arange(6)
    with captured(encoder, added.maps) as maps:
        features = encoder(torch.randn(6, 3, HEIGHT, WIDTH))
    known = added.inputs(rows, [PLAIN] * 6)
    added(features, added.observe(features, maps, known), torch.from_numpy(CLASSES[:6]))[1]["loss"].backward()
    assert encoder.visual.conv1.weight.grad.abs().max() > 0 and encoder.visual.layer4[0].conv1.weight.grad is None
    assert all(layer.weight.grad.abs().max() > 0 for layer in added.projections)


def test_a_weight_of_0_trains_the_encoder_as_without_it(data):
    alone, _, _ = train(None, data)
    beside, _, curve = train(JOINTS | {"weight": 0.0}, data)
    assert equal_weights(alone, beside)
    assert {"descriptor_id", "descriptor_triplet"} < set(curve[0])


def test_equal_seeds_give_equal_weights_and_the_weight_counts(data):
    (first, ours, _), (second, theirs, _), (alone, _, _) = train(JOINTS, data), train(JOINTS, data), train(None, data)
    assert equal_weights(first, second) and equal_weights(ours, theirs) and not equal_weights(first, alone)


@pytest.mark.parametrize(
    "changed",
    [{"sigma": None}, {"count": 3}, {"pools": "stripes"}, {"maps": []}, {"pools": "mean_joints", "doubt": 0.1}],
)
def test_pools_have_what_they_use_and_nothing_else(changed):
    with pytest.raises(ValidationError):
        settings_of(JOINTS | changed)
