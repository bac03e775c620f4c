"""Live logging, the training's side: starts a process that follows the record's history and speaks to MLflow.

A process and not a thread, because importing MLflow takes seconds of CPU under the interpreter lock, and because a
DataLoader that forks while another thread imports can hang. The stage only ever appends to its own history file, so
that a slow or dead MLflow costs it nothing. live_writer.py is the other side.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from auxreid.plumbing.base.yaml_file import one_line
from auxreid.plumbing.stage.passed_over import tell

SWITCH = "AUXREID_LIVE"  # "off" in the environment: no live runs
WRITER = "auxreid.plumbing.mirror.live_writer"  # started, not imported: MLflow's side of things can change no result
PATIENCE = 60.0  # seconds after which a stage is followed: for a shorter one, MLflow's import costs more than it shows
GRACE_SHARE = 0.05  # of the stage's time may be spent on waiting for the last points to arrive,
GRACE_BOUNDS = (5.0, 20.0)  # within these seconds


class LiveLog:
    """The live run of one stage. No method raises on account of MLflow."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self._command = [sys.executable, "-m", WRITER, str(repository), str(folder)]
        self._process: subprocess.Popen | None = None
        self._state = "not started"
        self._created = time.monotonic()

    def follow(self) -> None:
        """Called at every curve point; starts the writer at the first one after some seconds of the stage."""
        try:
            self._follow()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._state = f"failed: {one_line(error) or type(error).__name__}"
        tell("live logging stops", error)

    def _follow(self) -> None:
        if self._process is None and self._state == "not started":
            if os.environ.get(SWITCH, "on").lower() == "off":
                self._state = "off"
            elif time.monotonic() - self._created >= PATIENCE:
                self._start()

    def _start(self) -> None:
        source = str(Path(__file__).resolve().parents[3])
        search_path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search_path},
            text=True,
        )

    def finish(self, status: str, finished: int) -> str:
        """Ends the live run and tells what became of it: "ok", "off", "not started" or "failed: ...".

        The writer's standard input is also its life line: if this process is killed, it closes, and the writer ends.
        """
        if self._process is None:
            return self._state
        try:
            return self._finish(self._process, status, finished)
        except Exception as error:
            with suppress(Exception):
                self._process.kill()
            self._fail(error)
            return self._state

    def _finish(self, process: subprocess.Popen, status: str, finished: int) -> str:
        least, most = GRACE_BOUNDS
        grace = min(max(GRACE_SHARE * (time.monotonic() - self._created), least), most)
        try:
            answer, _ = process.communicate(f"{status} {finished}\n", timeout=grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"failed: MLflow had not taken the last points after {grace:.0f} s"
        return answer.strip() or f"failed: the writer ended with code {process.returncode}"
