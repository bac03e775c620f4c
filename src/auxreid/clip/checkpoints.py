"""Towers on disk: safetensors with the encoder's configuration in the header, so that a file explains itself."""

from pathlib import Path
from typing import Any

from torch import nn

from auxreid.clip.build import build_towers
from auxreid.clip.input_channels import widen_input
from auxreid.clip.last_stride import remove_last_stride_of
from auxreid.clip.text_tower import TextTower
from auxreid.clip.vit_variants import ViTVariant, adapt_vit, variant_of
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.tensor_file import read_tensors, write_tensors
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig
from auxreid.plumbing.settings.recipes import EncoderConfig, InputConfig
from auxreid.plumbing.settings.rows import PoseFusionConfig
from auxreid.plumbing.settings.section import Section

BESIDE = "beside."  # prefix of the tensors of what was trained with a tower and takes part when it ranks


class FusionHeader(Section):
    """A pose fusion that was trained with the tower."""

    joints: int
    pose: PoseFusionConfig


class AuxiliaryHeader(Section):
    """An idea of a row's `auxiliary` that was trained with the tower, and takes part when it ranks."""

    config: AuxiliaryConfig
    facts: dict[str, Any]  # what it must know of its training to be built again


Beside = FusionHeader | AuxiliaryHeader


class TowerHeader(Section):
    """What a checkpoint's header says."""

    encoder: EncoderConfig
    input: InputConfig
    vit: ViTVariant | None = None  # None: the plain tower
    stride_one: bool = False  # the last stride is removed
    extra_channels: int = 0  # of the input, after the image's
    fusion: FusionHeader | None = None
    auxiliary: AuxiliaryHeader | None = None
    remark: str = ""  # what a reader of its figures must know of its training


def save_tower(
    tower: nn.Module, path: Path, encoder, input_config, beside: tuple[nn.Module, Beside] | None = None
) -> None:
    """Write a tower's weights, and those of what was trained beside it and ranks; the file appears by rename.

    The header also holds the tower's `.remark`, if it has one.
    """
    header = TowerHeader(
        encoder=encoder,
        input=input_config,
        vit=variant_of(tower),
        stride_one=getattr(tower, "stride_one", False),
        extra_channels=getattr(tower, "extra_channels", 0),
        fusion=_if_of(FusionHeader, beside),
        auxiliary=_if_of(AuxiliaryHeader, beside),
        remark=getattr(tower, "remark", ""),
    )
    state = tower.state_dict()
    if beside is not None:
        state |= {BESIDE + name: tensor for name, tensor in beside[0].state_dict().items()}
    write_tensors(path, state, header.model_dump_json())


def _if_of(kind: type, beside: tuple[nn.Module, Beside] | None) -> Beside | None:
    return beside[1] if beside is not None and isinstance(beside[1], kind) else None


def save_no_text(path: Path, encoder, input_config, why: str) -> None:
    """Write what stands in the place of a text tower that there is none of: a header that says why."""
    header = TowerHeader(encoder=encoder, input=input_config, remark=why)
    write_tensors(path, {}, header.model_dump_json())


def load_image_encoder(path: str | Path) -> nn.Module:
    """The image tower of a checkpoint, in eval mode; its header is in `.encoder_config`, `.input_config` and `.remark`.

    Raises:
        DataError: the file is missing or no checkpoint of this project.
    """
    return load_ranked_encoder(path)[0]


def load_ranked_encoder(path: str | Path) -> tuple[nn.Module, tuple[Beside, dict] | None]:
    """As :func:`load_image_encoder`, and what was trained beside it and ranks, header and tensors, or None."""
    header, tensors = _read(Path(path))
    size = (header.input.height, header.input.width)
    image, _ = build_towers(header.encoder, size, weights=False)
    if header.vit is not None:
        image = adapt_vit(image, header.vit, size, header.vit.cameras)
    if header.stride_one:
        remove_last_stride_of(image, size)
    if header.extra_channels:
        widen_input(image, header.extra_channels)
    image.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith(BESIDE)})
    image.encoder_config, image.input_config, image.remark = header.encoder, header.input, header.remark
    beside = header.fusion or header.auxiliary
    own = {name.removeprefix(BESIDE): tensor for name, tensor in tensors.items() if name.startswith(BESIDE)}
    return image.eval(), (beside, own) if beside is not None else None


def load_text_tower(path: str | Path) -> TextTower:
    """The text tower of a checkpoint, in eval mode.

    Raises:
        DataError: as :func:`load_image_encoder`, or the file says that there is no text tower, and why.
    """
    header, tensors = _read(Path(path))
    if not tensors:
        raise DataError(f"{path}: there is no text tower: {header.remark}")
    _, text = build_towers(header.encoder, (header.input.height, header.input.width), weights=False)
    text.load_state_dict(tensors)
    return text.eval()


def _read(path: Path) -> tuple[TowerHeader, dict]:
    about, tensors = read_tensors(path, "checkpoint")
    return TowerHeader.model_validate_json(about), tensors
