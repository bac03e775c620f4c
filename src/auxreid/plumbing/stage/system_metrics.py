"""How busy the machine is while a stage runs: a thread that now and then adds points to the record's system.jsonl.

The names are MLflow's own ("system/..."), so that its UI shows the curves under "System metrics". The thread draws no
random number, touches neither torch nor CUDA, and has a file of its own. If something fails, it says so
once and stops; the stage goes on.
"""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import psutil

from auxreid.plumbing.stage.passed_over import passed_over
from auxreid.plumbing.stage.record import SYSTEM, SYSTEM_PREFIX, Point, point_line

WHAT = "system metrics stop"
PERIOD = 10.0  # seconds between two samples
PATIENCE = 5.0  # seconds that the end of a stage, or a sample, waits for something that does not answer
GPU_QUERY = ("--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits")
MEBIBYTE = 1.048576  # in megabytes


class SystemMetrics:
    """Samples at once, every PERIOD seconds, and when it is stopped."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / SYSTEM
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._follow, name="system metrics", daemon=True)

    def start(self) -> "SystemMetrics":
        """Without room for one more thread there are no samples."""
        with passed_over(WHAT):
            self._thread.start()
        return self

    def stop(self) -> None:
        """Takes the last sample. When this returns, nothing more is written, unless a write itself hangs."""
        with passed_over(WHAT):
            self._ended.set()
            if self._thread.ident is not None:  # it was started
                self._thread.join(PATIENCE)
            written = self._writing.acquire(timeout=PATIENCE)
            self._closed = True
            if not written:
                raise TimeoutError("a sample is being written all the time")
            self._writing.release()

    def _follow(self) -> None:
        with passed_over(WHAT):
            sampler, step = Sampler(), 0
            self._sample(sampler, step)
            while not self._ended.wait(PERIOD):
                step += 1
                self._sample(sampler, step)
            self._sample(sampler, step + 1)

    def _sample(self, sampler: "Sampler", step: int) -> None:
        values, now = sampler.values(), time.time_ns() // 1_000_000
        points = [Point(f"{SYSTEM_PREFIX}{name}", step, value, now) for name, value in values.items()]
        with self._writing:
            if not self._closed:
                with self._file.open("a", encoding="utf-8") as lines:
                    lines.write("".join(map(point_line, points)))


class Sampler:
    """What is measured. For one thread: psutil keeps the processor's last times per thread."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._gpus = gpu_command()
        self._sampled = False

    def values(self) -> dict[str, float]:
        """Megabytes (10^6 bytes) and per cent, by MLflow's names. The processor's share is that since the last call."""
        found = {"process_memory_megabytes": resident_bytes(self._process) / 1e6}
        share = psutil.cpu_percent()
        if self._sampled:  # the first call has no time to speak of
            found["cpu_utilization_percentage"] = share
        self._sampled = True
        if self._gpus:
            found |= self._gpu_values()
        return found

    def _gpu_values(self) -> dict[str, float]:
        try:
            output = subprocess.run(self._gpus, capture_output=True, check=True, text=True, timeout=PATIENCE).stdout
        except (OSError, subprocess.SubprocessError):
            self._gpus = None  # a driver that does not answer once is not asked again
            return {}
        return parse_gpus(output)


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and all below it; what they share is counted in each."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.Error:  # it has ended since
            continue
    return total


def gpu_command() -> list[str] | None:
    """How to ask for the GPUs that this process may use; None where there are none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    program = shutil.which("nvidia-smi")
    if program is None or visible in ("", "-1"):
        return None
    return [program, *GPU_QUERY, *(("-i", visible) if visible else ())]


def parse_gpus(output: str) -> dict[str, float]:
    """nvidia-smi's lines "index, per cent, MiB" under MLflow's names. "[N/A]", as under MIG, is left out."""
    found = {}
    for line in output.splitlines():
        index, share, mebibytes = (cell.strip() for cell in line.split(","))
        if share.isdigit():
            found[f"gpu_{index}_utilization_percentage"] = float(share)
        if mebibytes.isdigit():
            found[f"gpu_{index}_memory_usage_megabytes"] = float(mebibytes) * MEBIBYTE
    return found
