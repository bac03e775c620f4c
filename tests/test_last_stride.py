"""The last stride removed, further input channels: what changes, and what does not."""

import pytest
import torch
from torch import nn

from auxreid.clip.checkpoints import load_image_encoder, save_tower
from auxreid.clip.image_towers import TimmTower
from auxreid.clip.input_channels import widen_input
from auxreid.clip.last_stride import remove_last_stride_of
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.recipes import InputConfig, TextConfig, TimmEncoderConfig

SIZE = (64, 32)
INPUT = InputConfig(height=64, width=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def tower(name: str) -> TimmTower:
    import timm

    torch.manual_seed(0)
    trunk = timm.create_model(name, pretrained=False)
    trunk.reset_classifier(0)
    return TimmTower(trunk, 8).eval()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18"])
@torch.no_grad()
def test_the_last_map_has_twice_the_rows_and_columns_and_the_earlier_ones_are_as_they_were(name):
    plain, changed = tower(name), remove_last_stride_of(tower(name), SIZE)
    images = torch.randn(2, 3, *SIZE)
    count = len(plain.trunk.feature_info) - 1
    before, after = (one.trunk.forward_intermediates(images, indices=list(range(count))) for one in (plain, changed))
    for ours, theirs in zip(before[1], after[1], strict=True):
        assert torch.equal(ours, theirs)
    assert before[0].shape[-2:] == (2, 1)
    assert after[0].shape[-2:] == (4, 2)
    strides = [module.stride for module in plain.modules() if isinstance(module, nn.Conv2d)]
    assert sum(one.stride != two for one, two in zip(_convolutions(changed), strides, strict=True)) in (1, 2)


def _convolutions(changed):
    return [module for module in changed.modules() if isinstance(module, nn.Conv2d)]


def test_a_tower_that_has_no_last_stride_says_so():
    with pytest.raises(
        ConfigError, match="stride_one: is for timm's convolutional towers; a Linear has no last stride"
    ):
        remove_last_stride_of(nn.Linear(1, 1), SIZE)
    with pytest.raises(ConfigError, match="last stage does not stride by convolutions alone"):
        remove_last_stride_of(tower("test_resnet"), SIZE)  # it pools


@torch.no_grad()
def test_both_changes_are_in_the_checkpoint(tmp_path):
    made = widen_input(remove_last_stride_of(tower("resnet18"), SIZE), 2)
    text = TextConfig(width=8, heads=1, layers=1)
    config = TimmEncoderConfig(kind="timm", name="resnet18", output_stride=32, embed_dim=8, text=text)
    save_tower(made, tmp_path / "encoder.safetensors", config, INPUT)
    loaded = load_image_encoder(tmp_path / "encoder.safetensors")
    images = torch.randn(2, 5, *SIZE)
    for ours, theirs in zip(made(images), loaded(images), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "test_resnet"])
def test_further_channels_change_nothing_until_they_are_trained(name):
    plain, wide = tower(name), widen_input(tower(name), 4)
    images, more = torch.randn(2, 3, *SIZE), torch.randn(2, 4, *SIZE)
    features = wide(torch.cat([images, more], dim=1))
    for ours, theirs in zip(plain(images), features, strict=True):
        torch.testing.assert_close(ours, theirs)
    features[2].square().sum().backward()
    gradient = next(one for one in _convolutions(wide)).weight.grad
    assert gradient[:, 3:].abs().sum() > 0
