"""The (f1, f2, f3) towers against open_clip and timm, at their native sizes and at ours."""

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import load_image_encoder, load_text_tower, save_tower
from auxreid.clip.image_towers import ResNetTower, ViTTower, patch_grid, resize_positions
from auxreid.clip.weights import read_weights
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.recipes import (
    InputConfig,
    OpenClipEncoder,
    ResNetEncoderConfig,
    TextConfig,
    TimmEncoderConfig,
)

TEXT = TextConfig(width=32, heads=2, layers=1)
SMALL = ResNetEncoderConfig(kind="resnet", width=8, layers=(1, 1, 1, 1), embed_dim=24, text=TEXT)
INPUT = InputConfig(height=64, width=32, mean=(0.5,) * 3, std=(0.5,) * 3)


def images(h: int, w: int) -> torch.Tensor:
    return torch.randn(2, 3, h, w, generator=torch.Generator().manual_seed(0))


def test_vit_f3_equals_open_clip_at_its_own_size():
    torch.manual_seed(0)
    vision = {"layers": 3, "width": 48, "head_width": 16, "patch_size": 16, "image_size": 64}
    clip = open_clip.CLIP(24, vision, {"width": 32, "heads": 2, "layers": 1}).eval()
    expected = clip.visual(images(64, 64))
    f1, f2, f3 = ViTTower(clip.visual, (64, 64))(images(64, 64))
    torch.testing.assert_close(f3, expected)
    assert (f1.shape, f2.shape) == ((2, 48), (2, 48)) and not torch.equal(f1, f2)


def test_resnet_with_its_stride_restored_equals_open_clip():
    """Our tower differs from CLIP's only in the last stride and the resized positions."""
    from open_clip.modified_resnet import ModifiedResNet

    torch.manual_seed(0)
    plain = ModifiedResNet(layers=[1, 1, 1, 1], output_dim=24, heads=4, image_size=64, width=8).eval()
    expected_l3 = plain.layer3(plain.layer2(plain.layer1(plain.stem(images(64, 64))))).mean((2, 3))
    tower = ResNetTower(plain, (64, 64))
    f1, f2, f3 = tower(images(64, 64))
    torch.testing.assert_close(f1, expected_l3)
    assert plain.layer4(plain.layer3(plain.layer2(plain.layer1(plain.stem(images(64, 64)))))).shape[2:] == (4, 4)
    assert tower.dims == (128, 256, 24) and [f.shape[1] for f in (f1, f2, f3)] == [128, 256, 24]


def test_rn50_has_the_widths_of_the_reference_at_256_by_128():
    image, text = build_towers(OpenClipEncoder(kind="open_clip", name="RN50", pretrained="openai"), (256, 128), False)
    assert image.dims == (1024, 2048, 1024) and text.dim == 1024
    assert image.visual.attnpool.positional_embedding.shape == (1 + 16 * 8, 2048)


def test_vit_b_16_has_the_widths_of_the_reference_at_256_by_128():
    encoder = OpenClipEncoder(kind="open_clip", name="ViT-B-16", pretrained="openai")
    image, text = build_towers(encoder, (256, 128), False)
    assert image.dims == (768, 768, 512) and text.dim == 512
    assert image.visual.positional_embedding.shape == (1 + 16 * 8, 768)


def test_timm_features_come_from_the_backbone():
    encoder = TimmEncoderConfig(kind="timm", name="tf_efficientnet_lite0", output_stride=32, embed_dim=24, text=TEXT)
    torch.manual_seed(0)
    image, _ = build_towers(encoder, (64, 32))
    image.eval()
    f1, f2, f3 = image(images(64, 32))
    assert image.dims == (112, 1280, 24) and f1.shape == (2, 112)
    torch.testing.assert_close(f2, image.trunk(images(64, 32)))
    torch.testing.assert_close(f3, f2 @ image.projection.weight.T)


def test_timm_output_stride_keeps_the_map_large():
    encoder = TimmEncoderConfig(kind="timm", name="resnet18", output_stride=16, embed_dim=8, text=TEXT)
    image, _ = build_towers(encoder, (128, 64))
    assert image.trunk.forward_features(images(128, 64)).shape[2:] == (8, 4)


def test_positions_are_resized_bilinearly_and_the_class_position_stays():
    positions = torch.randn(1 + 9, 5)
    resized = resize_positions(positions, (6, 3))
    torch.testing.assert_close(resized[0], positions[0])
    columns = positions[1:].reshape(3, 3, 5)
    # bilinear from 3 to 6 rows samples at -1/4, 1/4, 3/4, ... of a row, clamped at the border
    torch.testing.assert_close(resized[1:4], columns[0])
    torch.testing.assert_close(resized[4:7], 0.75 * columns[0] + 0.25 * columns[1])
    torch.testing.assert_close(resize_positions(positions, (3, 3)), positions)
    with pytest.raises(ValueError, match="7 positions do not form a square"):
        resize_positions(torch.zeros(8, 2), (2, 2))


@pytest.mark.parametrize("source, grid", [((3, 5), (7, 4)), ((16, 8), (21, 10)), ((4, 2), (4, 3))])
def test_positions_of_a_grid_that_is_not_square_are_resized_as_an_image(source, grid):
    positions = torch.randn(1 + source[0] * source[1], 6, generator=torch.Generator().manual_seed(0))
    resized = resize_positions(positions, grid, source)
    for channel in range(6):
        image = positions[1:, channel].reshape(1, 1, *source)
        expected = F.interpolate(image, size=grid, mode="bilinear", align_corners=False).flatten()
        torch.testing.assert_close(resized[1:, channel], expected)
    assert torch.equal(resized[0], positions[0])


def test_resizing_by_hand_from_two_by_one():
    positions = torch.tensor([[9.0], [0.0], [8.0]])
    # from 2 to 4 rows: at -1/4 (clamped), 1/4, 3/4 and 5/4 (clamped) of the way from the first row to the second
    assert resize_positions(positions, (4, 1), (2, 1)).flatten().tolist() == [9.0, 0.0, 2.0, 6.0, 8.0]
    assert resize_positions(positions, (1, 2), (1, 2)) is positions
    with pytest.raises(ValueError, match="2 positions do not form a grid of 2 x 2"):
        resize_positions(positions, (4, 1), (2, 2))


@given(st.integers(8, 70), st.integers(8, 70), st.integers(1, 8), st.integers(1, 8))
def test_the_grid_is_what_the_convolution_puts_out(height, width, patch, stride):
    patches = nn.Conv2d(1, 1, patch, stride, device="meta")
    out = patches(torch.empty(1, 1, height, width, device="meta"))
    assert patch_grid((height, width), patches) == tuple(out.shape[2:])


def test_checkpoints_give_equal_features_back(tmp_path):
    torch.manual_seed(0)
    image, text = build_towers(SMALL, (64, 32))
    save_tower(image.eval(), tmp_path / "image.safetensors", SMALL, INPUT)
    save_tower(text.eval(), tmp_path / "text.safetensors", SMALL, INPUT)
    again = load_image_encoder(tmp_path / "image.safetensors")
    for ours, theirs in zip(again(images(64, 32)), image(images(64, 32)), strict=True):
        assert torch.equal(ours, theirs)
    tokens = open_clip.tokenize(["a photo of a dog"])
    assert torch.equal(load_text_tower(tmp_path / "text.safetensors")(tokens), text(tokens))
    assert again.input_config == INPUT


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.safetensors: no such file"):
        load_image_encoder(tmp_path / "nothing.safetensors")


def test_weights_that_cannot_be_had_are_one_clear_error(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr("open_clip.factory.download_pretrained", refuse)
    with pytest.raises(ConfigError, match=r"'openai'.*RN50.*network is unreachable.*local file"):
        build_towers(OpenClipEncoder(kind="open_clip", name="RN50", pretrained="openai"), (256, 128))
    with pytest.raises(ConfigError, match="'RN5': not an open_clip model"):
        build_towers(OpenClipEncoder(kind="open_clip", name="RN5", pretrained="openai"), (256, 128))
    with pytest.raises(ConfigError, match=r"encoder.checkpoint = .*no such file"):
        read_weights(str(tmp_path / "x.safetensors"), "encoder.checkpoint")


def test_a_pickle_with_code_is_refused(tmp_path):
    torch.save({"weights": F.relu}, tmp_path / "evil.pth")
    with pytest.raises(ConfigError, match="not a readable"):
        read_weights(str(tmp_path / "evil.pth"), "encoder.checkpoint")
