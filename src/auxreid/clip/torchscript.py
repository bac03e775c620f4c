"""The tensors of a TorchScript archive, in which OpenAI publishes CLIP, read without running the program in it.

torch.jit.load would load the program as well, and may run parts of it (`__setstate__`), which can write files. Here the
pickle of the archive is read with the few names that tensors and plain values need; any other name is an error.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PROGRAM = "constants.pkl"  # beside data.pkl in an archive, and in no file of torch.save
STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
}
LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")


def is_archive(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.rpartition("/")[2] == PROGRAM for name in archive.namelist())


def read_archive(path: str | Path) -> dict[str, Tensor]:
    """The tensors of an archive by their dotted names, as its state dict has them.

    Raises:
        pickle.UnpicklingError: it names what no weights need.
        KeyError, RuntimeError, ValueError, zipfile.BadZipFile: it is broken.
    """
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
        root = _Reader(archive, name.removesuffix("data.pkl")).load()
    return dict(_tensors(root, ""))


def _tensors(module: "_Module", prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")


class _Module:
    """Stands for a module of the archive: its attributes, and nothing that could be called."""


class _Reader(pickle.Unpickler):
    """Reads data.pkl below `folder` of an archive."""

    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch.jit._pickle" and name in (*LISTS, "restore_type_tag"):
            return _first
        raise pickle.UnpicklingError(f"{module}.{name} is no part of weights")

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage [n] from ("storage", its type, its file's name, a device, n)."""
        _, dtype, key, _, count = pid
        content = bytearray(self.archive.read(f"{self.folder}data/{key}"))
        return torch.frombuffer(content, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


def _first(value: Any, *_: Any) -> Any:
    return value
