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
    position embedding is resized to the grid of `size` (height, width). It may be given overlapping patches and a
    camera embedding (see vit_variants).
    """

    def __init__(self, visual: nn.Module, size: tuple[int, int]):
        super().__init__()
        self.visual = visual
        positions = resize_positions(visual.positional_embedding.data, patch_grid(size, visual.conv1))
        visual.positional_embedding = nn.Parameter(positions)
        width, out = visual.proj.shape
        self.dims = (width, width, out)
        self.cameras: tuple[int, ...] = ()  # numbers of the cameras that have a vector, ascending
        self.camera_weight = 0.0
        self.register_parameter("camera_embedding", None)  # [cameras, d]

    def forward(self, images: Tensor, cameras: Tensor | None = None) -> Features:
        """[b, 3, h, w] -> [b, d], [b, d], [b, d3]

        Args:
            cameras: int64 [b], places in `self.cameras`; given just where the tower has a camera embedding.

        Raises:
            ValueError: cameras are missing, or nothing knows them.
        """
        if (cameras is None) != (self.camera_embedding is None):
            raise ValueError(f"cameras {'missing' if cameras is None else 'given'}; the tower knows {self.cameras}")
        visual = self.visual
        x = visual.conv1(images).flatten(2).transpose(1, 2)  # [b, patches, d]
        token = visual.class_embedding.expand(x.shape[0], 1, -1)
        if cameras is not None:
            token = token + self.camera_weight * F.embedding(cameras, self.camera_embedding)[:, None]
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


def patch_grid(size: tuple[int, int], patches: nn.Conv2d) -> tuple[int, int]:
    """Rows and columns of patches in an image of `size` (height, width), cut out by a convolution without padding."""
    lengths = zip(size, patches.kernel_size, patches.stride, strict=True)
    rows, columns = ((length - patch) // stride + 1 for length, patch, stride in lengths)
    return rows, columns


def resize_positions(positions: Tensor, grid: tuple[int, int], source: tuple[int, int] | None = None) -> Tensor:
    """Resize a position embedding, class position first, from its grid `source` bilinearly to `grid`.

    [1 + source[0] * source[1], d] -> [1 + grid[0] * grid[1], d]. Grids are rows, columns; None: a square one.

    Raises:
        ValueError: the positions do not form that grid.
    """
    first, rest = positions[:1], positions[1:]
    side = int(rest.shape[0] ** 0.5)
    rows, columns = source or (side, side)
    if rows * columns != rest.shape[0]:
        form = "a square grid" if source is None else f"a grid of {rows} x {columns}"
        raise ValueError(f"{rest.shape[0]} positions do not form {form}")
    if (rows, columns) == grid:
        return positions
    image = rest.T.reshape(1, -1, rows, columns)  # [1, d, rows, columns]
    resized = F.interpolate(image, size=grid, mode="bilinear", align_corners=False)
    return torch.cat([first, resized[0].flatten(1).T])
