"""Normalisations before the fusion: running means worked by hand over three batches, and their gradients."""

import copy

import pytest
import torch
from torch import nn

from auxreid.clipreid.normalisation import RunningMeanNorm, UnitNorm, build_normalisation

# lengths 5 and 1, 2 and 10, 13 and 7: mean lengths 3, 6, 10
BATCHES = [torch.tensor(rows) for rows in ([[3.0, 4], [0, 1]], [[0.0, 2], [6, 8]], [[5.0, 12], [0, 7]])]
MEANS = [3.0, 0.9 * 3 + 0.1 * 6, 0.9 * (0.9 * 3 + 0.1 * 6) + 0.1 * 10]  # 3, 3.3, 3.97


@pytest.mark.parametrize("detach", [False, True])
def test_running_mean_over_three_batches_by_hand(detach):
    norm = RunningMeanNorm(detach=detach)
    for batch, mean in zip(BATCHES, MEANS, strict=True):
        torch.testing.assert_close(norm(batch), batch / mean)
        assert norm.mean_norm.item() == pytest.approx(mean)


def test_eval_mode_divides_by_the_mean_and_leaves_it():
    norm = RunningMeanNorm()
    norm(BATCHES[0])
    norm.eval()
    torch.testing.assert_close(norm(BATCHES[2]), BATCHES[2] / 3)
    assert norm.mean_norm.item() == 3


def test_a_vectors_result_does_not_depend_on_its_companions_in_eval_mode_but_lengths_stay_apart():
    norm = RunningMeanNorm()
    norm(BATCHES[0])
    norm.eval()
    assert torch.equal(norm(BATCHES[1])[:1], norm(BATCHES[1][:1]))
    assert norm(BATCHES[1]).norm(dim=1).tolist() == pytest.approx([2 / 3, 10 / 3])


def test_the_momentum_is_a_parameter():
    norm = RunningMeanNorm(momentum=0.5)
    for batch in BATCHES[:2]:
        norm(batch)
    assert norm.mean_norm.item() == pytest.approx(4.5)


def test_eval_mode_before_any_batch_is_an_error():
    with pytest.raises(ValueError, match="no batch"):
        RunningMeanNorm().eval()(BATCHES[0])


def test_the_mean_is_kept_in_the_state():
    norm, other = RunningMeanNorm(), RunningMeanNorm()
    norm(BATCHES[0])
    other.load_state_dict(norm.state_dict())
    torch.testing.assert_close(other(BATCHES[1]), BATCHES[1] / MEANS[1])  # not taken for a first batch


def after(batches: int, detach: bool) -> RunningMeanNorm:
    """A norm that has seen so many batches, in float64."""
    norm = RunningMeanNorm(detach=detach).double()
    for batch in BATCHES[:batches]:
        norm(batch.double())
    return norm


def gradient(norm: RunningMeanNorm, batch: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """d/dv of sum(weights * result)."""
    vectors = batch.double().requires_grad_()
    (copy.deepcopy(norm)(vectors) * weights).sum().backward()
    return vectors.grad


def by_finite_differences(norm: RunningMeanNorm, batch: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    step, found = 1e-6, torch.zeros_like(batch, dtype=torch.float64)
    for place in torch.cartesian_prod(*map(torch.arange, batch.shape)):
        ends = []
        for sign in (1, -1):
            moved = batch.double()
            moved[tuple(place)] += sign * step
            ends.append((copy.deepcopy(norm)(moved) * weights).sum())
        found[tuple(place)] = (ends[0] - ends[1]) / (2 * step)
    return found


WEIGHTS = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64)


@pytest.mark.parametrize(("seen", "share"), [(0, 1.0), (1, 0.1), (2, 0.1)])
def test_thesis_gradient_goes_through_the_batchs_share_of_the_mean(seen, share):
    norm, batch = after(seen, detach=False), BATCHES[2]
    found = gradient(norm, batch, WEIGHTS)
    torch.testing.assert_close(found, by_finite_differences(norm, batch, WEIGHTS), atol=1e-8, rtol=1e-6)
    v = batch.double()
    lengths = v.norm(dim=1, keepdim=True)
    m = share * lengths.mean() + (1 - share) * norm.mean_norm
    through_mean = (WEIGHTS * v).sum() / m**2 * share * v / (len(v) * lengths)  # d m / d v_i = share * v_i / (b |v_i|)
    torch.testing.assert_close(found, WEIGHTS / m - through_mean)


@pytest.mark.parametrize(("seen", "mean"), [(0, 10.0), (1, 0.9 * 3 + 0.1 * 10), (2, MEANS[2])])
def test_corrected_gradient_takes_the_mean_for_a_constant(seen, mean):
    torch.testing.assert_close(gradient(after(seen, detach=True), BATCHES[2], WEIGHTS), WEIGHTS / mean)


@pytest.mark.parametrize("detach", [False, True])
def test_a_step_does_not_reach_back_into_the_steps_before(detach):
    norm = RunningMeanNorm(detach=detach)
    first, second = (batch.clone().requires_grad_() for batch in BATCHES[:2])
    norm(first).sum().backward()
    before = first.grad.clone()
    norm(second).sum().backward()  # torch would refuse to go through the first step's graph again
    assert torch.equal(first.grad, before) and not norm.mean_norm.requires_grad


def test_unit_norm_by_hand_and_a_vector_of_length_zero_stays_zero():
    found = UnitNorm()(torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]))


@pytest.mark.parametrize("detach", [False, True])
def test_names_of_params_yaml(detach):
    assert type(build_normalisation("none", detach)) is nn.Identity
    assert type(build_normalisation("unit", detach)) is UnitNorm
    mean = build_normalisation("mean_norm", detach)
    assert type(mean) is RunningMeanNorm and mean.detach is detach and mean.momentum == 0.1
