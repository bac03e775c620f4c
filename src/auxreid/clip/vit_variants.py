"""Changes of a vision transformer for re-ID: overlapping patches (OLP) and a camera embedding (SIE).

Both are from TransReID (He et al., ICCV 2021, sections 3.1 and 3.3) in the form of CLIP-ReID's reference, which adds
the camera's vector to the class token alone, before the position embedding; TransReID adds it to all tokens.

Stage 1 is shared with the plain tower here, so its image features know neither. The reference's stage 1 has no camera
embedding either, but already sees overlapping patches. The reference also resizes the position embedding straight from
the pretrained square grid, where here the plain tower's grid (16 x 8 at 256 x 128) lies between the two.
"""

import numpy as np
import torch
from torch import nn

from auxreid.clip.image_towers import ViTTower, patch_grid, resize_positions
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.rows import ViTConfig

CAMERA_STD = 0.02  # of a camera's vector at first, as TransReID and the reference


class ViTVariant(ViTConfig):
    """How a tower differs from the plain one; stands in its checkpoint's header."""

    cameras: tuple[int, ...] = ()  # the data set's numbers, in the order of their vectors


def adapt_vit(tower: ViTTower, config: ViTConfig, size: tuple[int, int], cameras: tuple[int, ...] = ()) -> ViTTower:
    """Change a tower in place to what `config` asks for, and return it; what it already has stays as it is.

    Args:
        config: `vit` of a row; a null in it changes nothing.
        size: height and width of the images.
        cameras: numbers of the cameras that training sees; read only where a camera embedding is asked for.

    New camera vectors come from torch's global generator: seed it first.

    Raises:
        ConfigError: the stride is above the patch size.
        DataError: the tower has vectors for other cameras.
    """
    if config.patch_stride is not None:
        set_patch_stride(tower, config.patch_stride, size)
    if config.camera_embedding is not None:
        embed_cameras(tower, config.camera_embedding, cameras)
    return tower


def set_patch_stride(tower: ViTTower, stride: int, size: tuple[int, int]) -> None:
    """Let patches overlap: stride 12 of 16-pixel patches makes 21 x 10 of an image of 256 x 128 instead of 16 x 8.

    The position embedding is resized bilinearly from the grid that the tower had. Raises as :func:`adapt_vit`.
    """
    patches = tower.visual.conv1
    largest = min(patches.kernel_size)
    if stride > largest:
        raise ConfigError(f"vit.patch_stride = {stride}: above the size of a patch; allowed are 1..{largest}")
    before = patch_grid(size, patches)
    patches.stride = (stride, stride)
    positions = resize_positions(tower.visual.positional_embedding.data, patch_grid(size, patches), before)
    tower.visual.positional_embedding = nn.Parameter(positions)


def embed_cameras(tower: ViTTower, weight: float, cameras: tuple[int, ...]) -> None:
    """Give each camera a learned vector, which times `weight` is added to the class token; [cameras, d] in all.

    Raises as :func:`adapt_vit`.
    """
    if tower.cameras and tower.cameras != cameras:
        raise DataError(f"the start's camera embedding is of cameras {tower.cameras}, training sees {cameras}")
    if not tower.cameras:
        vectors = torch.empty(len(cameras), tower.dims[0])
        tower.camera_embedding = nn.Parameter(nn.init.trunc_normal_(vectors, std=CAMERA_STD))
        tower.cameras = cameras
    tower.camera_weight = weight


def variant_of(tower: nn.Module) -> ViTVariant | None:
    """What distinguishes a tower from the plain one of its encoder section, or None where nothing does."""
    if not isinstance(tower, ViTTower):
        return None
    patches = tower.visual.conv1
    stride = patches.stride[0] if patches.stride != patches.kernel_size else None
    if stride is None and not tower.cameras:
        return None
    weight = tower.camera_weight if tower.cameras else None
    return ViTVariant(patch_stride=stride, camera_embedding=weight, cameras=tower.cameras)


def training_cameras(frames) -> tuple[int, ...]:
    """The numbers of the cameras of the training frames, ascending.

    Raises:
        DataError: a frame has no camera.
    """
    without = np.flatnonzero(frames.camera == 0)
    if len(without):
        raise DataError(
            f"{frames.meta.dataset}: {len(without)} training frames have no camera (e.g. {frames.path[without[0]]}), "
            "a camera embedding needs one for each"
        )
    return tuple(int(camera) for camera in np.unique(frames.camera))
