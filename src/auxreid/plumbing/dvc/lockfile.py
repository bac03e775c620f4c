"""Reading dvc.lock: which results are the present ones, and a digest that names each of them."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.yaml_file import RESOLVE, parse_yaml
from auxreid.plumbing.dvc.lock import dvc_is_quiet
from auxreid.plumbing.dvc.stages import outputs_asked

LOCK_FILE = "dvc.lock"
MISSING = "`dvc repro` makes what is missing from the cache"
REMEDY = f"take the committed one with `git checkout HEAD -- {{path}}`, or delete it; {MISSING}"
NO_DATA = ("pipeline/", "src/", "results/protocol/", "results/sources/")  # code, settings, or "nothing"
NOT_CONTENT = {"size", "nfiles", "isexec"}  # follow from the content or say nothing about it


@dataclass(frozen=True)
class LockedStage:
    """A stage of dvc.lock that has a record among its outputs: results/<stage>/<key>/record."""

    name: str  # as DVC writes it, e.g. finetune@sample_people-clip_reid-0
    stage: str
    key: str
    record_md5: str
    content: dict[str, object]  # deps, params and outs, without the record

    @property
    def data(self) -> dict[str, str]:
        """The data that the stage read: DVC's MD5 by path."""
        deps = self.content["deps"]
        return {dep["path"]: dep["md5"] for dep in deps if "md5" in dep and not dep["path"].startswith(NO_DATA)}

    @property
    def written(self) -> dict[str, str | None]:
        """DVC's MD5 of what it wrote, by path."""
        return {out["path"]: out.get("md5") for out in self.content["outs"]}


def read_lock(path: Path, wait: bool = True) -> dict[tuple[str, str], LockedStage]:
    """The stages of a dvc.lock that leave a record, by (stage, key).

    Nothing is left out of a file that is cut off, whoever cut it:

    - a DVC that writes the file at this moment: the lock, see :func:`read_entries`;
    - one that was killed at it, or Git or an editor, which know no lock: a last line without an end, an entry that is
      not whole by DVC's schema, and a last entry with fewer outputs than dvc.yaml gives to it.

    Only between two entries a cut leaves no trace: a file that ends there is the one that DVC wrote before the next
    stage ran. DVC then makes the missing entries from its run cache.

    Raises:
        DataError: as :func:`read_entries`, or the last entry is not whole.
    """
    entries = read_entries(path, wait)
    if entries:
        _check_last(path, *list(entries.items())[-1])
    return locked_stages(path, entries)


def locked_stages(path: Path, entries: Mapping[str, dict]) -> dict[tuple[str, str], LockedStage]:
    """Those of the entries of a dvc.lock that have a record, by (stage, key)."""
    found = (locked_stage(path, name, entry) for name, entry in entries.items())
    return {(locked.stage, locked.key): locked for locked in found if locked is not None}


def read_entries(path: Path, wait: bool = True) -> dict[str, dict]:
    """The entries of a dvc.lock by DVC's names of the stages, read while no DVC writes it.

    Args:
        wait: until a DVC that is at work has ended or runs a stage; otherwise that is an error.

    Raises:
        DataError: the file is missing, cut off, in conflict, or no dvc.lock of schema 2.0; DvcBusyError.
    """
    return parse_entries(path, read_bytes(path, wait))


def parse_entries(path: Path, content: bytes) -> dict[str, dict]:
    """The entries of a dvc.lock with this content, by DVC's names of the stages.

    Raises:
        DataError: the content is cut off, in conflict, or no dvc.lock of schema 2.0.
    """
    remedy = REMEDY.format(path=path)
    text = parse_yaml(path, content, DataError, remedy, f"{RESOLVE}; {MISSING}")
    if not content.endswith(b"\n"):
        raise DataError(f"{path}: cut off in its last line; {remedy}")
    if not isinstance(text, dict) or not isinstance(text.get("stages"), dict):
        raise DataError(f"{path}: no mapping named 'stages', as dvc.lock of schema 2.0 has; {remedy}")
    for name, entry in text["stages"].items():
        if (fault := _fault(entry)) is not None:
            raise DataError(f"{path}, stage {name}: {fault}; {remedy}")
    return text["stages"]


def read_bytes(path: Path, wait: bool = True) -> bytes:
    """The file as it is while no DVC writes it."""
    try:
        with dvc_is_quiet(path.parent, wait):
            return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; run `dvc repro` first") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _fault(entry: object) -> str | None:
    """What DVC's schema would refuse in an entry, or None."""
    if not isinstance(entry, dict):
        return f"found {type(entry).__name__}, expected a mapping"
    if not isinstance(entry.get("cmd"), (str, list)):
        return f"cmd is {entry.get('cmd')!r}, expected a command"
    if not isinstance(params := entry.get("params", {}), dict):
        return f"params is {type(params).__name__}, expected a mapping"
    for kind in ("deps", "outs"):
        items = entry.get(kind, [])
        if not isinstance(items, list):
            return f"{kind} is {type(items).__name__}, expected a list"
        for item in items:
            if not isinstance(item, dict) or not isinstance(item.get("path"), str):
                return f"{kind} has {item!r}, expected a mapping with a path"
            if item.get("hash", "path") not in item:
                return f"{kind}: {item['path']} has no {item['hash']}"
    return None


def _check_last(path: Path, name: str, entry: dict) -> None:
    """Its outputs come last in an entry, so that a file cut at the end of a line may lack some of them, or a size."""
    asked, outs = outputs_asked(path.parent, name), entry.get("outs", [])
    if asked and (len(outs) < asked or "size" not in outs[-1]):
        raise DataError(
            f"{path}, stage {name}: ends with {len(outs)} outputs, dvc.yaml has {asked}: cut off, or dvc.yaml was "
            "changed; `dvc repro` writes it again"
        )


def locked_stage(path: Path, name: str, entry: dict) -> LockedStage | None:
    records = [out for out in entry.get("outs", []) if is_record(out["path"])]
    if not records:
        return None
    if len(records) > 1 or "md5" not in records[0]:
        raise DataError(f"{path}, stage {name}: one record with an md5 is allowed, found {records}")
    _, stage, key, _ = PurePosixPath(records[0]["path"]).parts
    content = {
        "deps": [without_sizes(dep) for dep in entry.get("deps", [])],
        "params": entry.get("params", {}),
        # The record holds times, so that it differs whenever the same result is made again; what follows from the
        # inputs does not. Hence the same result has the same digest here, after `dvc pull`, and after a forced rerun.
        "outs": [without_sizes(out) for out in entry["outs"] if not is_record(out["path"])],
    }
    return LockedStage(name, stage, key, records[0]["md5"], content)


def is_record(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) == 4 and parts[0] == "results" and parts[3] == "record"


def without_sizes(item: dict) -> dict:
    return {name: value for name, value in item.items() if name not in NOT_CONTENT}


def digest(stages: Iterable[LockedStage]) -> str:
    """SHA-256 (hex) over the stages' names and contents; the order in which they are given does not matter."""
    content = {locked.name: locked.content for locked in stages}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def folder_md5(folder: Path) -> str:
    """The hash that DVC gives to a folder: the MD5 of the JSON list of its files' MD5s and paths, and ".dir"."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    listing = [{"md5": file_md5(path), "relpath": name} for name, path in files]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def file_md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
