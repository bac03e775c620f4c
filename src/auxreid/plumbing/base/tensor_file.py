"""Tensors on disk with what they are: safetensors whose header says it, as one entry of JSON."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file

KEY = "auxreid"


def write_tensors(path: Path, tensors: Mapping[str, Any], about: str, key: str = KEY) -> None:
    """Write torch tensors, from whatever device, and `about`, JSON; the file appears by rename."""
    from safetensors.torch import save_file

    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with finished_file(path) as unfinished:
        save_file(kept, unfinished, metadata={key: about})


def read_tensors(path: Path, what: str, key: str = KEY, framework: str = "pt") -> tuple[str, dict[str, Any]]:
    """The JSON and the tensors of a file.

    Args:
        what: the file should be, for messages.
        framework: "pt" for torch tensors, "numpy" for arrays.

    Raises:
        DataError: the file is missing or broken, or its header has no such entry.
    """
    with _opened(path, what, framework) as file:
        return _about(file, path, what, key), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_about(path: Path, what: str, key: str = KEY) -> tuple[str, tuple[str, ...]]:
    """The JSON and the tensors' names, of the file's beginning alone; raises as :func:`read_tensors`."""
    with _opened(path, what, "numpy") as file:
        return _about(file, path, what, key), tuple(file.keys())


@contextmanager
def _opened(path: Path, what: str, framework: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise DataError(f"{path}: no such file, where a {what} is needed")
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except SafetensorError as error:
        raise DataError(f"{path}: not a {what}: no complete safetensors file ({error})") from error


def _about(file: Any, path: Path, what: str, key: str) -> str:
    said = file.metadata() or {}
    if key not in said:
        raise DataError(f"{path}: not a {what}: its header has no entry {key}")
    return said[key]
