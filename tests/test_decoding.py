"""How many processes decode images: asked for, none without a GPU, else measured."""

import time

import pytest
import torch
from torch.utils.data import Dataset

from auxreid.plumbing.base.errors import ConfigError
from auxreid.training import decoding
from auxreid.training.decoding import decoding_processes, images_per_second, processes_that_pay


class Slow(Dataset):
    """Takes 2 ms an item, in which the cores are free."""

    def __getitem__(self, key: int) -> torch.Tensor:
        time.sleep(0.002)
        return torch.tensor([key])


def limited(by_one: float, at_most: float):
    """Images a second of so many processes that one resource limits."""
    return lambda count: min(count * by_one, at_most)


@pytest.mark.parametrize(
    ("rate", "most", "expected"),
    [
        (limited(100, 1000), 15, 15),  # 1, 2, 4, 8 and 15: 1,000 is not reached before 10
        (limited(100, 1000), 7, 7),
        (limited(100, 390), 15, 4),  # 8 give no more than 4
        (limited(100, 100), 15, 1),
        (limited(100, 110), 3, 1),  # a tenth more is not worth another process
        (limited(100, 1000), 1, 1),
        (limited(100, 1000), 0, 0),  # no core beside the one that feeds the GPU
        (limited(100, 1000), -1, 0),
    ],
)
def test_processes_double_as_long_as_they_pay(rate, most, expected):
    assert processes_that_pay(rate, most) == expected


def test_a_rate_is_that_of_running_processes():
    alone, two = (images_per_second(Slow(), list(range(40)), count) for count in (1, 2))
    assert alone < 500  # 2 ms each
    assert 1.3 < two / alone < 3


def test_without_a_gpu_there_are_none_and_with_one_what_was_measured(monkeypatch, capsys):
    monkeypatch.delenv("AUXREID_WORKERS", raising=False)
    assert decoding_processes(Slow(), range(40)) == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(decoding, "_measured", {})
    rates = []
    monkeypatch.setattr(decoding, "images_per_second", lambda *asked: rates.append(asked[1:]) or 100.0 * asked[2])
    monkeypatch.setattr(decoding.os, "sched_getaffinity", lambda process: set(range(4)))
    assert decoding_processes(Slow(), range(40)) == 3
    assert capsys.readouterr().out == "  decoding in 3 processes: 300 images/s, one alone 100\n"
    assert rates == [(list(range(40)), count) for count in (2, 1, 3)]
    assert decoding_processes(Slow(), range(40)) == 3 and len(rates) == 3  # measured once
    monkeypatch.setenv("AUXREID_WORKERS", "1")
    assert decoding_processes(Slow(), range(40)) == 1


def test_a_measurement_draws_nothing_from_the_training(monkeypatch):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    images_per_second(Slow(), [1, 2], 1)
    assert torch.equal(torch.rand(3), expected)


def test_what_is_asked_for_must_be_a_number(monkeypatch):
    monkeypatch.setenv("AUXREID_WORKERS", "many")
    with pytest.raises(ConfigError, match="AUXREID_WORKERS = 'many': a number from 0 on is needed"):
        decoding_processes(Slow(), [0])
