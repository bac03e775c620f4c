"""What it costs a training stage that the MLflow server is gone: before it starts, while it trains, after it ended.

    python benchmarks/mlflow_gone.py [--seconds 90] [--repeats 3]

Each time a real stage 2 of `--seconds` runs in a process of its own with live logging to a real server on 127.0.0.1;
its duration is that of the process, from start to exit code, the best of the repeats. Then the server comes back, and
publish must leave in MLflow what the records hold. Some 25 minutes, hence no part of run.py.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from mlflow_gone_stage import DATASET, STAGE
from mlflow_server import Server
from result import Asked, Row, finish
from sizes import read_sizes
from stage2 import IDENTITIES, IMAGES, synthetic_frames

from auxreid.plumbing.dvc.lockfile import folder_md5
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.mirror.view import KEY, curve_name
from auxreid.plumbing.stage import live
from auxreid.plumbing.stage.record import read_history

SCRIPT = Path(__file__).with_name("mlflow_gone_stage.py")
SECONDS, REPEATS = 90, 3
WARM_UP_EPOCHS = 5
SITUATIONS = ("undisturbed", "after", "during", "before")  # from when on the server is stopped
MOST_RATIO = 1.10


class Bench:
    """A repository, a server, and the durations of the stages that ran."""

    def __init__(self, folder: Path, seconds: int) -> None:
        self.root, self.seconds = folder / "repository", seconds
        self.patience = min(live.PATIENCE, seconds / 4)
        (folder / "server").mkdir()
        self.server = Server(folder / "server")
        self.root.mkdir()
        synthetic_frames(self.root / "frames.arrow", IDENTITIES, IMAGES)
        self.epochs = self._epochs_that_take(seconds)
        self.keys: list[str] = []

    def _epochs_that_take(self, seconds: int) -> int:
        """From the times of an unmeasured stage, whose first epoch does not count."""
        self._start("warm-up", WARM_UP_EPOCHS, AUXREID_LIVE="off").wait()
        times = [point.time_ms for point in self.points("warm-up")]
        return math.ceil(seconds * 1000 * (WARM_UP_EPOCHS - 1) / (times[-1] - times[0]))

    def _start(self, key: str, epochs: int, **environment: str) -> subprocess.Popen:
        command = [sys.executable, str(SCRIPT), str(self.root), key, str(epochs), str(self.patience)]
        environment = os.environ | {"MLFLOW_TRACKING_URI": self.server.uri, "AUXREID_LIVE": "on"} | environment
        return subprocess.Popen(command, env=environment)

    def duration(self, situation: str, number: int) -> float:
        """Seconds of one stage. Raises RuntimeError if its exit code is not 0."""
        if not self.server.answers() and situation != "before":
            self.server.start()
        key = f"{situation}-{number}"
        if situation == "during":
            self._in_mlflow(key)  # imports MLflow before the clock runs
        started = time.perf_counter()
        process = self._start(key, self.epochs)
        try:
            if situation == "during":
                self._stop_when_followed(key, process)
            process.wait()
        finally:
            process.kill()  # nothing, unless we are to end before it
        if process.returncode:
            raise RuntimeError(f"{key}: the stage ended with exit code {process.returncode}")
        ended = time.perf_counter()
        if situation == "after":
            self.server.stop()
        self.keys.append(key)
        return ended - started

    def _stop_when_followed(self, key: str, process: subprocess.Popen) -> None:
        while process.poll() is None and not self._in_mlflow(key):
            time.sleep(1.0)
        if process.poll() is not None:
            raise RuntimeError(f"{key}: the stage ended before MLflow had a point of it; give it more --seconds")
        self.server.stop()

    def _in_mlflow(self, key: str) -> list[tuple[int, float, int]]:
        """The points of the loss that MLflow has of a stage."""
        store = open_store(self.root, self.server.uri)
        for run in store.runs(store.experiment(DATASET)):
            if run.data.tags.get(KEY) == key:
                points = store.client.get_metric_history(run.info.run_id, curve_name(STAGE, "loss"))
                return [(point.step, point.value, point.timestamp) for point in points]
        return []

    def _record(self, key: str) -> Path:
        return self.root / "results" / STAGE / key / "record"

    def points(self, key: str) -> list:
        return [point for point in read_history(self._record(key)) if point.name == "loss"]

    def repaired(self) -> int:
        """How many stages MLflow shows exactly as their records are, after a publish."""
        self.server.start()
        outs = {
            key: {"path": f"results/{STAGE}/{key}/record", "md5": folder_md5(self._record(key))} for key in self.keys
        }
        stages = {f"{STAGE}@{key}": {"cmd": str(SCRIPT), "outs": [out]} for key, out in outs.items()}
        (self.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
        publish(self.root, self.server.uri)
        wanted = {key: [(point.step, point.value, point.time_ms) for point in self.points(key)] for key in self.keys}
        return sum(self._in_mlflow(key) == points for key, points in wanted.items())


def rows(seconds: int = SECONDS, repeats: int = REPEATS) -> list[Row]:
    """A row for each situation in which the server is gone."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), seconds)
        try:
            rounds = [{one: bench.duration(one, number) for one in SITUATIONS} for number in range(repeats)]
            repaired = Asked("repaired in %", 100 * bench.repaired() / len(bench.keys), least=100)
        finally:
            bench.server.stop()
    taken = {one: min(durations[one] for durations in rounds) for one in SITUATIONS}
    reference = taken.pop("undisturbed")
    return [situation_row(one, duration, reference, repaired, bench.epochs) for one, duration in taken.items()]


def situation_row(situation: str, duration: float, reference: float, repaired: Asked, epochs: int) -> Row:
    ratio = duration / reference
    figures = f"{reference:.1f} s", f"{duration:.1f} s", f"{ratio:.3f} x"
    asked = Asked("ratio", ratio, most=MOST_RATIO), repaired
    return Row(
        f"stage 2, server stopped {situation} it", "server there", *figures, asked, f"{epochs} epochs, exit code 0"
    )


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, seconds=SECONDS, repeats=REPEATS)))
