"""Descriptors on disk: safetensors with what they are in the header."""

from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from auxreid.descriptors.fit import Descriptors
from auxreid.descriptors.header import DescriptorsHeader
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file

METADATA_KEY = "descriptors"


def write_descriptors(path: Path, descriptors: Descriptors) -> None:
    """Write them; the file appears by rename."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in descriptors.tensors.items()}
    with finished_file(path) as unfinished:
        save_file(tensors, unfinished, metadata={METADATA_KEY: descriptors.header.model_dump_json()})


def read_descriptors(path: Path) -> Descriptors:
    """What :func:`write_descriptors` wrote.

    Raises:
        DataError: the file is missing or broken, or none of this kind.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file of descriptors")
    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise DataError(f"{path}: not a complete safetensors file ({error})") from error
    if METADATA_KEY not in metadata:
        raise DataError(f"{path}: its header has no entry {METADATA_KEY}; stage `descriptors` writes such files")
    try:
        header = DescriptorsHeader.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        raise DataError(f"{path}: its header is of another version ({error.error_count()} faults)") from None
    return Descriptors(header, tensors)
