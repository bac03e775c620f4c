"""`auxreid verify`: rehashes the cached objects that dvc.lock and the .dvc files name, and takes corrupt ones out.

DVC hashes a file once and then trusts it: an object of its cache by the file's mode, a file of the workspace by inode,
time and size. So a corrupt object is served silently, and a pull leaves it, and every copy of it, where it is. Here
nothing is trusted: what has the wrong hash is put aside, and each copy of it in the workspace is removed (a hard link
is the same file; a copy may have been made after the damage). Both are then missing, and a pull brings them.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.progress import track
from auxreid.plumbing.dvc.repo import locked, opened_repo

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

ASIDE = Path(".dvc/tmp/corrupt")  # below the repository's root, and out of Git as all of .dvc/tmp
NAMES_SHOWN = 5  # of what is missing: in a fresh clone, everything is


@dataclass(frozen=True)
class Place:
    """Where an object belongs in the workspace, and the stage or .dvc file that says so."""

    stage: str
    path: Path


@dataclass
class CachedObject:
    """An object of the cache and, once it was looked at, what was found there."""

    cache: "HashFileDB"
    oid: str  # the hash, with ".dir" behind it where the object is the listing of a folder
    places: list[Place] = field(default_factory=list)  # none: a former result
    state: str = "not checked"  # intact, corrupt or missing
    found: str = ""  # the hash of the bytes that are there
    corrupt_copies: list[Path] = field(default_factory=list)  # of a corrupt object: files of the workspace that hold
    intact_copies: list[Path] = field(default_factory=list)  # the same wrong bytes, or the right ones

    @property
    def path(self) -> Path:
        return Path(self.cache.oid_to_path(self.oid))

    @property
    def expected(self) -> str:
        return self.oid.removesuffix(".dir")

    @property
    def is_listing(self) -> bool:
        return self.oid.endswith(".dir")


@dataclass
class VerifyReport:
    """All objects that were looked at; and the folder with the corrupt ones, None if they were left where they are."""

    objects: list[CachedObject]
    aside: Path | None = None

    def having(self, state: str) -> list[CachedObject]:
        return [entry for entry in self.objects if entry.state == state]


def verify(root: Path = Path("."), *, everything: bool = False, heal: bool = True) -> VerifyReport:
    """Rehash the objects that the outputs of dvc.lock and the .dvc files name, the files of their folders included.

    Args:
        root: the repository.
        everything: also all others of the local cache: former results, which an edit back would restore.
        heal: take corrupt objects and their copies out, so that a pull brings them again; otherwise only report.

    Raises:
        ConfigError: DVC cannot read the repository.
        DataError: dvc.lock or an object cannot be read.
    """
    with opened_repo(root) as repo:
        report = VerifyReport(_rehash_all(repo, everything))
        corrupt = report.having("corrupt")
        for entry in corrupt:
            _look_at_copies(entry)
        if heal and corrupt:
            report.aside = Path(repo.root_dir) / ASIDE
            with locked(repo):
                _take_out(corrupt, report.aside)
    return report


def _rehash_all(repo: "Repo", everything: bool) -> list[CachedObject]:
    objects: dict[Path, CachedObject] = {}
    with locked(repo):
        outputs = [out for out in repo.index.outs if out.use_cache and out.is_in_repo and out.hash_info]
    listings = []
    for out in outputs:
        place = Place(out.stage.addressing, Path(out.fs_path))
        listings.append((out, _add(objects, out.cache, out.hash_info.value, place)))
    _rehash(objects, "outputs")
    for out, entry in listings:
        if entry.is_listing and entry.state == "intact":
            _add_members(objects, out)
    _rehash(objects, "files of folders")
    if everything:
        for oid in repo.cache.local.all():
            _add(objects, repo.cache.local, oid)
        _rehash(objects, "former results")
    return list(objects.values())


def _add(objects: dict[Path, CachedObject], cache: "HashFileDB", oid: str, place: Place | None = None) -> CachedObject:
    """The one entry of an object, which several outputs may name."""
    new = CachedObject(cache, oid)
    entry = objects.setdefault(new.path, new)
    if place is not None:
        entry.places.append(place)
    return entry


def _add_members(objects: dict[Path, CachedObject], out: "Output") -> None:
    from dvc_data.hashfile.tree import Tree

    for relative, _, hash_info in Tree.load(out.cache, out.hash_info):
        _add(objects, out.cache, hash_info.value, Place(out.stage.addressing, Path(out.fs_path, *relative)))


def _rehash(objects: dict[Path, CachedObject], description: str) -> None:
    """Set the state of the objects that were not looked at yet."""
    waiting = [entry for entry in objects.values() if entry.state == "not checked"]
    for entry in track(waiting, f"rehashing {description}"):
        entry.found = _hash(entry, entry.path)
        entry.state = "intact" if entry.found == entry.expected else "corrupt" if entry.found else "missing"


def _hash(entry: CachedObject, path: Path) -> str:
    """The hash of a file as it is now, whatever DVC remembers of it; empty if there is no such file."""
    from dvc_data.hashfile.hash import file_md5

    try:
        return file_md5(str(path), entry.cache.fs, name=entry.cache.hash_name)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _look_at_copies(entry: CachedObject) -> None:
    """A file of the workspace that holds neither the right bytes nor these wrong ones was changed since: not ours."""
    if entry.is_listing:
        return
    for path in (place.path for place in entry.places):
        found = _hash(entry, path) if path.is_file() else ""
        if found == entry.found:
            entry.corrupt_copies.append(path)
        elif found == entry.expected:
            entry.intact_copies.append(path)


def _take_out(corrupt: list[CachedObject], aside: Path) -> None:
    """Nothing is lost: the bytes stay in `aside`, for it may be the only copy of a photograph."""
    aside.mkdir(parents=True, exist_ok=True)
    for entry in corrupt:
        # looked at again: another DVC may have brought what was missing, or removed it
        copies = [path for path in entry.corrupt_copies if _hash(entry, path) == entry.found]
        if _hash(entry, entry.path) == entry.found:
            shutil.move(entry.path, aside / entry.oid)
        for path in copies:
            path.unlink()


def format_report(report: VerifyReport, root: Path = Path(".")) -> str:
    """The report for a terminal: each corrupt object, the first of the missing ones, counts, and what to do."""
    corrupt, missing = report.having("corrupt"), report.having("missing")
    lines = [line for entry in corrupt for line in _corrupt_lines(entry, report.aside, root.resolve())]
    for entry in missing[:NAMES_SHOWN]:
        lines.append(f"missing: {_names(entry, root.resolve())[0]}")
    if len(missing) > NAMES_SHOWN:
        lines.append(f"missing: {len(missing) - NAMES_SHOWN} more")
    intact = len(report.having("intact"))
    lines.append(f"{len(report.objects)} objects: {intact} intact, {len(corrupt)} corrupt, {len(missing)} missing")
    if any(entry.is_listing for entry in corrupt):
        lines.append("The files of a folder whose listing is corrupt were not checked: verify again after the pull.")
    if missing or (corrupt and report.aside):
        lines.append(_remedy(missing + corrupt))
    return "\n".join(lines)


def _remedy(lacking: list[CachedObject]) -> str:
    """A pull of the stages that lack something: without targets it also deletes what it takes for left over."""
    names = sorted({place.stage for entry in lacking for place in entry.places})
    if not names:
        return "Only former results: after an edit back to one, `dvc repro --pull` brings it, or runs it again."
    if len(names) > NAMES_SHOWN:  # each of dvc.yaml's foreach stages as a whole
        names = sorted({name.partition("@")[0] for name in names})
    return f"Now, before any `dvc repro`: `dvc pull {' '.join(names)}`."


def _corrupt_lines(entry: CachedObject, aside: Path | None, root: Path) -> list[str]:
    lines = [f"corrupt: {_shown(entry.path, root)}", f"  expected {entry.expected}, found {entry.found}"]
    lines += [f"  {name}" for name in _names(entry, root)]
    removed = " and was removed" if aside else ""
    lines += [f"  {_shown(path, root)} has the same wrong bytes{removed}" for path in entry.corrupt_copies]
    lines += [
        f"  {_shown(place.path, root)} is intact: without a remote, `dvc commit {place.stage}` brings the object back"
        for place in entry.places
        if place.path in entry.intact_copies
    ]
    if aside:
        lines.append(f"  put aside as {_shown(aside / entry.oid, root)}")
    return lines


def _names(entry: CachedObject, root: Path) -> list[str]:
    return [f"{_shown(place.path, root)} of {place.stage}" for place in entry.places] or ["of a former result"]


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
