"""Files and folders of the study that Git does not know: an experiment's copy of the repository lacks them.

A stage that is up to date does not miss what it once read (`--allow-missing`); one that has to run does.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.borrowed import ingested_datasets
from auxreid.plumbing.graph.table import NOTHING, build_graph
from auxreid.plumbing.settings.config import Config

REMEDY = "name it in params.yaml by an absolute path"
READERS = ("ingest", "pose", "attributes", "pretrain", "pretrain_branch")  # stages that read what the user brought


def ignored_files(root: Path, config: Config, raw: Mapping[str, Any], locked: Mapping[str, dict]) -> Iterator[str]:
    """The relative paths outside Git and DVC that a stage of this study has to read, as far as dvc.lock tells.

    Args:
        raw: params.yaml as DVC reads it.
        locked: the entries of dvc.lock.
    """
    graph, anew = build_graph(config), set()
    for dataset in ingested_datasets(config):
        if not _is_made(locked.get(f"ingest@{dataset}"), raw):
            anew.add(dataset)
    found = {}
    for stage in READERS:
        for key, fields in graph[stage].items():
            path = fields["folder"] if stage == "ingest" else fields["weights"]
            runs = fields["dataset"] in anew or not _is_made(locked.get(f"{stage}@{key}"), raw, path)
            if runs and not path.startswith(NOTHING) and _is_left_behind(root, path):
                found[path] = None
    yield from found


def _is_made(entry: dict | None, raw: Mapping[str, Any], path: str | None = None) -> bool:
    """Whether an entry of dvc.lock says that the stage ran with these settings, and with this file."""
    if entry is None or (path is not None and path not in [dep["path"] for dep in entry.get("deps", [])]):
        return False
    params = entry.get("params", {}).get("params.yaml", {})
    return all(_value(raw, name) == value for name, value in params.items())


def _value(raw: Mapping[str, Any], name: str) -> Any:
    found: Any = raw
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _is_left_behind(root: Path, path: str) -> bool:
    """Whether a copy lacks it: it is relative, and neither Git nor a .dvc file beside or above it brings it.

    Raises ConfigError for one that a copy cannot have either.
    """
    place = Path(os.path.normpath(path))
    if place.parts[:1] == ("..",):
        raise ConfigError(
            f"{path}: lies outside the repository, where an experiment's copy looks for another; {REMEDY}"
        )
    if place.is_absolute() or any(Path(f"{root / one}.dvc").is_file() for one in (place, *place.parents)):
        return False
    known = subprocess.run(["git", "-C", str(root), "ls-files", "--", path], capture_output=True, check=False)
    return not known.stdout
