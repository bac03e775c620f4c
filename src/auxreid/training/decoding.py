"""How many processes decode images beside a training: none without a GPU; with one, as many as a measurement pays for.

They change no result. Without a GPU the network would lose the cores that they take.
"""

import os
import time
from collections.abc import Callable, Iterable
from functools import cache
from itertools import cycle, islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from auxreid.plumbing.base.errors import ConfigError

WORKERS = "AUXREID_WORKERS"
LEAST_GAIN = 1.15  # of the images a second, by twice the processes
BATCH, BATCHES = 16, 4  # that each process decodes in a measurement; the first one of each is not counted


def decoding_processes(images: Dataset, keys: Iterable[Any]) -> int:
    """What AUXREID_WORKERS says; else 0 without a GPU, and with one what a measurement on `images[key]` finds best.

    It is made once for each kind of images, and told in a line.

    Raises:
        ConfigError: AUXREID_WORKERS is no number from 0 on.
    """
    asked = os.environ.get(WORKERS)
    if asked is not None:
        if not asked.isdecimal():
            raise ConfigError(f"environment variable {WORKERS} = {asked!r}: a number from 0 on is needed")
        return int(asked)
    if not torch.cuda.is_available():
        return 0
    if type(images) not in _measured:
        _measured[type(images)] = _measure(images, list(islice(keys, BATCH * BATCHES)))
    return _measured[type(images)]


_measured: dict[type, int] = {}


def _measure(images: Dataset, keys: list[Any]) -> int:
    rate = cache(lambda count: images_per_second(images, keys, count))
    found = processes_that_pay(rate, _spare_cores())
    if found:
        print(f"  decoding in {found} processes: {rate(found):,.0f} images/s, one alone {rate(1):,.0f}", flush=True)
    return found


def _spare_cores() -> int:
    """The cores of this process's share of the machine, without the one that feeds the GPU."""
    return len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1


def processes_that_pay(rate: Callable[[int], float], most: int) -> int:
    """The number from 1 to `most`, doubled as long as `rate` (images a second of so many) rises by LEAST_GAIN."""
    count = min(1, most)
    while count < most:
        more = min(2 * count, most)
        if rate(more) < LEAST_GAIN * rate(count):
            break
        count = more
    return max(0, count)


def images_per_second(images: Dataset, keys: list[Any], processes: int) -> float:
    """How many images so many processes hand over in a second, once all of them run."""
    every = list(islice(cycle(keys), BATCH * BATCHES * processes))
    options = {"batch_size": BATCH, "sampler": every, "num_workers": processes}
    batches = iter(DataLoader(images, **options, generator=torch.Generator()))  # the training's own draws nothing
    for _ in range(processes):
        next(batches)
    started = time.perf_counter()
    counted = sum(1 for _ in batches)
    return counted * BATCH / (time.perf_counter() - started)
