"""Reading dvc.lock: which results are the present ones, and a digest that names each of them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from auxreid.plumbing.base.errors import DataError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SOURCES = ("pipeline/", "src/")  # dependencies below these are code, or say that there is nothing to depend on
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
        return {dep["path"]: dep["md5"] for dep in deps if "md5" in dep and not dep["path"].startswith(SOURCES)}

    @property
    def written(self) -> set[str]:
        """The paths of what it wrote."""
        return {out["path"] for out in self.content["outs"]}


def read_lock(path: Path) -> dict[tuple[str, str], LockedStage]:
    """The stages of a dvc.lock that leave a record, by (stage, key). Raises DataError if the file cannot be read."""
    try:
        text = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; run `dvc repro` first") from None
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not YAML, a merge conflict perhaps ({error})") from None
    if not isinstance(text, dict) or not isinstance(text.get("stages"), dict):
        raise DataError(f"{path}: no mapping named 'stages', as dvc.lock of schema 2.0 has")
    found = (locked_stage(path, name, entry) for name, entry in text["stages"].items())
    return {(locked.stage, locked.key): locked for locked in found if locked is not None}


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
