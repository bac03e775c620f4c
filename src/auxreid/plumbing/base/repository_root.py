"""The repository that a command is about: the nearest one around the folder that the user is in, as Git has it."""

import os
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError

MARKS = ("dvc.yaml", "params.yaml")  # what lies at its top


def find_root(start: Path | None = None) -> Path:
    """The nearest folder that has dvc.yaml and params.yaml: `start`, the working folder if None, or one around it.

    Raises:
        ConfigError: there is none, or the working folder is gone.
    """
    try:
        start = Path.cwd() if start is None else start.absolute()
    except FileNotFoundError:
        raise ConfigError("the working folder is no longer there; change into a repository of auxreid") from None
    for folder in (start, *start.parents):
        if all((folder / mark).is_file() for mark in MARKS):
            return folder
    raise ConfigError(f"{start}: no {' and '.join(MARKS)} here or in a folder above; run auxreid within its repository")


def go_to_root() -> Path:
    """Make the repository's top the working folder, which all paths of params.yaml and dvc.yaml are relative to.

    Returns:
        the working folder before.

    Raises:
        ConfigError: as :func:`find_root`.
    """
    root, before = find_root(), Path.cwd()
    if root != before:
        os.chdir(root)
    return before
