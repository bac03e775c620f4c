"""Builds image and text towers from the `encoder` section of a recipe.

No weight is downloaded unless the section names an open_clip tag.
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from auxreid.clip.image_towers import ResNetTower, TimmTower, ViTTower
from auxreid.clip.model_names import open_clip_fault, timm_fault
from auxreid.clip.text_tower import TextTower
from auxreid.plumbing.base.errors import ConfigError


def build_towers(encoder, size: tuple[int, int], weights: bool = True) -> tuple[nn.Module, TextTower]:
    """Image and text tower as `encoder` says, for images of `size` (height, width).

    Args:
        weights: load the weights that the section names; False gives random ones, to be overwritten by a checkpoint.

    Raises:
        ConfigError: the weights can be neither read nor downloaded, or the open_clip model is unknown.
    """
    if encoder.kind == "open_clip":
        clip = _open_clip(encoder, weights)
        return _wrap_visual(clip.visual, size), TextTower(clip)
    image = _small_resnet(encoder, size) if encoder.kind == "resnet" else _timm(encoder, weights)
    return image, TextTower(_small_text(encoder))


def _wrap_visual(visual: nn.Module, size: tuple[int, int]) -> nn.Module:
    return ViTTower(visual, size) if hasattr(visual, "class_embedding") else ResNetTower(visual, size)


def _open_clip(encoder, weights: bool) -> nn.Module:
    import open_clip

    _check_name(encoder, open_clip_fault)
    # OpenAI trained with QuickGELU; open_clip applies it by itself only when it loads their tag
    options = {"force_quick_gelu": encoder.pretrained == "openai"}
    try:
        return open_clip.create_model(encoder.name, pretrained=encoder.pretrained if weights else None, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"encoder.pretrained = {encoder.pretrained!r}: weights of {encoder.name} could be neither read nor "
            f"downloaded ({type(error).__name__}: {error}); name a local file, or run where there is a network"
        ) from error


def _check_name(encoder, fault_of: Callable[[str], str | None]) -> None:
    if (fault := fault_of(encoder.name)) is not None:
        raise ConfigError(f"encoder.name = {encoder.name!r}: {fault}")


def _small_resnet(encoder, size: tuple[int, int]) -> ResNetTower:
    from open_clip.modified_resnet import ModifiedResNet

    visual = ModifiedResNet(
        layers=list(encoder.layers),
        output_dim=encoder.embed_dim,
        heads=max(1, encoder.width * 32 // 64),  # CLIP's head width
        image_size=32 * max(1, size[0] // 32),
        width=encoder.width,
    )
    return ResNetTower(visual, size)


def _timm(encoder, weights: bool) -> TimmTower:
    import timm

    _check_name(encoder, timm_fault)
    options = {} if encoder.output_stride == 32 else {"output_stride": encoder.output_stride}
    trunk = timm.create_model(encoder.name, pretrained=False, **options)
    if weights and encoder.checkpoint is not None:
        trunk.load_state_dict(read_weights(encoder.checkpoint, "encoder.checkpoint"))
    trunk.reset_classifier(0)
    return TimmTower(trunk, encoder.embed_dim)


def _small_text(encoder) -> nn.Module:
    from open_clip.transformer import TextTransformer

    text = encoder.text
    tower = TextTransformer(width=text.width, heads=text.heads, layers=text.layers, output_dim=encoder.embed_dim)
    tower.init_parameters()
    return tower


def read_weights(path: str, key: str) -> dict[str, torch.Tensor]:
    """A state dict from a local file, without running code from it (safetensors, or torch's weights_only).

    Raises:
        ConfigError: names `key`, the file and what is wrong with it.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{key} = {path!r}: no such file in {os.getcwd()}")
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format raises its own; all mean the same to the user
        raise ConfigError(f"{key} = {path!r}: not a readable safetensors or state-dict file ({error})") from error
