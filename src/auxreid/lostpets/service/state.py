"""What all routes share: the engine, the home folder with its tables and photographs, and who may write."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from auxreid.lostpets.engine import Engine
from auxreid.lostpets.service.errors import Refused
from auxreid.lostpets.service.limits import Turns
from auxreid.lostpets.service.photo_files import PhotoFiles
from auxreid.lostpets.service.settings import Settings
from auxreid.lostpets.service.store import FILE, Store
from auxreid.lostpets.service.uploads import Photo
from auxreid.lostpets.service.writer import Writer
from auxreid.plumbing.base.errors import DataError


@dataclass
class Service:
    """The opened home folder and the engine that searches it."""

    engine: Engine  # its looker a SharedLooker
    home: Path
    settings: Settings
    larger: Callable[[str], bytes | None]  # a photograph of a data set as a larger JPEG than the base has
    store: Store = field(init=False)
    photos: PhotoFiles = field(init=False)
    writer: Writer = field(init=False)
    turns: Turns = field(init=False)
    wake: Callable[[], None] = field(init=False, default_factory=lambda: _nobody)  # works in the background
    to_mend: bool = field(init=False, default=False)  # a change came to a halt between tables and base

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self.store = Store(self.home / FILE)
        self.photos = PhotoFiles(self.home / "photos")
        self.writer, self.turns = Writer(self.home), Turns(self.settings.searches_at_once)

    @property
    def model(self) -> str:
        """Hash of the networks that the base was made by."""
        return self.engine.base.header.model

    def record(self, frame: str):
        """What the base knows of a photograph; None: it has none of that name."""
        try:
            return self.engine.base.record(frame)
        except DataError:
            return None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The turn of a writer; what fails within is mended later, as what a kill left."""
        with self.writer.turn():
            try:
                yield
            except Refused:
                raise
            except Exception:
                self.to_mend = True
                raise

    def keep(self, photos: Sequence[Photo]) -> None:
        """On the disk when it returns; those that nothing refers to are deleted an hour after their last use.

        Raises:
            Refused: the disk is nearly full.
        """
        if photos and shutil.disk_usage(self.home).free < self.settings.free_bytes:
            raise Refused(503, "the disk is nearly full; again in an hour", "photos", {"Retry-After": "3600"})
        with self.writer.turn(), self.store.change():
            for photo in photos:
                self.photos.put(photo.name, photo.content)
                seen = {"fingerprint": photo.fingerprint.tobytes(), "thumbnail": photo.thumbnail}
                self.store.put("photos", name=photo.name, created=time.time(), **seen)

    def content(self, name: str) -> bytes | None:
        """A photograph that was uploaded; it is kept for another hour."""
        if not self.store.run("update photos set created = ? where name = ?", (time.time(), name)):
            return None
        return self.photos.get(name)


def _nobody() -> None:
    """Is woken where nothing works in the background."""


def now() -> str:
    """The time as it is kept and shown."""
    return datetime.now(UTC).isoformat(timespec="seconds")
