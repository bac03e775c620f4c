"""`python leash.py FOLDER COMMAND...`: the command lives no longer than whoever started it.

A worker that is killed would leave DVC and a training behind, which hold its cores and its GPU. Standard input is the
leash: when it closes before the command has ended, the command, all that it started and the folder are removed. So they
are when this program itself is killed.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

POLL = 1.0  # seconds


def watch(holder: int, group: int, folder: str) -> None:
    """A process of its own: a Ray worker that exits kills its children, this program among them."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever the worker has done with it
    for output in (1, 2):  # else the worker, which reads them to their end, waits for this process
        os.close(output)
    while os.getppid() == holder and not select.select([0], [], [], POLL)[0]:
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end of the command, which is next, must not end this
    with suppress(ProcessLookupError):  # it ended by itself just now
        os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def main(folder: str, command: list[str]) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    holder = os.getpid()
    watcher = os.fork()
    if not watcher:
        watch(holder, process.pid, folder)
        os._exit(0)
    code = process.wait()
    os.kill(watcher, signal.SIGTERM)
    os.waitpid(watcher, 0)
    return code if code >= 0 else 128 - code  # as a shell has it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
