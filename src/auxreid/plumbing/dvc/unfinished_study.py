"""A note beside the workspace while a command has changed the study, by which a killed one is undone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.dvc.held_note import left_note
from auxreid.plumbing.dvc.lock import TMP

NOTE = TMP / "auxreid-study.json"


def undo_study(root: Path) -> list[str]:
    """Put back the study that a killed command has changed; returns what there is to say of it."""
    with left_note(root / NOTE) as said:
        if said is None:
            return []
        left = put_back(root, said)
    kept = f", but for what was edited since: {', '.join(left)}; `auxreid plan`" if left else ""
    return [f"a killed command had changed the study for a while: it is as it was before{kept}"]


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
