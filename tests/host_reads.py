"""Counts what would make the host wait for a GPU, on a machine without one.

Reading a value (item, bool, int), sizes that depend on values (nonzero, unique, a mask as index) and copies to the host
are such waits; so is a tensor made from numbers of the host on the device. The step counters that torch's optimizers
keep on the host are none.
"""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
COPIES = ("cpu", "numpy", "tolist")
ON_HOST = {"cut", "_tokenize"}  # functions of the project that work on tensors before they are sent


class _Operations(TorchDispatchMode):
    def __init__(self, found: Counter):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        masked = operation is torch.ops.aten.index.Tensor and any(
            index is not None and index.dtype == torch.bool for index in arguments[1]
        )
        by_indices = operation is torch.ops.aten.index.Tensor and not masked
        if (masked or TAGS & set(operation.tags)) and not by_indices:
            _note(self.found, str(operation))
        return operation(*arguments, **(options or {}))


def _note(found: Counter, what: str) -> None:
    """Count it at the place in the project's code that asked for it."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "/torch/optim/" in name or "/torch/utils/data/" in name:
            return
        if frame.f_code.co_name in ON_HOST:
            return
        if "/auxreid/" in name or ("/tests/" in name and "host_reads" not in name):
            found[f"{what} at {name.rpartition('/')[2]}:{frame.f_lineno}"] += 1
            return
        frame = frame.f_back


@contextmanager
def host_reads():
    """What is read inside the block, by operation and line: a Counter."""
    found = Counter()

    def noting(name, original):
        def noted(*arguments, **options):
            _note(found, name)
            return original(*arguments, **options)

        return noted

    with ExitStack() as patches:
        for name in COPIES:
            patches.enter_context(patch.object(torch.Tensor, name, noting(name, getattr(torch.Tensor, name))))
        patches.enter_context(patch.object(torch, "tensor", noting("tensor", torch.tensor)))
        patches.enter_context(_Operations(found))
        yield found
