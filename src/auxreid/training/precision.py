"""Towers in 16 bits: where autocast begins and ends, and the scale of a loss whose gradients 16 bits must hold.

Autocast covers image and text towers alone. What leaves a tower is float32, and so are heads, batch norms' statistics,
fusion, similarities and losses. float16 has no exponents for small gradients, so its loss is scaled up before the
backward pass (Micikevicius et al., Mixed Precision Training, 2018); bfloat16 has those of float32.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

FULL, SCALED = "32-true", "16-mixed"
SHORT = {"bf16-mixed": torch.bfloat16, SCALED: torch.float16}  # what a tower's layers compute in


def tower_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The block in which a tower runs; its results may be of 16 bits and are made float32 behind it."""
    return nullcontext() if precision == FULL else torch.autocast(device.type, SHORT[precision])


def lengthened(tensor: Tensor) -> Tensor:
    """A tensor of 16 bits as float32; any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
