"""Towers on disk: safetensors with the encoder's configuration in the header, so that a file explains itself."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from auxreid.clip.build import build_towers
from auxreid.clip.text_tower import TextTower
from auxreid.config import EncoderConfig, InputConfig, Section
from auxreid.errors import DataError


class TowerHeader(Section):
    """What a checkpoint's header says."""

    encoder: EncoderConfig
    input: InputConfig


def save_tower(tower: nn.Module, path: Path, encoder, input_config) -> None:
    """Write a tower's weights; the file appears by rename."""
    header = {"encoder": encoder.model_dump(mode="json"), "input": input_config.model_dump(mode="json")}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tower.state_dict().items()}
    unfinished = path.with_name(path.name + ".tmp")
    save_file(tensors, unfinished, metadata={"auxreid": json.dumps(header, sort_keys=True)})
    unfinished.rename(path)


def load_image_encoder(path: str | Path) -> nn.Module:
    """The image tower of a checkpoint, in eval mode; its input section is in `.input_config`.

    Raises:
        DataError: the file is missing or no checkpoint of this project.
    """
    header, tensors = _read(Path(path))
    image, _ = build_towers(header.encoder, (header.input.height, header.input.width), weights=False)
    image.load_state_dict(tensors)
    image.input_config = header.input
    return image.eval()


def load_text_tower(path: str | Path) -> TextTower:
    """The text tower of a checkpoint, in eval mode. Raises as :func:`load_image_encoder`."""
    header, tensors = _read(Path(path))
    _, text = build_towers(header.encoder, (header.input.height, header.input.width), weights=False)
    text.load_state_dict(tensors)
    return text.eval()


def _read(path: Path) -> tuple[TowerHeader, dict]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if "auxreid" not in metadata:
            raise DataError(f"{path}: its header has no auxreid entry, so it is no checkpoint of this project")
        header = TowerHeader.model_validate_json(metadata["auxreid"])
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
