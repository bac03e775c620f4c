"""Builds image and text towers from the `encoder` section of a recipe.

No weight is downloaded unless the section names an open_clip tag.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auxreid.clip.activation import OPENAI_SIZES, settled
from auxreid.clip.image_towers import ResNetTower, TimmTower, ViTTower
from auxreid.clip.model_names import timm_fault
from auxreid.clip.text_tower import TextTower
from auxreid.clip.weights import load_fitting, read_weights, without_classifier
from auxreid.plumbing.base.errors import ConfigError

COMPUTED = "attn_mask"  # made from the length of a text, and stored in archives all the same


def build_towers(encoder, size: tuple[int, int], weights: bool = True) -> tuple[nn.Module, TextTower]:
    """Image and text tower as `encoder` says, for images of `size` (height, width).

    Args:
        weights: load the weights that the section names, and try the tower on an image; False gives random ones, to be
            overwritten by a checkpoint.

    Raises:
        ConfigError: the weights can be neither read nor downloaded, or are of another structure; the model is unknown,
            or cannot take such images.
    """
    if encoder.kind == "open_clip":
        clip = _open_clip(encoder, weights)
        image, text = _made(encoder, size, lambda: (_wrap_visual(clip.visual, size), TextTower(clip)))
    else:
        make = _small_resnet if encoder.kind == "resnet" else _timm
        image, text = _made(encoder, size, lambda: (make(encoder, size, weights), TextTower(_small_text(encoder))))
    if weights:
        _made(encoder, size, lambda: try_tower(image, size))
    return image, text


def try_tower(image: nn.Module, size: tuple[int, int]) -> None:
    """One black image through a tower, which raises whatever it does on a size that it cannot take."""
    training = image.training
    with torch.no_grad():
        image.eval()(torch.zeros(1, 3, *size))
    image.train(training)


def _made(encoder, size: tuple[int, int], make: Callable[[], Any]) -> Any:
    """What `make` gives; models of all kinds raise of all kinds where they cannot take an image, or are no CLIP's."""
    try:
        return make()
    except ConfigError:
        raise
    except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ConfigError(
            f"encoder: {getattr(encoder, 'name', encoder.kind)} cannot be an encoder of images of {size[0]} x "
            f"{size[1]} (input.height x input.width): {first}"
        ) from error


def _wrap_visual(visual: nn.Module, size: tuple[int, int]) -> nn.Module:
    return ViTTower(visual, size) if hasattr(visual, "class_embedding") else ResNetTower(visual, size)


def _open_clip(encoder, weights: bool) -> nn.Module:
    import open_clip

    quick_gelu = settled(encoder).quick_gelu if encoder.quick_gelu is None else encoder.quick_gelu
    is_file = Path(encoder.pretrained).is_file()
    tag = encoder.pretrained if weights and not is_file else None
    try:
        clip = open_clip.create_model(encoder.name, pretrained=tag, force_quick_gelu=quick_gelu)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"encoder.pretrained = {encoder.pretrained!r}: weights of {encoder.name} could be neither read nor "
            f"downloaded ({type(error).__name__}: {error}); name a local file, or run where there is a network"
        ) from error
    if weights and is_file:
        _load_file(clip, encoder)
    return clip


def _load_file(clip: nn.Module, encoder) -> None:
    """A whole CLIP in open_clip's layout, which is OpenAI's too; of another grid, its positions are resized."""
    from open_clip.model import resize_pos_embed

    state = read_weights(encoder.pretrained, "encoder.pretrained")
    state = {name: tensor for name, tensor in state.items() if name not in OPENAI_SIZES and not name.endswith(COMPUTED)}
    if "logit_scale" in state:
        state["logit_scale"] = state["logit_scale"].reshape(clip.logit_scale.shape)
    resize_pos_embed(state, clip)
    load_fitting(clip, state, f"encoder.pretrained = {encoder.pretrained!r} for {encoder.name}")


def _small_resnet(encoder, size: tuple[int, int], _weights: bool) -> ResNetTower:
    from open_clip.modified_resnet import ModifiedResNet

    visual = ModifiedResNet(
        layers=list(encoder.layers),
        output_dim=encoder.embed_dim,
        heads=max(1, encoder.width * 32 // 64),  # CLIP's head width
        image_size=32 * max(1, size[0] // 32),
        width=encoder.width,
    )
    return ResNetTower(visual, size)


def _timm(encoder, _size: tuple[int, int], weights: bool) -> TimmTower:
    import timm

    if (fault := timm_fault(encoder.name)) is not None:
        raise ConfigError(f"encoder.name = {encoder.name!r}: {fault}")
    options = {} if encoder.output_stride == 32 else {"output_stride": encoder.output_stride}
    trunk = timm.create_model(encoder.name, pretrained=False, **options)
    trunk.reset_classifier(0)
    if weights and encoder.checkpoint is not None:
        state = without_classifier(trunk, read_weights(encoder.checkpoint, "encoder.checkpoint"))
        load_fitting(trunk, state, f"encoder.checkpoint = {encoder.checkpoint!r} for {encoder.name}")
    return TimmTower(trunk, encoder.embed_dim)


def _small_text(encoder) -> nn.Module:
    from open_clip.transformer import TextTransformer

    text = encoder.text
    tower = TextTransformer(width=text.width, heads=text.heads, layers=text.layers, output_dim=encoder.embed_dim)
    tower.init_parameters()
    return tower
