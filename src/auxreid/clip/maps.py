"""Maps inside an image tower, by names that every tower understands, without a second pass through it.

`middle` is where a tower still localises well: the last map of stride 8 of a convolutional tower, the tokens after half
of a vision transformer's blocks. `late` is the last map of stride 16, or the tokens after three quarters of the blocks.
`last` is the map that f2 is pooled from, or the tokens after all blocks.
What a cell of a later map sees reaches so far that it says little of its own place (see tests/test_maps.py, which
measures it).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import log2
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auxreid.clip.image_towers import ResNetTower, TimmTower, ViTTower, patch_grid
from auxreid.plumbing.base.errors import ConfigError

STRIDES = {"middle": 8, "late": 16}
DEPTHS = {"middle": 0.5, "late": 0.75, "last": 1.0}  # of a vision transformer's blocks


class Cells(NamedTuple):
    """Where the cells of a map lie in the input: the middle of what they see, as shares of its sides."""

    y: Tensor  # [h]
    x: Tensor  # [w]
    aspect: float  # the input's width divided by its height


def cells_of(tower: nn.Module, size: tuple[int, int]) -> Cells:
    """The cells of a tower's map of `size` (h, w).

    A cell of a convolutional map of stride s has its middle at the pixels s * i + (s - 1) / 2, counted from 0, which is
    s * (i + 1/2) from the edge; a token's is its patch's.
    """
    whole = tower.input_config.height, tower.input_config.width
    if isinstance(tower, ViTTower):
        strides, firsts = tower.visual.conv1.stride, [length / 2 for length in tower.visual.conv1.kernel_size]
    else:
        strides = [2 ** round(log2(length / count)) for length, count in zip(whole, size, strict=True)]
        firsts = [stride / 2 for stride in strides]
    y, x = (
        (torch.arange(count) * stride + first) / length
        for count, stride, first, length in zip(size, strides, firsts, whole, strict=True)
    )
    return Cells(y, x, whole[1] / whole[0])


@contextmanager
def captured(tower: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Within it, each pass through the tower leaves its maps [b, d, h, w] here, by name, with their gradients.

    Raises:
        ConfigError: the tower has no such map.
    """
    found: dict[str, Tensor] = {}
    handles = []
    try:
        for name in names:
            handles.append(_hooked(tower, name, found))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def map_width(tower: nn.Module, name: str) -> int:
    """Channels of a map. Raises ConfigError as :func:`captured`."""
    size = tower.input_config.height, tower.input_config.width
    training = tower.training
    parameter = next(tower.parameters())
    with torch.no_grad(), captured(tower.eval(), [name]) as found:
        cameras = (torch.zeros(1, dtype=torch.int64, device=parameter.device),) if getattr(tower, "cameras", ()) else ()
        tower(torch.zeros(1, 3, *size, device=parameter.device), *cameras)
    tower.train(training)
    return found[name].shape[1]


def _hooked(tower: nn.Module, name: str, found: dict[str, Tensor]):
    if isinstance(tower, TimmTower) and name == "last":
        return _pool_of(tower).register_forward_pre_hook(lambda _module, inputs: found.update({name: inputs[0]}))
    return _module_of(tower, name).register_forward_hook(_keep(found, name, tower))


def _keep(found: dict[str, Tensor], name: str, tower: nn.Module):
    def hook(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
        found[name] = _as_map(tower, output) if isinstance(tower, ViTTower) else output

    return hook


def _pool_of(tower: TimmTower) -> nn.Module:
    """The module that pools the trunk's final map into f2."""
    for name, module in tower.trunk.named_modules():
        if name.split(".")[-1] == "global_pool":
            return module
    raise ConfigError("map last: the encoder has no module global_pool, which would see it")


def _as_map(tower: ViTTower, tokens: Tensor) -> Tensor:
    """[b, 1 + h * w, d] -> [b, d, h, w], without the class token."""
    size = tower.input_config.height, tower.input_config.width
    return tokens[:, 1:].transpose(1, 2).unflatten(2, patch_grid(size, tower.visual.conv1))


def _module_of(tower: nn.Module, name: str) -> nn.Module:
    """The module whose output is the map."""
    if isinstance(tower, ResNetTower):
        return {"middle": tower.visual.layer2, "late": tower.visual.layer3, "last": tower.visual.layer4}[name]
    if isinstance(tower, ViTTower):
        blocks = tower.visual.transformer.resblocks
        return blocks[max(1, round(DEPTHS[name] * len(blocks))) - 1]
    if isinstance(tower, TimmTower):
        fitting = [stage for stage in tower.trunk.feature_info if stage["reduction"] == STRIDES[name]]
        if fitting:
            return tower.trunk.get_submodule(fitting[-1]["module"])
        found = sorted({stage["reduction"] for stage in tower.trunk.feature_info})
        raise ConfigError(f"map {name}: the encoder has no map of stride {STRIDES[name]}, its strides are {found}")
    raise ConfigError(f"map {name}: an encoder of type {type(tower).__name__} gives no maps")
