"""Where the time of stage 2's steps goes: the project's own training loop, with its parts timed from outside."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from unittest.mock import patch

import numpy as np
import torch
from lightning_fabric import Fabric
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn

from auxreid.clipreid import stage2
from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision

LOADER, NORMALISE, ERASE = "decoding, augmentation", "normalising", "random erasing"
FORWARD, LOSSES, LOSSES_BACK, BACK = "encoder forward", "losses forward", "losses backward", "encoder backward"
OPTIMIZER, REST = "optimizer", "rest"
PARTS = (LOADER, NORMALISE, ERASE, FORWARD, LOSSES, LOSSES_BACK, BACK, OPTIMIZER, REST)
NETWORK = (FORWARD, BACK)


@dataclass(frozen=True)
class Profile:
    """Seconds of some steps, as a whole and by part; the parts are PARTS."""

    steps: int
    whole: float
    parts: dict[str, float]

    def milliseconds(self, *parts: str) -> float:
        """Of a mean step: of these parts, or of the whole step."""
        return 1e3 * (sum(self.parts[part] for part in parts) if parts else self.whole) / self.steps

    def share(self, *parts: str) -> float:
        """Of the whole, in per cent."""
        return 100 * sum(self.parts[part] for part in parts) / self.whole


class Clock:
    """Adds up seconds by part, from `start` to `stop`."""

    def start(self) -> None:
        self.seconds, self.steps, self.marked, self.began = defaultdict(float), 0, 0.0, self.now()

    def stop(self) -> None:
        self.whole = self.now() - self.began

    def now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a kernel belongs to the part that launched it
        return time.perf_counter()

    def timed(self, part: str, function: Callable) -> Callable:
        """The function, its seconds added to a part."""

        @wraps(function)
        def measured(*arguments, **options):
            began = self.now()
            result = function(*arguments, **options)
            self.seconds[part] += self.now() - began
            return result

        return measured

    def timed_loader(self, build: Callable) -> Callable:
        """The loader's builder, the wait for each batch added to LOADER."""

        def batches(*arguments, **options):
            remaining = iter(build(*arguments, **options))
            fetch = self.timed(LOADER, lambda: next(remaining, None))
            while (batch := fetch()) is not None:
                yield batch

        return batches

    def timed_encoder(self, build: Callable) -> Callable:
        """The encoder's builder; where a feature gets its gradient, the losses' backward has come so far."""

        def mark(gradient: Tensor) -> None:
            self.marked = self.now()

        def encoder_of(*arguments):
            encode = self.timed(FORWARD, build(*arguments))

            def marked(images: Tensor, rows: np.ndarray) -> tuple[Tensor, ...]:
                # views, as a feature that leads to the next one gets a gradient from inside the encoder as well
                features = tuple(feature.view_as(feature) for feature in encode(images, rows))
                for feature in features:
                    feature.register_hook(mark)
                return features

            return marked

        return encoder_of

    def timed_backward(self, backward: Callable) -> Callable:
        """Fabric's backward, cut where the last feature got its gradient: autograd runs what is newest first."""

        def measured(*arguments, **options):
            began = self.now()
            backward(*arguments, **options)
            self.seconds[LOSSES_BACK] += self.marked - began
            self.seconds[BACK] += self.now() - self.marked
            self.steps += 1

        return measured


def profile_stage2(encoder: nn.Module, frames, identities: np.ndarray, texts: Tensor, settings) -> Profile:
    """Train `encoder` by `stage2.finetune_encoder` and time all epochs but the first.

    Args:
        identities: of the frames, in 0..k-1 [n]; texts: [k, e].
        settings: the finetune section, of two epochs or more.
    """
    clock = Clock()
    clock.start()

    def report(_, epoch: int) -> None:
        clock.start() if epoch == 1 else clock.stop()  # the first epoch warms up

    with ExitStack() as patches:
        for owner, name, measured in _timed_parts(clock):
            patches.enter_context(patch.object(owner, name, measured))
        stage2.finetune_encoder(encoder, frames, identities, Supervision(texts), settings, 0, report)
    known = {part: clock.seconds[part] for part in PARTS if part != REST}
    return Profile(clock.steps, clock.whole, known | {REST: clock.whole - sum(known.values())})


def _timed_parts(clock: Clock) -> list[tuple[object, str, Callable]]:
    """What is replaced while the loop is measured: the owner, the attribute's name, and the measured function."""
    return [
        (stage2, "track", lambda epochs, _: epochs),  # no bar beside that of the benchmarks
        (stage2, "loader", clock.timed_loader(stage2.loader)),
        (stage2, "normalise", clock.timed(NORMALISE, stage2.normalise)),
        (RandomErasing, "__call__", clock.timed(ERASE, RandomErasing.__call__)),
        (stage2, "row_encoder", clock.timed_encoder(stage2.row_encoder)),
        (Stage2Losses, "forward", clock.timed(LOSSES, Stage2Losses.forward)),
        (Fabric, "backward", clock.timed_backward(Fabric.backward)),
        (torch.optim.Optimizer, "zero_grad", clock.timed(OPTIMIZER, torch.optim.Optimizer.zero_grad)),
        (torch.optim.Adam, "step", clock.timed(OPTIMIZER, torch.optim.Adam.step)),
    ]
