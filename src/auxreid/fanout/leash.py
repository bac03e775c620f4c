"""`python leash.py FOLDER COMMAND...`: the command lives no longer than whoever started it.

A worker that is killed would leave DVC and a training behind, which hold its cores and its GPU. Standard input is the
leash: when it closes before the command has ended, the command, all that it started and the folder are removed.
"""

import os
import shutil
import signal
import subprocess
import sys
from threading import Thread


def hold(process: subprocess.Popen, folder: str) -> None:
    sys.stdin.buffer.read()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    started = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)
    Thread(target=hold, args=(started, sys.argv[1]), daemon=True).start()
    os._exit(started.wait() & 0xFF)
