"""Prototypes of identities: their loss, how they are remembered, and what they start from."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tiny_training import CLASSES, built, few_people, same_weights, tiny_settings, trained
from torch.nn import functional as F

from auxreid.auxiliary.prototypes import Prototypes, projected_attributes
from auxreid.clip.embed import encode_frames
from auxreid.clipreid.identity_attributes import identity_attributes
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig

CONFIG = {
    "kind": "prototypes",
    "feature": "f3",
    "initial": "features",
    "temperature": 0.1,
    "momentum": 0.2,
    "weight": 1.0,
    "shuffled": False,
}
TOLD = CONFIG | {"initial": "attributes", "ridge": 0.1}


@pytest.fixture
def people(tmp_path):
    return few_people(tmp_path)


def three() -> Prototypes:
    """Of three identities on the axes of a plane, and between them."""
    return Prototypes(torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]]), 1, 0.5, 0.25, 2.0)


def test_the_loss_of_a_worked_example():
    module, f2 = three(), torch.tensor([[3.0, 4.0], [2.0, 0.0]])  # cosines .6 .8 1 and 1 0 .6
    after, terms = module.eval()((torch.zeros(2, 1), f2, torch.zeros(2, 1)), (), torch.tensor([1, 0]))
    first = -1.6 + np.log(np.exp(1.2) + np.exp(1.6) + np.exp(2.0))
    second = -2.0 + np.log(np.exp(2.0) + 1 + np.exp(1.2))
    assert float(terms["prototypes"]) == pytest.approx((first + second) / 2)
    assert float(terms["loss"]) == pytest.approx(first + second)
    assert torch.equal(module.prototypes, three().prototypes) and after[1] is f2


def test_a_batch_moves_the_prototypes_of_its_identities():
    module, f2 = three().train(), torch.tensor([[0.0, 5.0], [0.0, 2.0], [3.0, -4.0]], requires_grad=True)
    _, terms = module((None, f2, None), (), torch.tensor([0, 0, 1]))
    moved = [np.array([0.25, 0.75]), np.array([0.75 * 0.6, 0.25 - 0.75 * 0.8])]
    for found, expected in zip(module.prototypes, moved, strict=False):
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), rtol=1e-6)
    assert torch.equal(module.prototypes[2], three().prototypes[2])  # nobody of it was seen
    terms["loss"].backward()  # of the prototypes as they were
    expected = f2.detach().clone().requires_grad_()
    logits = F.normalize(expected, dim=1) @ three().prototypes.T / 0.5
    (2 * F.cross_entropy(logits, torch.tensor([0, 0, 1]))).backward()
    torch.testing.assert_close(f2.grad, expected.grad)


def test_they_start_as_the_mean_features_of_the_start(people):
    encoder, module = built(people, CONFIG, tiny_settings())
    f3 = F.normalize(encode_frames(encoder, people, encoder.input_config)[2], dim=1)
    means = torch.stack([f3[number == CLASSES].mean(dim=0) for number in range(4)])
    torch.testing.assert_close(module.prototypes, F.normalize(means, dim=1))


def slowly(codes: np.ndarray, means: np.ndarray, ridge: float) -> np.ndarray:
    """Ridge regression as least squares on more rows: sqrt(k * ridge) for each word, whose target is 0."""
    rows = [
        [float(code == word) for place, code in enumerate(row) for word in sorted(set(codes[:, place]) - {-1})]
        for row in codes
    ]
    x, y = np.array(rows), means - means.mean(axis=0)
    x -= x.mean(axis=0)
    more = np.sqrt(len(x) * ridge) * np.eye(x.shape[1])
    weights = np.linalg.lstsq(np.concatenate([x, more]), np.concatenate([y, np.zeros((len(more), y.shape[1]))]))[0]
    return means.mean(axis=0) + x @ weights


def test_attributes_are_projected_by_ridge_regression():
    rng = np.random.default_rng(0)
    codes, means = rng.integers(-1, 3, (12, 3)), rng.standard_normal((12, 5))
    found = projected_attributes(codes, torch.from_numpy(means), 0.1)
    np.testing.assert_allclose(found, slowly(codes, means, 0.1), atol=1e-9)
    far = projected_attributes(codes, torch.from_numpy(means), 1e9)
    np.testing.assert_allclose(far, np.tile(means.mean(axis=0), (12, 1)), atol=1e-6)  # nothing but the mean is left


def test_they_start_as_mean_features_and_what_attributes_predict(people):
    encoder, module = built(people, TOLD, tiny_settings())
    f3 = F.normalize(encode_frames(encoder, people, encoder.input_config)[2], dim=1).numpy()
    means = np.stack([f3[number == CLASSES].mean(axis=0) for number in range(4)]).astype(np.float64)
    both = means + slowly(identity_attributes(people, CLASSES).codes, means, 0.1)
    np.testing.assert_allclose(module.prototypes, both / np.linalg.norm(both, axis=1, keepdims=True), rtol=1e-4)
    _, shuffled = built(people, TOLD | {"shuffled": True}, tiny_settings())
    assert not torch.allclose(module.prototypes, shuffled.prototypes)


@pytest.mark.parametrize("config", [CONFIG, TOLD, TOLD | {"feature": "f2", "shuffled": True}])
def test_at_weight_0_the_encoder_is_trained_as_without_prototypes(people, config):
    alone, _, _ = trained(people)
    assert same_weights(alone, trained(people, config | {"weight": 0.0})[0])
    beside, curve, module = trained(people, config)
    assert not same_weights(alone, beside) and all(means["prototypes"] > 0 for means in curve)
    torch.testing.assert_close(module.prototypes.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ridge": 0.1}, "ridge goes with initial: attributes"),
        ({"initial": "attributes"}, "ridge goes with initial: attributes"),
        ({"shuffled": True}, "shuffled goes with initial: attributes"),
    ],
)
def test_keys_of_attributes_go_with_attributes(changes, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(AuxiliaryConfig).validate_python(CONFIG | changes)
