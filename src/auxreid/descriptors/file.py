"""Descriptors on disk: safetensors with what they are in the header."""

from pathlib import Path

from pydantic import ValidationError

from auxreid.descriptors.fit import Descriptors
from auxreid.descriptors.header import DescriptorsHeader
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.tensor_file import read_tensors, write_tensors

METADATA_KEY = "descriptors"


def write_descriptors(path: Path, descriptors: Descriptors) -> None:
    """Write them; the file appears by rename."""
    write_tensors(path, descriptors.tensors, descriptors.header.model_dump_json(), METADATA_KEY)


def read_descriptors(path: Path) -> Descriptors:
    """What :func:`write_descriptors` wrote.

    Raises:
        DataError: the file is missing or broken, or none of this kind.
    """
    about, tensors = read_tensors(path, "file of stage `descriptors`", METADATA_KEY)
    try:
        header = DescriptorsHeader.model_validate_json(about)
    except ValidationError as error:
        raise DataError(f"{path}: its header is of another version ({error.error_count()} faults)") from None
    return Descriptors(header, tensors)
