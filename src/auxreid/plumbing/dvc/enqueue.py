"""Puts an experiment into DVC's own queue, by DVC's own command.

That command makes the experiment in the workspace: it stashes what was edited, writes the values, keeps the whole as a
commit and brings back what was there. Hence it runs in a session of its own, where neither Ctrl-C nor a terminal that
closes can end it half way; it takes seconds. A kill can: see unfinished_queueing.py.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.dvc.unfinished_queueing import noted

QUEUED = re.compile(r"^Queued experiment '(?P<name>[^']+)'", re.MULTILINE)
FAULT = re.compile(r"^ERROR: (?P<fault>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    """An experiment as DVC is asked for it: overrides of files by DVC's grammar, and files that Git does not bring."""

    overrides: Sequence[str]
    copied: Sequence[str] = ()
    name: str | None = None


def enqueue(root: Path, asked: Asked) -> str:
    """Queue an experiment; returns its name.

    Raises:
        ConfigError: what DVC says, in a line.
        DataError: another one is being queued, or there is no Git repository with a commit.
        KeyboardInterrupt: Ctrl-C was pressed; DVC has ended, and the workspace is as it was.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "exp", "run", "--queue", "--allow-missing"]
    command += [] if asked.name is None else ["--name", asked.name]
    command += [word for path in asked.copied for word in ("--copy-paths", path)]
    command += [word for override in asked.overrides for word in ("--set-param", override)]
    with noted(root) as note:
        process = subprocess.Popen(
            command,
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            pass_fds=[note],
        )
        said = _patiently(process)
    queued = QUEUED.search(said)
    if process.returncode or queued is None:
        fault = FAULT.search(said)
        raise ConfigError(f"nothing was queued; DVC says: {fault['fault'] if fault else ' '.join(said.split())}")
    return queued["name"]


def _patiently(process: subprocess.Popen) -> str:
    """What a process says until it ends by itself. Raises KeyboardInterrupt then, if there was one meanwhile."""
    interrupted = False
    while True:
        try:
            said, _ = process.communicate()
        except KeyboardInterrupt:
            interrupted = True
            continue
        if interrupted:
            raise KeyboardInterrupt
        return said
