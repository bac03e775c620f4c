"""A home folder as one file, made while it is served, and put back after every part of it was checked."""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from auxreid.lostpets.base.write_lock import write_lock
from auxreid.lostpets.service.feedback import FILE as FEEDBACK
from auxreid.lostpets.service.messages import FOLDER as OUTBOX
from auxreid.lostpets.service.serve import LOCK as SERVING
from auxreid.lostpets.service.serve import alone_in
from auxreid.lostpets.service.state import now
from auxreid.lostpets.service.store import FILE as TABLES
from auxreid.lostpets.service.writer import FILE as WRITING
from auxreid.lostpets.service.writer import Writer
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.files import finished_file, naming_full_disk

FORMAT = 1
MANIFEST = "manifest.json"
BASE, LOCK_FILE = "base", ".lock"
PARTS = (BASE, "photos", OUTBOX, TABLES, FEEDBACK)  # of a home folder; the rest is of the running service alone
LOCKS = (SERVING, WRITING)  # files of a home folder that say nothing
LARGEST_MANIFEST = 2**30
BLOCK = 2**20
HOLDS = (
    "holds photographs, contacts and messages as the home folder did at this moment: keep it as private. A report that "
    "is deleted later stays in this file, and comes back with it: delete backups after a time that you state"
)


def backup(home: Path, file: Path) -> int:
    """Write everything in the home folder to one file; who posts meanwhile waits. Returns the number of files in it.

    Raises:
        ConfigError: there is no such folder, or the file would be within it.
        FullDiskError: names the file.
    """
    if not home.is_dir():
        raise ConfigError(f"{home}: no such folder; --home names the one that is served")
    if file.resolve().is_relative_to(home.resolve()):
        raise ConfigError(f"{file}: within the folder that it is a backup of; name another place")
    with Writer(home).turn(), _still(home), finished_file(file) as unfinished, tempfile.TemporaryDirectory() as folder:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        unfinished.chmod(0o600)
        tables = _copied_tables(home / TABLES, Path(folder) / TABLES)
        with tarfile.open(unfinished, "w") as archive:
            listed = {name: _added(archive, name, path) for name, path in _files(home, tables)}
            if not listed:
                raise ConfigError(f"{home}: has nothing in it to keep; --home names the one that is served")
            manifest = json.dumps({"format": FORMAT, "made": now(), "files": listed}).encode()
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(manifest)
            archive.addfile(member, io.BytesIO(manifest))
    return len(listed)


def restore(file: Path, home: Path) -> int:
    """Put a backup's files where there are none, once all of them have been read and are what they were.

    Raises:
        ConfigError: the folder has something in it, or is served.
        DataError: the file is no backup, or not whole; names what is wrong. Nothing is left behind.
    """
    if home.exists() and not (home.is_dir() and all(one.name in LOCKS for one in home.iterdir())):
        raise ConfigError(f"{home}: is there already; restore to another place, or move it away first")
    home.parent.mkdir(parents=True, exist_ok=True)
    taken = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        with naming_full_disk(home):
            count = _taken_out(file, taken)
        _check_tables(taken / TABLES, file)
        if home.exists():
            with alone_in(home):  # a service that could not start leaves its lock
                for lock in LOCKS:
                    (home / lock).unlink(missing_ok=True)
                home.rmdir()
                taken.rename(home)
        else:
            taken.rename(home)
    except BaseException:
        shutil.rmtree(taken, ignore_errors=True)
        raise
    return count


@contextmanager
def _still(home: Path) -> Iterator[None]:
    """Whoever writes to the base alone waits as well."""
    lock = home / BASE / LOCK_FILE
    with write_lock(lock) if lock.parent.is_dir() else nullcontext():
        yield


def _copied_tables(tables: Path, copy: Path) -> Path | None:
    if not tables.exists():
        return None
    with closing(sqlite3.connect(tables)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("pragma journal_mode=delete")
    return copy


def _files(home: Path, tables: Path | None) -> Iterator[tuple[str, Path]]:
    """The name in the archive and the place of each file."""
    if tables is not None:
        yield TABLES, tables
    for part in PARTS:
        found = [home / part] if part == FEEDBACK else sorted((home / part).rglob("*")) if part != TABLES else []
        for path in found:
            if path.is_file() and not path.is_symlink() and ".unfinished" not in path.name and path.name != LOCK_FILE:
                yield path.relative_to(home).as_posix(), path


def _added(archive: tarfile.TarFile, name: str, path: Path) -> list:
    """Its size and hash, of the very bytes that went into the archive."""
    with path.open("rb") as file:
        reading = _Hashed(file)
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(file.fileno()).st_size, 0o600
        archive.addfile(member, reading)
    return [member.size, reading.hash.hexdigest()]


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO):
        self._file, self.hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.hash.update(block)
        return block


def _taken_out(file: Path, folder: Path) -> int:
    """All files of an archive, checked against its manifest."""
    found: dict[str, list] = {}
    manifest = None
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                if manifest is not None or not _is_fine(member, found):
                    raise DataError(f"{file}: {member.name[:80]!r} is in it, which no backup has; nothing was restored")
                content = archive.extractfile(member)
                if member.name == MANIFEST:
                    manifest = json.loads(content.read(LARGEST_MANIFEST))
                else:
                    found[member.name] = _written(content, folder / member.name)
        listed = manifest["files"] if manifest["format"] == FORMAT else None
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (tarfile.TarError, ValueError, TypeError, KeyError):
        raise DataError(f"{file}: not a backup, or not whole; nothing was restored") from None
    wrong = [name for name in {**listed, **found} if listed.get(name) != found.get(name)]
    if wrong:
        raise DataError(f"{file}: {wrong[0]} is missing or changed; nothing was restored")
    return len(found)


def _is_fine(member: tarfile.TarInfo, found: dict[str, list]) -> bool:
    """A plain file within the parts of a home folder, for the first time."""
    parts = PurePosixPath(member.name).parts
    within = parts and (member.name == MANIFEST or parts[0] in PARTS) and ".." not in parts and member.name not in found
    return bool(within) and member.isreg() and not member.issparse()


def _written(content: BinaryIO, path: Path) -> list:
    path.parent.mkdir(parents=True, exist_ok=True)
    reading, size = _Hashed(content), 0
    with path.open("xb") as file:
        path.chmod(0o600)
        while block := reading.read(BLOCK):
            file.write(block)
            size += len(block)
        file.flush()
        os.fsync(file.fileno())
    return [size, reading.hash.hexdigest()]


def _check_tables(tables: Path, file: Path) -> None:
    if not tables.exists():
        return
    try:
        with closing(sqlite3.connect(tables)) as connection:
            said = connection.execute("pragma quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise DataError(f"{file}: its {TABLES} is damaged ({said}); nothing was restored")
