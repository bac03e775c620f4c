"""Pooling weights: worked numbers, a slow loop, and the cells of a tower's maps."""

from math import exp

import numpy as np
import open_clip
import pytest
import torch

from auxreid.clip.build import build_towers
from auxreid.clip.image_towers import ViTTower
from auxreid.clip.maps import Cells, captured, cells_of, map_width
from auxreid.clip.vit_variants import adapt_vit
from auxreid.plumbing.settings.recipes import InputConfig, ResNetEncoderConfig, TextConfig, TimmEncoderConfig
from auxreid.plumbing.settings.rows import ViTConfig
from auxreid.pose.gaussians import global_pools, heat_maps, joint_pools, pooled, stripe_pools


def cells(rows: int, columns: int, stride: int) -> Cells:
    """Of a map of an image of this many whole strides."""
    middles = ((torch.arange(count) + 0.5) / count for count in (rows, columns))
    return Cells(*middles, columns / rows)


def test_one_joint_by_hand():
    """A map of 2 x 1 cells of 8 pixels, a joint in the middle of the upper one, sigma of half the height: the lower
    cell is one sigma away."""
    found = joint_pools(torch.tensor([[[0.5, 0.25, 1.0]]]), [[0]], cells(2, 1, 8), 0.5)
    upper = 1 / (1 + exp(-0.5))
    torch.testing.assert_close(found, torch.tensor([[[[upper], [1 - upper]]]]))


def test_pools_and_heat_maps_are_those_of_a_loop_over_pixels():
    generator = torch.Generator().manual_seed(0)
    places, groups, sigma, stride = torch.rand(3, 5, 3, generator=generator) * 1.4 - 0.2, [[0, 3], [1], [2, 4]], 0.11, 8
    height, width = 16 * stride, 8 * stride
    found, maps = (
        joint_pools(places, groups, cells(16, 8, stride), sigma),
        heat_maps(places, cells(16, 8, stride), sigma),
    )
    for image in range(3):
        peaks = np.zeros((5, 16, 8))
        for joint in range(5):
            x, y = (places[image, joint, :2].numpy() * [width, height]).astype(np.float64)
            for row in range(16):
                for column in range(8):  # a cell's middle in pixels from the edge: half a pixel beyond 8 i + 3.5
                    down, across = stride * row + 3.5 + 0.5 - y, stride * column + 3.5 + 0.5 - x
                    peaks[joint, row, column] = exp(-(down**2 + across**2) / (2 * (sigma * height) ** 2))
        np.testing.assert_allclose(maps[image], peaks, atol=1e-5)
        for number, group in enumerate(groups):
            total = sum(peaks[joint] for joint in group)
            np.testing.assert_allclose(found[image, number], total / total.sum(), atol=1e-5)


def test_a_joint_that_is_seen_better_has_more_of_its_group():
    """A joint in each of two cells that are far apart for sigma: a cell has its joint's share of the heights."""
    places = torch.tensor([[[0.5, 0.25, 0.9], [0.5, 0.75, 0.3]]])
    found = joint_pools(places, [[0, 1], [1]], cells(2, 1, 8), 0.05, places[..., 2])
    torch.testing.assert_close(found[0, :, :, 0], torch.tensor([[0.75, 0.25], [0.0, 1.0]]))
    unseen = joint_pools(places, [[0, 1]], cells(2, 1, 8), 0.05, torch.zeros(1, 2))
    torch.testing.assert_close(unseen[0, 0, :, 0], torch.tensor([0.5, 0.5]))


def test_joints_far_outside_pool_the_nearest_cell():
    found = joint_pools(torch.tensor([[[-30.0, 40.0, 0.0]]]), [[0]], cells(4, 2, 8), 0.05)
    assert found[0, 0].tolist() == [[0, 0], [0, 0], [0, 0], [1, 0]]


def test_stripes_by_hand():
    assert stripe_pools(2, (4, 2))[:, :, 0].tolist() == [[0.25, 0.25, 0, 0], [0, 0, 0.25, 0.25]]
    torch.testing.assert_close(
        stripe_pools(2, (3, 1))[..., 0], torch.tensor([[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    )  # the middle row is half in each
    torch.testing.assert_close(stripe_pools(4, (2, 1))[..., 0], torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]))


@pytest.mark.parametrize("pools", [stripe_pools(5, (7, 3)), global_pools(5, (7, 3))])
def test_every_pool_sums_to_1(pools):
    assert pools.shape == (5, 7, 3)
    torch.testing.assert_close(pools.sum(dim=(1, 2)), torch.ones(5))


def test_pooling_is_the_weighted_sum_over_the_map():
    generator = torch.Generator().manual_seed(1)
    maps, pools = torch.rand(2, 4, 3, 2, generator=generator), torch.rand(2, 5, 3, 2, generator=generator)
    torch.testing.assert_close(pooled(maps, pools), torch.einsum("bdhw,bphw->bpd", maps, pools))
    torch.testing.assert_close(pooled(maps, pools[0]), torch.einsum("bdhw,phw->bpd", maps, pools[0]))
    torch.testing.assert_close(pooled(maps, global_pools(1, (3, 2)))[:, 0], maps.mean((2, 3)))


TEXT = TextConfig(width=16, heads=2, layers=1)


def towers() -> dict[str, torch.nn.Module]:
    """For inputs of 64 x 32; the transformer's patches are of 16 pixels, every 12."""
    torch.manual_seed(0)
    small = ResNetEncoderConfig(kind="resnet", width=4, layers=(1, 1, 1, 1), embed_dim=8, text=TEXT)
    timm = TimmEncoderConfig(kind="timm", name="test_efficientnet", output_stride=32, embed_dim=8, text=TEXT)
    vision = {"layers": 4, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 64}
    vit = ViTTower(open_clip.CLIP(8, vision, {"width": 16, "heads": 2, "layers": 1}).visual, (64, 32))
    towers = {
        "resnet": build_towers(small, (64, 32))[0],
        "timm": build_towers(timm, (64, 32))[0],
        "vit": adapt_vit(vit, ViTConfig(patch_stride=12), (64, 32)),
    }
    for tower in towers.values():
        tower.input_config = InputConfig(height=64, width=32, mean=(0.5,) * 3, std=(0.5,) * 3)
        tower.eval()
    return towers


def test_cells_of_convolutional_maps_lie_at_their_strides():
    for name in ("resnet", "timm"):
        found = cells_of(towers()[name], (8, 4))  # stride 8
        torch.testing.assert_close(found.y * 64 - 0.5, torch.tensor([8.0 * i + 3.5 for i in range(8)]))
        torch.testing.assert_close(found.x * 32 - 0.5, torch.tensor([8.0 * i + 3.5 for i in range(4)]))
        assert found.aspect == 0.5
        torch.testing.assert_close(cells_of(towers()[name], (2, 1)).y * 64, torch.tensor([16.0, 48.0]))  # stride 32


def test_cells_of_tokens_lie_in_the_middle_of_their_patches():
    found = cells_of(towers()["vit"], (5, 2))
    torch.testing.assert_close(found.y * 64, torch.tensor([8.0, 20.0, 32.0, 44.0, 56.0]))
    torch.testing.assert_close(found.x * 32, torch.tensor([8.0, 20.0]))


@pytest.mark.parametrize("name", ["resnet", "timm"])
def test_f2_is_the_last_map_pooled_globally(name):
    tower = towers()[name]
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with captured(tower, ["last"]) as maps:
        _, f2, _ = tower(images)
    last = maps["last"]
    assert last.shape[1] == map_width(tower, "last")
    torch.testing.assert_close(pooled(last, global_pools(1, tuple(last.shape[2:])))[:, 0], f2)
