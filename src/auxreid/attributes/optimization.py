"""What an attribute classifier is trained with: parameter groups, learning rates, weights of the words."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from auxreid.attributes.losses import inverse_frequency


def parameter_groups(model: nn.Module, settings: Any) -> list[dict[str, Any]]:
    """Backbone and heads with their learning rates; vectors (biases, norms) without weight decay. Heads come last."""
    groups = []
    for part, lr in ((model.backbone, settings.lr * settings.backbone_lr_factor), (model.heads, settings.lr)):
        trained = [p for p in part.parameters() if p.requires_grad]
        vectors = [p for p in trained if p.ndim < 2]
        others = [p for p in trained if p.ndim >= 2]
        groups.append({"params": vectors, "lr": lr, "weight_decay": 0.0})
        groups.append({"params": others, "lr": lr, "weight_decay": settings.weight_decay})
    return groups


def warmup_cosine(warmup_epochs: int, epochs: int, steps_per_epoch: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: a linear rise over the warm-up, then half a cosine to 0."""
    warmup, total = warmup_epochs * steps_per_epoch, epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))

    return factor


def class_weights(
    codes: Mapping[str, np.ndarray], vocabulary: Mapping[str, Sequence[str]], balance: str, device: torch.device
) -> dict[str, Tensor]:
    """Per attribute [k] by the training frames' codes for `balance` "inverse_frequency", nothing for the others."""
    if balance != "inverse_frequency":
        return {}
    return {
        name: inverse_frequency(torch.from_numpy(codes[name]), len(words)).to(device)
        for name, words in vocabulary.items()
    }
