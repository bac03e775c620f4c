"""Image towers behind one small interface: `tower(images) -> (f1, f2, f3)`, with their widths in `tower.dims`.

f1 and f2 are pooled features before and after the last stage, f3 is the embedding in the space shared with the text
(THESIS section 3, table of reference settings).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Features = tuple[Tensor, Tensor, Tensor]


class ResNetTower(nn.Module):
    """CLIP's modified ResNet with the last stride set to 1.

    f1: layer3 average, f2: layer4 average, f3: attention pool. The attention pool's position embedding is resized to
    the grid of `size` (height, width), stride 16.
    """

    def __init__(self, visual: nn.Module, size: tuple[int, int]):
        super().__init__()
        self.visual = visual
        remove_last_stride(visual.layer4[0])
        pool = visual.attnpool
        grid = (size[0] // 16, size[1] // 16)
        pool.positional_embedding = nn.Parameter(resize_positions(pool.positional_embedding.data, grid))
        out = pool.c_proj.out_features
        width = pool.c_proj.in_features
        self.dims = (width // 2, width, out)

    def forward(self, images: Tensor) -> Features:
        """[b, 3, h, w] -> [b, d1], [b, d2], [b, d3]"""
        visual = self.visual
        x3 = visual.layer3(visual.layer2(visual.layer1(visual.stem(images))))  # [b, d1, h/16, w/16]
        x4 = visual.layer4(x3)  # [b, d2, h/16, w/16]
        return x3.mean((2, 3)), x4.mean((2, 3)), visual.attnpool(x4)


class ViTTower(nn.Module):
    """CLIP's vision transformer.

    f1: class token after the last but one block, f2: class token after all blocks and ln_post, f3: f2 projected. The
    position embedding is resized to the grid of `size` (height, width).
    """

    def __init__(self, visual: nn.Module, size: tuple[int, int]):
        super().__init__()
        self.visual = visual
        patch = visual.conv1.kernel_size
        grid = (size[0] // patch[0], size[1] // patch[1])
        visual.positional_embedding = nn.Parameter(resize_positions(visual.positional_embedding.data, grid))
        width, out = visual.proj.shape
        self.dims = (width, width, out)

    def forward(self, images: Tensor) -> Features:
        """[b, 3, h, w] -> [b, d], [b, d], [b, d3]"""
        visual = self.visual
        x = visual.conv1(images).flatten(2).transpose(1, 2)  # [b, patches, d]
        token = visual.class_embedding.expand(x.shape[0], 1, -1)
        x = torch.cat([token, x], dim=1) + visual.positional_embedding
        x = visual.ln_pre(visual.patch_dropout(x))
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        f1 = x[:, 0]
        f2 = visual.ln_post(last(x)[:, 0])
        return f1, f2, f2 @ visual.proj


class TimmTower(nn.Module):
    """A timm convolutional backbone and a linear projection.

    f1: average of the last but one stage that timm lists, f2: pooled features, f3: f2 projected to `embed_dim`.
    """

    def __init__(self, trunk: nn.Module, embed_dim: int):
        super().__init__()
        self.trunk = trunk
        self.last_but_one = len(trunk.feature_info) - 2
        width = trunk.head_hidden_size if hasattr(trunk, "head_hidden_size") else trunk.num_features
        self.projection = nn.Linear(width, embed_dim, bias=False)
        nn.init.normal_(self.projection.weight, std=width**-0.5)
        self.dims = (trunk.feature_info[self.last_but_one]["num_chs"], width, embed_dim)

    def forward(self, images: Tensor) -> Features:
        """[b, 3, h, w] -> [b, d1], [b, d2], [b, d3]"""
        final, [stage] = self.trunk.forward_intermediates(images, indices=[self.last_but_one])  # [b, d, h', w'] each
        f2 = self.trunk.forward_head(final, pre_logits=True)
        return stage.mean((2, 3)), f2, self.projection(f2)


def remove_last_stride(block: nn.Module) -> None:
    """Set the stride of a modified ResNet's stage to 1; it strides by average pooling in both branches."""
    block.avgpool = nn.Identity()
    block.downsample[0] = nn.Identity()


def resize_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize a position embedding, class position first, from its square grid bilinearly to `grid`.

    [1 + n * n, d] -> [1 + grid[0] * grid[1], d]
    """
    first, rest = positions[:1], positions[1:]
    side = int(rest.shape[0] ** 0.5)
    if side * side != rest.shape[0]:
        raise ValueError(f"{rest.shape[0]} positions do not form a square grid")
    square = rest.T.reshape(1, -1, side, side)  # [1, d, n, n]
    resized = F.interpolate(square, size=grid, mode="bilinear", align_corners=False)
    return torch.cat([first, resized[0].flatten(1).T])
