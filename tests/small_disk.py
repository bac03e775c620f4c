"""A file system of a few kilobytes, for tests of what happens when it is full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs of `size` bytes at `path`."""

    def __init__(self, path: Path, size: int):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._mount(f"size={size}")

    def resize(self, size: int) -> None:
        self._mount(f"remount,size={size}")

    def _mount(self, options: str) -> None:
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small disk needs the right to mount a tmpfs: {error}")


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[SmallDisk]:
    disk = SmallDisk(path, size)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
