"""Learning rates against the reference settings' corner points."""

import pytest

from auxreid.clipreid.schedules import warmup_cosine, warmup_steps

STAGE1 = {"epochs": 60, "lr": 3.5e-4, "warmup_epochs": 5, "warmup_lr": 1e-5, "min_lr": 1e-6}
STAGE2 = {"warmup_epochs": 10, "warmup_factor": 0.01, "milestones": [40, 70], "gamma": 0.1}


def test_stage1_warms_up_linearly_then_follows_the_cosine():
    assert warmup_cosine(0, **STAGE1) == pytest.approx(1e-5)
    assert warmup_cosine(1, **STAGE1) == pytest.approx(1e-5 + 3.4e-4 / 5)
    assert warmup_cosine(30, **STAGE1) == pytest.approx((3.5e-4 + 1e-6) / 2)
    assert warmup_cosine(60, **STAGE1) == pytest.approx(1e-6)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(1, 0.1 * 0.99 + 0.01), (5, 0.505), (10, 1.0), (39, 1.0), (40, 0.1), (69, 0.1), (70, 0.01), (120, 0.01)],
)
def test_stage2_warms_up_and_steps(epoch, factor):
    assert warmup_steps(epoch, **STAGE2) == pytest.approx(factor)
