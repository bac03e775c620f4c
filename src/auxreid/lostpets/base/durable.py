"""LanceDB writes files and gives them their names, but never asks the disk to keep them. What is acknowledged is."""

import os
from pathlib import Path


class Kept:
    """The files below a folder that have been written through to the disk. LanceDB changes no file that it has named,
    but for a hint of the latest version, without which it lists them.

    Args:
        new: none has been, yet.
    """

    def __init__(self, folder: Path, new: bool = False) -> None:
        self.folder = folder
        self.files = set() if new else {file.path for file in _files(folder)}

    def keep(self) -> None:
        """Write what is new through to the disk, files and then their names."""
        new = [file.path for file in _files(self.folder) if file.path not in self.files]
        for path in [*new, *sorted({os.path.dirname(path) for path in new})]:
            write_through(path)
        self.files.update(new)


def write_through(path: str | Path) -> None:
    """A file, or the names in a folder. A file that is gone meanwhile, as a temporary one may be, needs no keeping."""
    try:
        number = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _files(folder: str | Path) -> list[os.DirEntry]:
    found = []
    for entry in os.scandir(folder):
        found += _files(entry.path) if entry.is_dir(follow_symlinks=False) else [entry]
    return found
