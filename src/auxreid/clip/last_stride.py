"""The last stride of a timm convolutional tower removed (Luo et al. 2019, last stride = 1)."""

import torch
from torch import nn

from auxreid.clip.image_towers import TimmTower
from auxreid.plumbing.base.errors import ConfigError


def remove_last_stride_of(tower: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Give the last stage stride 1 in place, and return the tower: its last map has twice the rows and columns.

    Nothing is dilated: the weights see closer neighbours than they were trained with, and fine-tuning settles that.

    Args:
        size: height and width of the images.

    Raises:
        ConfigError: the tower has no such stride, or one that cannot be removed so.
    """
    if not isinstance(tower, TimmTower):
        raise ConfigError(
            f"stride_one: is for timm's convolutional towers; a {type(tower).__name__} has no last stride"
        )
    before = _last_map(tower, size)
    for module in _last_stage(tower.trunk):
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1:
            module.stride = (1, 1)
    try:
        after = _last_map(tower, size)
    except RuntimeError:  # its branches are of different sizes now
        after = before
    if after[0] < 2 * before[0] - 1 or after[1] < 2 * before[1] - 1:
        raise ConfigError("stride_one: the encoder's last stage does not stride by convolutions alone")
    tower.stride_one = True
    return tower


def _last_stage(trunk: nn.Module) -> list[nn.Module]:
    """The modules between the last two resolutions that timm lists, in the order of the forward pass."""
    stages = trunk.feature_info.get_dicts() if hasattr(trunk.feature_info, "get_dicts") else list(trunk.feature_info)
    deepest = stages[-1]["reduction"]
    before = [stage["module"] for stage in stages if stage["reduction"] < deepest]
    names = [name for name, _ in trunk.named_modules()]
    start = max((place for place, name in enumerate(names) if before and _is_in(name, before[-1])), default=0)
    end = max(place for place, name in enumerate(names) if _is_in(name, stages[-1]["module"]))
    return [trunk.get_submodule(name) for name in names[start + 1 : end + 1]]


def _is_in(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


@torch.no_grad()
def _last_map(tower: TimmTower, size: tuple[int, int]) -> tuple[int, int]:
    training = tower.training
    shape = tower.eval().trunk.forward_features(torch.zeros(1, 3, *size)).shape
    tower.train(training)
    return shape[-2], shape[-1]
