"""DVC's experiments as Git has them: refs/exps/<baseline commit>/<name>, each a commit with params.yaml and dvc.lock.

They are read from Git's objects; no file of the workspace is touched.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from auxreid.plumbing.base.dotted import leaves
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.yaml_document import read_document
from auxreid.plumbing.dvc.lockfile import LOCK_FILE, LockedStage, locked_stages, parse_entries
from auxreid.plumbing.settings.load import PARAMS

REF = re.compile(r"refs/exps/(?P<first>[0-9a-f]{2})/(?P<rest>[0-9a-f]{38})/(?P<name>.+)")
FORMAT = "%(objectname) %(refname)"
SECONDS = 60.0


@dataclass(frozen=True)
class Experiment:
    """An experiment that has ended well and was not removed."""

    name: str
    baseline: str
    commit: str


def list_experiments(root: Path) -> list[Experiment]:
    """All experiments of a repository, the oldest first; none where there is no Git."""
    try:
        listed = _git(root, "for-each-ref", "--sort=committerdate", f"--format={FORMAT}", "refs/exps").decode()
    except (OSError, subprocess.SubprocessError):
        return []
    lines = (line.partition(" ") for line in listed.splitlines())
    found = ((commit, REF.fullmatch(ref)) for commit, _, ref in lines)
    return [Experiment(ref["name"], ref["first"] + ref["rest"], commit) for commit, ref in found if ref is not None]


@lru_cache(maxsize=64)  # a commit does not change
def locked_at(root: Path, commit: str) -> dict[tuple[str, str], LockedStage]:
    """The stages of a commit's dvc.lock that leave a record; none where it has no such file.

    Raises:
        DataError: the commit is not here, or its dvc.lock cannot be read.
    """
    content = file_at(root, commit, LOCK_FILE)
    if content is None:
        return {}
    path = Path(f"{LOCK_FILE} of {commit[:7]}")
    return locked_stages(path, parse_entries(path, content))


def file_at(root: Path, commit: str, name: str) -> bytes | None:
    """A file of the repository's top as a commit has it, or None. Raises DataError if Git has no such commit."""
    try:
        _git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        raise DataError(f"Git has no commit {commit[:7]} here; `git fetch` it") from None
    try:
        return _git(root, "show", f"{commit}:./{name}")
    except subprocess.CalledProcessError:
        return None


def changed_params(root: Path, experiment: Experiment) -> list[str]:
    """Where an experiment's params.yaml differs from its baseline's, as `KEY=VALUE`; `~KEY` for one that is gone.

    Raises:
        DataError: a commit is not here, or its file cannot be read.
    """
    before, after = (_params_at(root, commit) for commit in (experiment.baseline, experiment.commit))
    changed = [f"{key}={_text(value)}" for key, value in after.items() if key not in before or before[key] != value]
    return changed + [f"~{key}" for key in before if key not in after]


@lru_cache(maxsize=64)
def _params_at(root: Path, commit: str) -> dict[str, Any]:
    """By dotted key; without the blocks that only hold what others share."""
    content = file_at(root, commit, str(PARAMS))
    with TemporaryDirectory() as folder:
        path = Path(folder) / PARAMS
        path.write_bytes(content or b"")
        value = read_document(path, DataError).value or {}
    return dict(leaves({name: block for name, block in value.items() if not name.startswith("_")}))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _git(root: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(root), "--no-optional-locks", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=SECONDS).stdout
