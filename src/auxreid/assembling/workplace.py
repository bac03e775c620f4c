"""The output folder: what lies where in it, and that nothing is read from where it is written."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.files import write_text


@dataclass(frozen=True)
class Workplace:
    """Paths below the output folder. Hidden ones are none of the data set: layouts pass over them."""

    out: Path

    @property
    def photos(self) -> Path:
        """Copies of the photographs that the data set lists, named by their content."""
        return self.out / "photos"

    @property
    def table(self) -> Path:
        return self.out / "frames.csv"

    @property
    def report(self) -> Path:
        return self.out / "report.json"

    @property
    def page(self) -> Path:
        return self.out / "review.html"

    @property
    def decisions(self) -> Path:
        return self.out / "decisions.csv"

    @property
    def hidden(self) -> Path:
        return self.out / ".assemble"

    @property
    def videos(self) -> Path:
        """Frames of videos, a folder each."""
        return self.hidden / "videos"

    @property
    def looks(self) -> Path:
        return self.hidden / "looks.jsonl"

    @property
    def dogs(self) -> Path:
        """Which dog each photograph was, so that dogs keep their names."""
        return self.hidden / "dogs.json"

    @property
    def folders(self) -> Path:
        """What was read so far, a path a line."""
        return self.hidden / "folders.txt"

    @property
    def thumbs(self) -> Path:
        return self.hidden / "thumbs"

    def vectors(self, kind: str, key: str) -> Path:
        """What a network of this key (a hash) said of photographs."""
        return self.hidden / kind / key[:16]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises DataError if another process assembles there."""
        self.check([])
        self.hidden.mkdir(parents=True, exist_ok=True)
        with (self.hidden / ".lock").open("w") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise DataError(f"{self.out}: another `auxreid assemble` writes there; wait for it or end it") from None
            yield

    def check(self, places: Sequence[Path]) -> None:
        """Raises ConfigError if a folder to be read lies in the output folder, or around it."""
        out = self.out.resolve()
        if out.exists() and not out.is_dir():
            raise ConfigError(f"--out {self.out}: a file; name a folder to be written")
        for place in places:
            other = place.resolve()
            if other == out or other in out.parents or out in other.parents:
                raise ConfigError(
                    f"--out {self.out}: overlaps {place}, which is read; name an output folder outside of it"
                )

    def read_from(self, places: Sequence[Path]) -> list[Path]:
        """The folders and files of all runs so far and these; what is new is remembered.

        Raises:
            ConfigError: none is named, now or before, or one overlaps the output folder.
            DataError: one is not there.
        """
        before = self.folders.read_text(encoding="utf-8").splitlines() if self.folders.is_file() else []
        wanted = list(dict.fromkeys([*before, *map(_shown, places)]))
        if not wanted:
            raise ConfigError(f"--out {self.out}: nothing is assembled there yet; name the folders to be read")
        self.check([Path(one) for one in wanted])
        for gone in (one for one in wanted if not Path(one).exists()):
            known = f"; put it back, or take its line out of {self.folders}" if gone in before else ""
            raise DataError(f"{gone}: no such file or folder{known}")
        if wanted != before:
            write_text(self.folders, "".join(f"{one}\n" for one in wanted))
        return [Path(one) for one in wanted]


def _shown(place: Path) -> str:
    """One name for a place, however it is written: below the working folder from there, else the whole path."""
    whole, here = place.resolve(), Path.cwd().resolve()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def write_if_new(path: Path, text: str) -> None:
    """Write a file whose content is another one; else its time stays, and nothing that depends on it is looked at."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)
