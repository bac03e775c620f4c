"""The files of photographs in the home folder, each under the SHA-256 of its bytes."""

import re
from collections.abc import Iterator
from pathlib import Path

from auxreid.lostpets.base.durable import write_through
from auxreid.plumbing.base.files import finished_file

NAME = re.compile(r"[0-9a-f]{64}")


class PhotoFiles:
    """A folder of photographs; a name is a hash, so that no client's path is ever used."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        """On the disk when it returns."""
        path = self._path(name)
        if not path.exists():
            with finished_file(path) as unfinished:
                unfinished.write_bytes(content)
            write_through(path.parent)

    def get(self, name: str) -> bytes | None:
        """The file's bytes; None: it is not there."""
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def remove(self, name: str) -> None:
        """Nothing if it is not there."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Of all that are there."""
        for path in self.folder.glob("*/*.jpg"):
            if NAME.fullmatch(path.stem):
                yield path.stem

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError("not the name of a photograph")
        return self.folder / name[:2] / f"{name}.jpg"
