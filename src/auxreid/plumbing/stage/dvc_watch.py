"""A stage ends with the DVC that started it: a killed DVC leaves it running, and the next one would start another."""

import os
import sys
import threading
import time
from collections.abc import Sequence

import psutil

from auxreid.plumbing.base.errors import DataError

STAGE_VARIABLE = "DVC_STAGE"  # DVC sets it for a stage's command, and has it not itself
POLL_SECONDS = 0.5


def end_with_dvc() -> None:
    """Ends this process soon after DVC, or the shell between, is gone. By hand, without DVC, it does nothing.

    Raises:
        DataError: DVC is gone already.
    """
    stage = os.environ.get(STAGE_VARIABLE)
    if stage is None:
        return
    parents = parents_to_dvc(stage)
    if not parents:
        raise DataError(f"the DVC that started {stage} is gone; start it again by `dvc repro {stage}`")
    threading.Thread(target=_watch, args=(parents, stage), daemon=True, name="end-with-dvc").start()


def parents_to_dvc(stage: str) -> list[psutil.Process]:
    """This process's parents up to DVC, which is the first one outside the stage's environment; empty if it is gone.

    DVC starts a shell in its own process group. An orphan's new parent is in another one.
    """
    parents: list[psutil.Process] = []
    try:
        for process in psutil.Process().parents():
            if os.getpgid(process.pid) != os.getpgid(0):
                return []
            parents.append(process)
            if _environment(process).get(STAGE_VARIABLE) != stage:
                return parents
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass  # it ended while it was looked at
    return []


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.AccessDenied:  # another user's, so not the stage's shell
        return {}


def _watch(parents: Sequence[psutil.Process], stage: str) -> None:
    while all(_is_alive(process) for process in parents):
        time.sleep(POLL_SECONDS)
    try:
        print(f"error: DVC is gone, and {stage} ends with it", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it is still the process that it was; one that has ended and was not waited for is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):  # it cannot be looked at now, which says nothing
        return True
