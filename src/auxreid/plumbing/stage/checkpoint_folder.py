"""States of one training in a folder, a file per epoch: the last two are kept, and a broken one is never used."""

import hashlib
import io
import pickle
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from auxreid.plumbing.base.files import finished_file

KEPT = 2  # the last one, and the one before it in case the last one is broken
BROKEN = ".broken"
NAME = re.compile(r"epoch-(?P<epochs>\d+)-(?P<digest>[0-9a-f]{16})\.pt")


class CheckpointFolder:
    """Files epoch-<epochs done>-<digest>.pt, as torch.save writes them.

    The name holds the beginning of the content's SHA-256, since torch.load reads a file with flipped bytes without a
    word. The folder is made at the first save.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[Path]:
        """The files by epoch, the last one first."""
        found = [path for path in self.folder.glob("epoch-*.pt") if NAME.fullmatch(path.name)]
        return sorted(found, key=_epochs, reverse=True)

    def save(self, epochs: int, state: Any) -> Path:
        """Write the state after so many epochs, and remove those before the last two.

        Raises:
            FullDiskError: there is no room; the former files stay.
        """
        buffer = io.BytesIO()  # written as a whole, since torch.save says of a full disk only that a position is wrong
        torch.save(state, buffer)
        content = buffer.getbuffer()
        path = self.folder / f"epoch-{epochs:06d}-{_digest(content)}.pt"
        with finished_file(path) as unfinished:
            unfinished.write_bytes(content)
        self.keep(KEPT)
        return path

    def keep(self, number: int) -> None:
        """Remove all but the last files."""
        for path in self.files()[number:]:
            path.unlink(missing_ok=True)

    def load(self) -> tuple[Path, int, Any] | None:
        """The last state that can be read, on the CPU, with its file and its epochs; None where there is none.

        A file that cannot be read is renamed, with a line on the standard error, and the one before it is taken.
        """
        for path in self.files():
            try:
                content = path.read_bytes()
                if _digest(content) != NAME.fullmatch(path.name)["digest"]:
                    raise ValueError(f"{len(content)} bytes that are not those that were written")
                return path, _epochs(path), torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
                with suppress(OSError):  # it is gone, or may not be renamed: it is not used anyway
                    path.replace(path.with_name(path.name + BROKEN))
                print(
                    f"  {path}: broken and set aside, the one before it is used: {error}", file=sys.stderr, flush=True
                )
        return None


def _epochs(path: Path) -> int:
    return int(NAME.fullmatch(path.name)["epochs"])


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
