"""Fabric's scaling of a float16 loss. A file of its own, since lightning_fabric takes more than a second to import."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning_fabric.plugins.precision import MixedPrecision


class ScaledLoss(MixedPrecision):
    """Scales the loss and unscales the gradients; without autocast and casts, which would take in the losses."""

    def forward_context(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def convert_input(self, data: Any) -> Any:
        return data

    def convert_output(self, data: Any) -> Any:
        return data
