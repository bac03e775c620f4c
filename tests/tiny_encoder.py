"""An image tower small enough to train in a test."""

from torch import Tensor, nn

from auxreid.plumbing.settings.recipes import InputConfig


class TinyEncoder(nn.Module):
    """A linear map of the mean colour to three features of widths `dims`; images of size (height, width)."""

    def __init__(self, dims: tuple[int, int, int], size: tuple[int, int]):
        super().__init__()
        self.dims = dims
        self.maps = nn.ModuleList([nn.Linear(3, d) for d in dims])
        self.input_config = InputConfig(height=size[0], width=size[1], mean=(0.5,) * 3, std=(0.5,) * 3)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """[b, 3, h, w] -> three of [b, d]"""
        colour = images.mean((2, 3))
        return tuple(linear(colour) for linear in self.maps)
