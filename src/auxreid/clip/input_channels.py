"""Further input channels of an image tower, which change nothing until they are trained."""

import torch
from torch import nn

IMAGE_CHANNELS = 3


def widen_input(tower: nn.Module, extra: int) -> nn.Module:
    """Let the first convolution of a tower take `extra` channels after the image's, with zero weights; in place.

    The tower's features of images [b, 3 + extra, h, w] are then those of the images alone (after Moskvyak et al. 2020).
    """
    first = next(module for module in tower.modules() if isinstance(module, nn.Conv2d))
    weight = first.weight.detach()
    zeros = weight.new_zeros(weight.shape[0], extra, *weight.shape[2:])
    first.weight = nn.Parameter(torch.cat([weight, zeros], dim=1).to(memory_format=torch.channels_last))
    first.in_channels += extra
    tower.extra_channels = getattr(tower, "extra_channels", 0) + extra
    return tower
