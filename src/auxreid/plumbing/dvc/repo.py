"""DVC's repository object with errors of one line, and its lock without DVC's limit of three seconds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.yaml_file import one_line
from auxreid.plumbing.dvc.lock import TELL_AFTER, WAITING
from auxreid.plumbing.dvc.lockfile import LOCK_FILE, read_entries
from auxreid.plumbing.dvc.stages import STAGES_FILE, read_stages

if TYPE_CHECKING:
    from dvc.repo import Repo


@contextmanager
def opened_repo(root: Path = Path(".")) -> Iterator["Repo"]:
    """The repository at `root`. What it says of its stages is to be asked for under :func:`locked`.

    Raises:
        ConfigError: DVC cannot read the repository, or fails inside the block.
        DataError: dvc.lock cannot be read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    check_files(root)
    try:
        with Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        raise ConfigError(f"{root.resolve()}: DVC says: {one_line(error)}") from None
    except FileNotFoundError as error:  # of a link to nothing in a folder that DVC hashes
        raise ConfigError(f"{error.filename}: DVC cannot read it: {error.strerror}") from None


def check_files(root: Path) -> None:
    """Look at dvc.yaml and dvc.lock before DVC does, whose errors about them fill a screen."""
    if (root / STAGES_FILE).is_file():
        read_stages(root)
    if (root / LOCK_FILE).is_file():
        read_entries(root / LOCK_FILE)


@contextmanager
def locked(repo: "Repo") -> Iterator[None]:
    """DVC's lock on the repository, for as long as it takes to get it, with one line on the standard error."""
    from dvc.lock import make_lock
    from dvc.repo import lock_repo

    hardlink = repo.config["core"].get("hardlink_lock", False)
    repo.lock = make_lock(repo.lock.lockfile, tmp_dir=repo.tmp_dir, hardlink_lock=hardlink, wait=True)
    teller = Timer(TELL_AFTER, lambda: print(WAITING, file=sys.stderr, flush=True))
    teller.start()
    try:
        with lock_repo(repo):
            teller.cancel()
            yield
    finally:
        teller.cancel()
