"""What runs on a node: the stages of one unit, in a clone that is gone afterwards.

Ray ships this module's source with the task, so that a node needs the Python environment and no checkout of this
repository. The stages themselves run the sources of the clone.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from ray.actor import ActorHandle

PUSH_PAUSES = (0, 10, 60)  # seconds before each try
LOG_LINES = 60  # of a stage that failed are shown
RAN = re.compile(r"^Running stage '([^']+)'")
KILLED = (-9, -15, 137, 143)  # exit codes after SIGKILL or SIGTERM, as Python and a shell have them
EXITED = re.compile(r"exited with (-?\d+)$", re.MULTILINE)  # DVC's words on a stage


class Job(TypedDict):
    """A unit as a node gets it: plain values alone, which Ray carries whatever version of this module runs there."""

    unit: str
    stages: list[str]
    lock: dict[str, dict]  # entries of dvc.lock: of the stages, if they were run before, and of those that they read
    settings: str  # .dvc/config.local
    leash: str  # the source of leash.py
    remote_folder: str | None
    threads: int
    gpus: float
    environment: dict[str, str]


class Report(TypedDict):
    """What became of a unit. Of a stage that failed by itself, failed names it and log has its last lines."""

    lock: dict[str, dict]
    failed: str | None
    log: str


def run_unit(job: Job, bundle: bytes, events: "ActorHandle") -> Report:
    """Reproduces the stages one by one, and pushes each before the next one starts.

    Raises:
        ChildProcessError: a stage or DVC was killed, which says nothing about its code; Ray runs the unit again.
    """
    tell = _announce(job["unit"], events)
    tell("", "begun")
    folder = Path(tempfile.mkdtemp(prefix=f"auxreid-{job['unit'].replace('@', '-')}-"))
    try:
        environment = _make_clone(folder, job, bundle)
        for stage in job["stages"]:
            tell(stage, "started")
            started = time.monotonic()
            made = _dvc(folder, environment, "repro", "--pull", "--single-item", stage)
            shared = made if made.code else _share(folder, environment, stage)
            if shared.killed:
                raise ChildProcessError(f"{stage} was killed on {socket.gethostname()}:\n{shared.log}")
            what = "failed" if shared.code else "ran" if stage in made.ran else "restored"
            tell(stage, what, seconds=time.monotonic() - started)
            if shared.code:
                return {"lock": _readable(folder, job["stages"]), "failed": stage, "log": shared.log}
        return {"lock": _locked(folder, job["stages"]), "failed": None, "log": ""}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _announce(unit: str, events: "ActorHandle"):
    """A function that puts an event on record before it returns, so that what a lost node began is known."""
    import ray

    place = {"unit": unit, "host": socket.gethostname(), "node": ray.get_runtime_context().get_node_id()[:6]}
    place["pid"] = os.getpid()

    def tell(stage: str, what: str, **more: float) -> None:
        # ray.get would give this task's cores to another one for as long as it waits, and that one would keep them.
        events.add.remote({**place, "stage": stage, "what": what, **more}).future().result()

    return tell


def _make_clone(folder: Path, job: Job, bundle: bytes) -> dict[str, str]:
    """The coordinator's commit with its remote and the needed entries of its dvc.lock. Returns the environment."""
    from dvc.utils.serialize import dump_yaml

    if job["remote_folder"] is not None and not Path(job["remote_folder"]).is_dir():
        raise FileNotFoundError(f"{socket.gethostname()} does not see the DVC remote {job['remote_folder']}")
    (folder / "leash.py").write_text(job["leash"], encoding="utf-8")
    packed = folder / "commit.bundle"
    packed.write_bytes(bundle)
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(packed), str(clone)], check=True, capture_output=True, text=True)
    (clone / ".dvc" / "config.local").write_text(job["settings"], encoding="utf-8")
    dump_yaml(str(clone / "dvc.lock"), {"schema": "2.0", "stages": job["lock"]})
    return _environment(folder, job)


def _environment(folder: Path, job: Job) -> dict[str, str]:
    present: Mapping[str, str] = os.environ
    environment = {**present, **job["environment"], "OMP_NUM_THREADS": str(job["threads"])}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), present.get("PATH", os.defpath)])
    source = str(folder / "clone" / "src")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [source, present.get("PYTHONPATH")]))
    environment["DVC_SITE_CACHE_DIR"] = str(folder / "site")  # else DVC leaves a folder in /var/tmp for every clone
    if not job["gpus"]:
        environment["CUDA_VISIBLE_DEVICES"] = ""  # else a task that asked for none takes one that is another's
    return environment


class Called(NamedTuple):
    """A DVC command that ended: its exit code, last lines, and the stages that it ran and did not find stored."""

    code: int
    log: str
    ran: set[str]

    @property
    def killed(self) -> bool:
        """Whether DVC, or the stage that it ran, was ended from outside: by a user, or by the kernel for its memory."""
        codes = (self.code, *map(int, EXITED.findall(self.log)))
        return self.code != 0 and any(code in KILLED for code in codes)


def _dvc(folder: Path, environment: Mapping[str, str], *arguments: str) -> Called:
    command = [sys.executable, str(folder / "leash.py"), str(folder), sys.executable, "-u", "-m", "dvc", *arguments]
    lines: deque[str] = deque(maxlen=LOG_LINES)
    ran: set[str] = set()
    with subprocess.Popen(
        command,
        cwd=folder / "clone",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout:
            lines.append(line)
            if match := RAN.match(line):
                ran.add(match[1])
        code = process.wait()
    return Called(code, "".join(lines), ran)


def _share(folder: Path, environment: Mapping[str, str], stage: str) -> Called:
    """Pushes a stage. What took hours to train is not given up for a remote that is away for a minute."""
    for pause in PUSH_PAUSES:
        time.sleep(pause)
        called = _dvc(folder, environment, "push", "--run-cache", stage)
        if not called.code:
            break
    return called


def _readable(folder: Path, stages: list[str]) -> dict[str, dict]:
    """After a failure, which may have left half a dvc.lock (a full disk): what is told then is the failure."""
    try:
        return _locked(folder, stages)
    except Exception:
        return {}


def _locked(folder: Path, stages: list[str]) -> dict[str, dict]:
    from dvc.utils.serialize import load_yaml

    entries = load_yaml(str(folder / "clone" / "dvc.lock"))["stages"]
    return {stage: entries[stage] for stage in stages if stage in entries}
