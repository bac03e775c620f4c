"""A note beside the workspace while a command has changed the study, by which a killed one is undone."""

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.dvc.lock import TMP

NOTE = TMP / "auxreid-study.json"


def undo_study(root: Path) -> list[str]:
    """Put back the study that a killed command has changed; returns what there is to say of it."""
    note = root / NOTE
    if not note.is_file():
        return []
    with note.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # it is at work
            return []
        try:
            said = json.loads(file.read())
        except ValueError:  # it was killed before it had changed anything
            said = {}
        left = put_back(root, said)
        note.unlink(missing_ok=True)
    kept = f", but for what was edited since: {', '.join(left)}; `auxreid plan`" if left else ""
    return [f"a killed command had changed the study for a while: it is as it was before{kept}"] if said else []


def put_back(root: Path, said: Mapping[str, Any]) -> list[str]:
    """Returns the files that are neither as they were nor as the command wrote them."""
    left = []
    for name, text in said.get("before", {}).items():
        present, written = text_of(root / name), said["written"].get(name)
        if present == text:
            continue
        if written is not None and present != written:
            left.append(name)
        elif text is None:
            (root / name).unlink(missing_ok=True)
        else:
            write_text(root / name, text)
    return left


def text_of(path: Path) -> str | None:
    """What a file says; None where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else None
