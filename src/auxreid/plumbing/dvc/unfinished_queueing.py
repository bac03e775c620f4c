"""A note beside the workspace while DVC queues an experiment, from which a killed queueing is undone.

DVC puts edits aside (git stash) and leaves the branch (a detached HEAD) while it makes an experiment. The note says
what was there; it is locked for as long as DVC, or who started it, lives, and goes when DVC has ended.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.dvc.held_note import held_note, left_note, write_note
from auxreid.plumbing.dvc.lock import TMP

NOTE = TMP / "auxreid-queue.json"
ASIDE = (
    "an `auxreid queue` was killed; if the last of `git stash list` is yours, `git stash pop --index` brings it back"
)
LEFT = "left by an unfinished auxreid queue"


@contextmanager
def noted(root: Path) -> Iterator[int]:
    """The note, while the block runs; gives a file that DVC's process is to inherit, which keeps it locked.

    Raises:
        DataError: another queueing is at work, or there is no Git repository with a commit.
    """
    path = root / NOTE
    with held_note(path, "another `auxreid queue` is at work") as number:
        try:
            before = {"head": _head(root), "stash": _stash(root)}
        except subprocess.CalledProcessError:
            path.unlink(missing_ok=True)
            raise DataError("DVC's experiments need a Git repository with a commit: `git init`, `git commit`") from None
        write_note(number, before)
        try:
            yield number
        finally:
            path.unlink(missing_ok=True)


def undo_unfinished(root: Path) -> list[str]:
    """Put back what a killed queueing had put aside; returns what there is to say of it. Nothing is thrown away.

    Raises:
        DataError: Git cannot do so; the note stays.
    """
    path = root / NOTE
    with left_note(path) as before:
        if before is None:
            return []
        try:
            return _put_back(root, before["head"], before["stash"])
        except subprocess.CalledProcessError as error:
            said = " ".join((error.stderr or error.stdout).split())
            raise DataError(f"{path}: a killed `auxreid queue` cannot be undone: Git says: {said}") from None


def _put_back(root: Path, head: str, stash: str) -> list[str]:
    is_off, is_aside = _head(root) != head, _stash(root) != stash
    if not is_off:  # DVC came to its end, or nearly so
        return [ASIDE] if is_aside else []
    _git(root, "symbolic-ref", "HEAD", head)
    half_made = _git(root, "status", "--porcelain", "--untracked-files=no") != ""
    if half_made:
        _git(root, "stash", "push", "-m", LEFT)
    if is_aside:
        _git(root, "stash", "pop", "--index", "stash@{1}" if half_made else "stash@{0}")
    rest = f"; what it was at is the last of `git stash list`, {LEFT!r}" if half_made else ""
    return [f"a killed `auxreid queue` left the workspace half way: it is as it was before{rest}"]


def _head(root: Path) -> str:
    """The branch; the commit where there is none."""
    return _git(root, "symbolic-ref", "-q", "HEAD", check=False) or _git(root, "rev-parse", "HEAD")


def _stash(root: Path) -> str:
    """The last stash; empty if there is none."""
    return _git(root, "rev-parse", "-q", "--verify", "refs/stash", check=False)


def _git(root: Path, *arguments: str, check: bool = True) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=check
    ).stdout.strip()
