"""Which checkpoints are no longer needed, and their removal by whichever training stage starts next."""

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from auxreid.plumbing.dvc.lockfile import LOCK_FILE, LockedStage, read_lock
from auxreid.plumbing.stage.passed_over import passed_over

FOLDER = ".checkpoints"
FINISHED = "finished.json"
DAY = 24 * 3600.0
KEEP_FINISHED = DAY  # seconds for which DVC may take its time to commit a result
KEEP_UNFINISHED = 14 * DAY  # seconds after which nobody will come back to a training that was stopped

Locked = Mapping[tuple[str, str], LockedStage]


def remove_old(root: Path) -> None:
    """Delete the checkpoints of results that DVC has committed, and those that nobody came back to.

    A stage does not need this, so that nothing here ends it or lets it wait: if another DVC command has the lock of the
    repository, or dvc.lock is broken, finished checkpoints stay until the next training.
    """
    with passed_over("housekeeping"):
        folders = [folder for folder in sorted((root / FOLDER).glob("*")) if folder.is_dir()]
        locked: Locked = {}
        if any((folder / FINISHED).is_file() for folder in folders) and (root / LOCK_FILE).is_file():
            with passed_over("housekeeping: old checkpoints stay"):
                locked = read_lock(root / LOCK_FILE, wait=False)
        faults = [fault for folder in folders if (fault := _clean(folder, locked)) is not None]
        if faults:  # one line, however many folders have it
            raise faults[0]


def _clean(folder: Path, locked: Locked) -> Exception | None:
    """Delete a folder that is old; returns why that was not possible. Another stage may be doing the same."""
    try:
        if _is_old(folder, locked):
            shutil.rmtree(folder, onerror=_let_vanish)
    except FileNotFoundError:
        pass
    except Exception as error:
        return error
    return None


def _let_vanish(function: object, path: str, raised: tuple) -> None:
    with suppress(FileNotFoundError):
        raise raised[1]


def _is_old(folder: Path, locked: Locked) -> bool:
    age = time.time() - max(path.stat().st_mtime for path in [folder, *folder.glob("*")])
    finished = folder / FINISHED
    if not finished.is_file():
        return age > KEEP_UNFINISHED
    return age > KEEP_FINISHED or _is_committed(locked, json.loads(finished.read_text(encoding="utf-8")))


def _is_committed(locked: Locked, about: dict[str, str]) -> bool:
    """Whether dvc.lock has the very execution that finished."""
    found = locked.get((about["stage"], about["key"]))
    return found is not None and found.record_md5 == about["record"]
