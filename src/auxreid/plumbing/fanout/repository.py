"""What the nodes get of the user's repository: its commit and its remotes; and the check that they need no more."""

import io
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.dvc.repo import locked, opened_repo

if TYPE_CHECKING:
    from dvc.output import Output

COMMITTED = ("params.yaml", "dvc.yaml", "pipeline", "src", ".dvc/config", ".dvcignore", ":(glob)**/*.dvc")


def git(*arguments: str) -> str:
    """The output of a Git command. ConfigError with what Git says where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def committed_state() -> str:
    """The commit that the working folder shows in all that a stage reads from Git; dvc.lock may differ.

    Raises:
        ConfigError: names the files that are not committed.
    """
    listed = git("status", "--porcelain", "--untracked-files=all", "--no-renames", "--", *COMMITTED)
    if listed:
        names = ", ".join(line[3:] for line in listed.splitlines())
        raise ConfigError(f"nodes run what is committed; commit these files first: {names}")
    return git("rev-parse", "HEAD").strip()


def bundle(commit: str) -> bytes:
    """A commit with its history as one file, which `git clone` reads where there is no path back to this repository."""
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise ConfigError("this is a shallow clone, which cannot be handed on; run `git fetch --unshallow`")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "commit.bundle"
        if git("rev-parse", "HEAD").strip() != commit:
            raise ConfigError(f"HEAD is no longer {commit}")
        git("bundle", "create", "-q", str(path), "HEAD")
        return path.read_bytes()


@dataclass(frozen=True)
class Remote:
    """DVC's remotes as the text of a config.local, and the default one where it is a folder."""

    settings: str
    folder: str | None  # which every node must see under this path


def default_remote() -> Remote:
    """The remotes with what is set for them on this machine alone, secrets too: nodes have no other way to them.

    Raises:
        ConfigError: there is no default remote.
    """
    from configobj import ConfigObj

    with opened_repo() as repo:
        name, remotes = repo.config["core"].get("remote"), repo.config["remote"]
    if name is None:
        raise ConfigError(
            "no default DVC remote: nodes share stages through one that all of them reach; `dvc remote add -d NAME URL`"
        )
    settings = ConfigObj({"core": {"remote": name}})
    for remote, fields in remotes.items():
        settings[f'remote "{remote}"'] = {field: str(value) for field, value in fields.items()}
    stream, url = io.BytesIO(), str(remotes[name]["url"])
    settings.write(stream)
    return Remote(stream.getvalue().decode(), None if urlsplit(url).scheme else url)


def direct_needs() -> dict[str, set[str]]:
    """What each stage reads, by the names of the stages and `.dvc` files that make it."""
    with opened_repo() as repo, locked(repo):
        graph = repo.index.graph
        return {stage.addressing: {needed.addressing for needed in graph.successors(stage)} for stage in graph}


def check_sources(stages: Iterable[str]) -> list[str]:
    """The files of `dvc add` whose data are missing here; nodes pull what they need of them.

    Raises:
        ConfigError: data were changed, or a stage reads a file that a clone gets from neither Git nor DVC.
    """
    tracked = {PurePosixPath(name) for name in git("ls-files", "-z").split("\0") if name}
    with opened_repo() as repo, locked(repo):

        def inside(item: "Output") -> PurePosixPath:
            return PurePosixPath(repo.fs.relpath(item.fs_path, repo.root_dir))

        added = [stage.addressing for stage in repo.index.stages if stage.is_data_source]
        stale = repo.status(targets=added) if added else {}
        shared = [stage for stage in repo.index.stages if PurePosixPath(stage.path_in_repo) in tracked]
        made = {inside(out) for stage in shared for out in stage.outs}
        needed = {inside(dep): name for name in stages for dep in repo.stage.get_target(name).deps if dep.def_path}
    if changed := [name for name, state in stale.items() if "modified" in str(state)]:
        command = f"`dvc commit {' '.join(changed)}`"
        raise ConfigError(f"changed since `dvc add`: what {', '.join(changed)} names; run {command} and commit it")
    whole = made | tracked | {folder for path in (*made, *tracked) for folder in path.parents}
    lacking = [path for path in sorted(needed.keys() - whole) if not made.intersection(path.parents)]
    if lacking:
        what = ", and ".join(f"{_shown(path)}; {_remedy(path, needed[path])}" for path in lacking)
        raise ConfigError(f"neither in Git nor in DVC, so that no node has it: {what}")
    return list(stale)


def _shown(path: PurePosixPath) -> str:
    """A path outside the repository as params.yaml has it."""
    return os.path.abspath(path) if path.parts[0] == ".." else path.as_posix()


def _remedy(path: PurePosixPath, stage: str) -> str:
    if stage.startswith("ingest@"):  # raw data are a user's own, and may lie anywhere
        return f"run `dvc repro {stage}` here first: nodes get what it packs"
    return "copy it into weights/ and `dvc add` that" if path.parts[0] == ".." else "`dvc add` it"
