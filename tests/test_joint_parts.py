"""Parts around joints beside the losses: confidences, distances over what two images show, the terms, the gradient."""

import numpy as np
import pytest
import torch
from joint_study import CLASSES, HEIGHT, WIDTH, equal_weights, idea, joint_frames, settings_of, tower, train
from torch.nn import functional as F

from auxreid.auxiliary.joint_parts import part_distances
from auxreid.clip.images import PLAIN
from auxreid.clip.maps import captured
from auxreid.clipreid.losses import batch_hard_triplet, hardest_triplet
from auxreid.pose.joint_places import open_places

KIND = {"kind": "joint_parts", "dim": 4, "visible": 0.5, "weight": 0.3}
JOINTS = KIND | {"pools": "joints", "sigma": 0.1}
GLOBAL = KIND | {"pools": "global", "count": 2}
ROWS = np.arange(9)


@pytest.fixture
def data(tmp_path):
    return joint_frames(tmp_path)


def observed(block, data):
    """The idea, its map of noise images, and what it observes of all frames."""
    encoder = tower().eval()
    added = idea(block, data, encoder)
    images = torch.randn(9, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    with captured(encoder, added.maps) as maps:
        features = encoder(images)
    known = added.inputs(ROWS, [PLAIN] * 9)
    return added, features, maps["last"], added.observe(features, maps, known)


def test_parts_are_those_of_a_loop_over_cells(data):
    """Of both hips, the one that is seen better has more of the part; stride 16 to the end."""
    added, _, cells, (vectors, confidences) = observed(JOINTS, data)
    places = open_places(data[1], data[0], (HEIGHT, WIDTH))(ROWS, [PLAIN] * 9).double().numpy()
    surest = np.stack([places[:, 0, 2], places[:, 1:, 2].max(axis=1)], axis=1)
    np.testing.assert_allclose(confidences, np.minimum(surest / np.median(surest, axis=0), 1), rtol=1e-5)
    for image in range(9):
        for part, group in enumerate([[0], [1, 2]]):
            vector, total = 0, 0
            for row in range(4):
                for column in range(2):
                    for joint in group:
                        x, y, height = places[image, joint]
                        down, across = 16 * (row + 0.5) - y * HEIGHT, 16 * (column + 0.5) - x * WIDTH
                        weight = height * np.exp(-(down**2 + across**2) / (2 * (0.1 * HEIGHT) ** 2))
                        vector = vector + weight * cells[image, :, row, column].detach().double().numpy()
                        total += weight
            expected = vector / total @ added.project.weight[part].detach().double().numpy()
            np.testing.assert_allclose(vectors[image, part].detach(), expected, atol=1e-4)


def test_the_global_control_has_as_many_layers_on_the_whole_map(data):
    added, (_, f2, _), _, (vectors, confidences) = observed(GLOBAL, (data[0], None))
    torch.testing.assert_close(vectors, torch.einsum("bd,pde->bpe", f2, added.project.weight))
    assert torch.equal(confidences, torch.ones(9, 2))
    assert not settings_of(GLOBAL).needs_pose and settings_of(JOINTS).needs_pose


def test_another_images_joints_bring_their_confidences(data):
    _, _, _, (_, own) = observed(JOINTS, data)
    _, _, _, (_, other) = observed(JOINTS | {"pools": "other_joints"}, data)
    assert not torch.equal(own, other)
    torch.testing.assert_close(own[:, 0].sort().values, other[:, 0].sort().values)


def test_distances_by_hand():
    """Three parts on a line: 0 and 1 share the first; 0 and 2 share two; 1 and 2 share none, so that all count."""
    vectors = torch.tensor([[[0.0], [0.0], [0.0]], [[1.0], [5.0], [9.0]], [[2.0], [4.0], [6.0]]])
    visible = torch.tensor([[True, True, True], [True, False, False], [False, True, True]])
    found = part_distances(vectors, visible)
    expected = torch.tensor([[0, 1, 5], [1, 0, (1 + 1 + 3) / 3], [5, (1 + 1 + 3) / 3, 0]])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_triplet_is_the_batch_hard_one_of_given_distances():
    vectors, labels = torch.randn(6, 1, 5), torch.tensor([0, 0, 1, 1, 2, 2])
    found = hardest_triplet(part_distances(vectors, torch.ones(6, 1, dtype=torch.bool)), labels, 0.3)
    torch.testing.assert_close(found, batch_hard_triplet(vectors[:, 0], labels, 0.3))


def test_the_loss_is_the_weighted_sum_of_its_terms(data):
    added = idea(JOINTS, data, tower())
    generator = torch.Generator().manual_seed(2)
    vectors, confidences = torch.randn(6, 2, 4, generator=generator), torch.rand(6, 2, generator=generator)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    _, terms = added((), (vectors, confidences), labels)
    whole = torch.cat([confidences[:, [0]] * vectors[:, 0], confidences[:, [1]] * vectors[:, 1]], dim=1)
    q = F.one_hot(labels, 3) * 0.9 + 0.1 / 3
    necked = (whole - whole.mean(0)) / (whole.var(0, unbiased=False) + 1e-5).sqrt()
    identity = -(q * F.log_softmax(necked @ added.neck.classifier.weight.T, dim=1)).sum(1).mean()
    torch.testing.assert_close(terms["part_id"], identity)
    torch.testing.assert_close(terms["loss"], 0.3 * (0.5 * identity + 2.0 * terms["part_triplet"]))


def test_the_gradient_reaches_the_encoder(data):
    encoder = tower()
    added = idea(JOINTS, data, encoder)
    with captured(encoder, added.maps) as maps:
        features = encoder(torch.randn(9, 3, HEIGHT, WIDTH))
    seen = added.observe(features, maps, added.inputs(ROWS, [PLAIN] * 9))
    added(features, seen, torch.from_numpy(CLASSES))[1]["loss"].backward()
    assert encoder.visual.conv1.weight.grad.abs().max() > 0
    assert added.project.weight.grad.abs().amax(dim=(1, 2)).min() > 0


def test_a_weight_of_0_trains_the_encoder_as_without_it_and_equal_seeds_alike(data):
    alone, _, _ = train(None, data)
    beside, _, curve = train(JOINTS | {"weight": 0.0}, data)
    assert equal_weights(alone, beside) and {"part_id", "part_triplet"} < set(curve[0])
    (first, ours, _), (second, theirs, _) = train(JOINTS, data), train(JOINTS, data)
    assert equal_weights(first, second) and equal_weights(ours, theirs) and not equal_weights(first, alone)
