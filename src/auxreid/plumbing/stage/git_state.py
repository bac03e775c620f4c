"""Which commit a stage ran from, and whether its files differed from it."""

import subprocess
from pathlib import Path

SECONDS = 20.0  # more than Git needs on a slow disk; a stage does not wait longer for it
NOT_OURS = ":(exclude)dvc.lock"  # DVC rewrites it after every stage, so that it says nothing about the sources


def git_state(root: Path) -> dict[str, object]:
    """{"commit": SHA, "dirty": whether a tracked file under root differs}; empty where Git cannot tell.

    A checkout without Git is none of the user's faults, and not worth a line.
    """
    try:
        commit = git(root, "rev-parse", "HEAD")
        changed = git(root, "status", "--porcelain", "-uno", "--", ".", NOT_OURS)
    except (OSError, ValueError, subprocess.SubprocessError):  # names of files may be in any encoding
        return {}
    return {"commit": commit, "dirty": bool(changed)}


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), "--no-optional-locks", *arguments]  # stages side by side must not lock the index
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=SECONDS).stdout.strip()
