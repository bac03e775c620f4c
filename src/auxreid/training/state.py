"""What a training loop needs in order to go on where it was killed: its parts' states after each epoch.

A loop names its parts once, asks `continue_from` how many epochs are done, and calls `save_epoch` after each. Where
the states lie, and whether they belong to this training, is the checkpoint's affair.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from auxreid.plumbing.base.errors import DataError
from auxreid.training.share import ALONE, Share

State = dict[str, Any]  # tensors, numbers, texts, and lists and mappings of them


class Part(Protocol):
    """A module, an optimizer, a schedule, or anything else that changes while a model is trained."""

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> Any: ...


class Checkpoint(Protocol):
    """Keeps the state of one training."""

    def load(self) -> tuple[int, State] | None:
        """The number of epochs that are done, and the state after them; None where nothing was saved."""

    def save(self, epochs: int, state: State) -> None:
        """Keep the state after so many epochs."""


def continue_from(checkpoint: Checkpoint | None, parts: Mapping[str, Part], share: Share = ALONE) -> int:
    """Bring the parts to their last saved states; returns the number of epochs that need not be run again.

    Of several processes, the first one has the checkpoint, and the others get what it has loaded.
    """
    found = share.from_first(None if checkpoint is None else checkpoint.load())
    if found is None:
        return 0
    epochs, state = found
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return epochs


def save_epoch(checkpoint: Checkpoint | None, epochs: int, parts: Mapping[str, Part]) -> None:
    """Save the parts' states after `epochs` epochs. Of several processes, only the first one has a checkpoint.

    Raises:
        FloatingPointError: a state is not finite; what was saved before stays.
        FullDiskError: there is no room for it; what was saved before stays.
    """
    if checkpoint is None:
        return
    state = {name: part.state_dict() for name, part in parts.items()}
    broken = _not_finite(state, "")
    if broken is not None:
        raise FloatingPointError(f"{broken[1:]} is not finite after epoch {epochs}")
    checkpoint.save(epochs, state)


def check_finite(loss: float, stage: str, epoch: int, step: int, remedy: str) -> None:
    """Raises FloatingPointError, naming epoch and step, for a loss that is inf or nan."""
    if not abs(loss) < float("inf"):
        raise FloatingPointError(f"{stage}: the loss is {loss} at epoch {epoch}, step {step}; {remedy}")


class EpochLosses:
    """The losses of an epoch's steps, left on their device: to read one is to wait until its step is computed.

    Args:
        stage, remedy: for the message about a loss that is not finite.
    """

    def __init__(self, stage: str, remedy: str):
        self.stage, self.remedy = stage, remedy
        self.steps: list[Mapping[str, Tensor]] = []

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """A step's terms [] by name, the same names at every step; "loss" is what was minimised."""
        self.steps.append({name: value.detach() for name, value in terms.items()})

    def read(self, epoch: int) -> dict[str, Tensor]:
        """Each term at all steps, float32 [steps] on the CPU; to be called before anything of the epoch is kept.

        Raises:
            DataError: the epoch had no step.
            FloatingPointError: a loss is inf or nan; names the epoch and the first such step.
        """
        if not self.steps:
            raise DataError(f"{self.stage}: epoch {epoch} has no step: there are fewer images than a batch needs")
        names = self.steps[0]
        table = torch.stack(
            [torch.stack([step[name] for name in names]) for step in self.steps]
        ).cpu()  # [steps, terms]
        read = dict(zip(names, table.T, strict=True))
        for step, loss in enumerate(read["loss"].tolist()):
            check_finite(loss, self.stage, epoch, step, self.remedy)
        return read


class TorchRandom:
    """torch's global generators as a part, for loops that draw from them across epochs."""

    def state_dict(self) -> State:
        return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def load_state_dict(self, state: State) -> None:
        torch.set_rng_state(state["cpu"])
        if len(state["cuda"]) == torch.cuda.device_count():  # else it goes on elsewhere, where the draws differ anyway
            torch.cuda.set_rng_state_all(state["cuda"])


def _not_finite(value: Any, name: str) -> str | None:
    """The dotted name of the first tensor that holds inf or nan."""
    if isinstance(value, Tensor):
        if not value.is_floating_point() or bool(value.sum().isfinite()):  # the sum is the quick way to most answers
            return None
        return None if bool(value.isfinite().all()) else name
    if isinstance(value, Mapping):
        found = (_not_finite(inner, f"{name}.{key}") for key, inner in value.items())
    elif isinstance(value, (list, tuple)):
        found = (_not_finite(inner, f"{name}.{number}") for number, inner in enumerate(value))
    else:
        return None
    return next((one for one in found if one is not None), None)
