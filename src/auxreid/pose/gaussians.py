"""Weights that pool a map of an encoder into vectors: around joints, in stripes, or over all of it.

A pool's weights sum to 1 over the map. All of it is plain arithmetic on tensors, on the device that they are on.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auxreid.clip.maps import Cells

LEAST_HEIGHT = 1e-6  # of a Gaussian, so that a group of which no joint is seen still has weights


def joint_pools(
    places: Tensor, groups: Sequence[Sequence[int]], cells: Cells, sigma: float, heights: Tensor | None = None
) -> Tensor:
    """Pools [b, P, h, w]: the sum of the Gaussians around a group's joints, divided by its sum over the map.

    Args:
        places: [b, J, 2 or 3], x and y as shares of the input's width and height.
        groups: P lists of joint numbers.
        sigma: as share of the input's height; as many pixels across as down.
        heights: of the Gaussians [b, J], a confidence say, against each other within a group; None: all alike.

    A group far outside the map has its weight at the cells that are nearest to it.
    """
    down, across = _exponents(places, cells, sigma)
    exponents = down[..., None] + across[:, :, None]  # [b, J, h, w]
    if heights is not None:
        exponents = exponents + heights.clamp(min=LEAST_HEIGHT).log()[..., None, None]
    of_groups = (torch.stack([exponents[:, joint] for joint in group]) for group in groups)  # [members, b, h, w] each
    sums = torch.stack([one.logsumexp(dim=0) for one in of_groups], dim=1)  # [b, P, h, w]
    return sums.flatten(2).softmax(dim=2).view_as(sums)


def heat_maps(places: Tensor, cells: Cells, sigma: float, size: tuple[int, int] | None = None) -> Tensor:
    """Gaussians with peak 1 at the joints, [b, J, h, w]; arguments as of :func:`joint_pools`.

    Args:
        size: of a coarser map, whose cells get the means over those of `cells`; None: as they are.
    """
    down, across = (exponents.exp() for exponents in _exponents(places, cells, sigma))
    if size is not None:
        down, across = F.adaptive_avg_pool1d(down, size[0]), F.adaptive_avg_pool1d(across, size[1])
    return down[..., None] * across[:, :, None]


def pixels_of(tower: nn.Module) -> Cells:
    """The pixels of a tower's input, for heat maps of its size."""
    whole = tower.input_config.height, tower.input_config.width
    y, x = ((torch.arange(length) + 0.5) / length for length in whole)
    return Cells(y, x, whole[1] / whole[0])


def stripe_pools(count: int, size: tuple[int, int]) -> Tensor:
    """Horizontal stripes of equal height, [count, h, w]; a row of cells on a border counts for both by its parts."""
    rows, columns = size
    edges = torch.arange(count + 1, dtype=torch.float64) * rows / count
    row = torch.arange(rows, dtype=torch.float64)
    inside = torch.minimum(edges[1:, None], row + 1) - torch.maximum(edges[:-1, None], row)  # [count, h]
    weights = inside.clamp(min=0) * count / (rows * columns)
    return weights.float()[:, :, None].expand(count, rows, columns)


def global_pools(count: int, size: tuple[int, int]) -> Tensor:
    """The whole map, as often as asked: [count, h, w]."""
    return torch.full((count, *size), 1 / (size[0] * size[1]))


def pooled(maps: Tensor, pools: Tensor) -> Tensor:
    """Maps [b, d, h, w] and pools [b, P, h, w], or [P, h, w] for all images -> [b, P, d]."""
    pools = pools.expand(len(maps), *pools.shape[-3:]).to(maps.dtype)
    return torch.bmm(pools.flatten(2), maps.flatten(2).transpose(1, 2))


def _exponents(places: Tensor, cells: Cells, sigma: float) -> tuple[Tensor, Tensor]:
    """-(distance / sigma)^2 / 2 of every row [b, J, h] and of every column [b, J, w] of cells from every joint."""
    x, y = places[..., 0, None], places[..., 1, None]  # [b, J, 1]
    down, across = cells.y.to(places) - y, (cells.x.to(places) - x) * cells.aspect  # both in shares of the height
    return -(down / sigma).square() / 2, -(across / sigma).square() / 2
