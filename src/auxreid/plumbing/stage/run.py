"""stage_run: the one thing a pipeline script uses to leave a record and to be seen live in MLflow."""

import os
import platform
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from importlib import metadata
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import naming_full_disk
from auxreid.plumbing.stage.git_state import git_state
from auxreid.plumbing.stage.live import LiveLog
from auxreid.plumbing.stage.output_lock import output_lock
from auxreid.plumbing.stage.passed_over import passed_over
from auxreid.plumbing.stage.record import (
    HISTORY,
    Point,
    Record,
    check_name,
    finite,
    flatten,
    point_line,
    record_folder,
    to_float,
    write_record,
)
from auxreid.plumbing.stage.system_metrics import SystemMetrics

CLOSING_METRICS = 8  # that a stage's last line names
FOREMOST = ("mAP", "CMC_1", "mean_balanced_accuracy", "PCK")  # of them, of whatever row; then in the record's order
WHOLE_FROM = 1000.0  # numbers of four digits before the point and more have none behind it
VERSIONED = ("auxreid", "torch", "torchvision", "open_clip_torch", "timm", "mmpose", "numpy", "pyarrow", "scikit-learn")


class Run:
    """A stage that is running. Made by stage_run; out is results/<stage>/<key>, attempt names this very execution."""

    def __init__(self, out: Path, record: Record, live: LiveLog) -> None:
        self.out = out
        self.attempt = record.attempt
        self._record = record
        self._folder = out / "record"
        self._live = live
        self._began = core_seconds()
        self._system = SystemMetrics(self._folder).start()
        self._curves: list[Point] = []
        self._endings: list[Callable[[], None]] = []

    @property
    def record(self) -> Record:
        """What is written of this execution so far."""
        return self._record

    def curves(self) -> list[Point]:
        """The points of the curves so far."""
        return self._curves

    def resume(self, curves: Sequence[Point], epochs: int) -> None:
        """Takes over the curves of a killed execution, and notes how far it had come."""
        self._add(curves)
        self._record.resumed_from_epoch = epochs
        write_record(self._folder, self._record)

    def at_end(self, action: Callable[[], None]) -> None:
        """Has `action` called once the stage has finished well and its record says so."""
        self._endings.append(action)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Adds a point to each named curve. The line is in the file before this returns; MLflow follows when it can."""
        if not isinstance(step, int) or isinstance(step, bool):
            raise DataError(f"step {step!r}: an integer is needed")
        now = milliseconds()
        points = [
            Point(check_name(name, "metric"), step, to_float(name, value), now) for name, value in metrics.items()
        ]
        self._add(points)
        self._live.follow()

    def _add(self, points: Sequence[Point]) -> None:
        history = self._folder / HISTORY
        with naming_full_disk(history), history.open("a", encoding="utf-8") as lines:
            lines.write("".join(map(point_line, points)))
        self._curves += points

    def summary(self, metrics: Mapping[str, float]) -> None:
        """Sets final metrics: flat names, finite numbers (DataError otherwise). Later values replace earlier ones."""
        self._record.summary.update(
            {check_name(name, "metric"): finite(name, value) for name, value in metrics.items()}
        )

    def costs(self, measured: Mapping[str, float]) -> None:
        """Sets what the result takes, in time or size, as measured here: it is in the record alone, and no metric."""
        self._record.costs.update({check_name(name, "cost"): finite(name, value) for name, value in measured.items()})

    def figure(self, name: str) -> Path:
        """Where to write a picture; a name like "ranked_lists/best.png" puts it in a folder of its own."""
        path = self._folder / "figures" / check_name(name, "figure")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def artifact(self, path: str | Path) -> None:
        """Names an output file, relative to out or inside it, that belongs in MLflow, such as encoder.safetensors."""
        whole = Path(path) if Path(path).is_relative_to(self.out) else self.out / path
        name = whole.relative_to(self.out).as_posix() if whole.is_relative_to(self.out) else str(path)
        check_name(name, "artifact")
        if name not in self._record.artifacts:
            self._record.artifacts.append(name)

    def _finish(self, status: str) -> None:
        self._system.stop()
        missing = [name for name in self._record.artifacts if not (self.out / name).is_file()]
        self._record.finished = milliseconds()
        self._record.core_seconds = round(core_seconds() - self._began, 2)
        self._record.status = "failed" if missing else status
        if missing and status == "finished":
            self._record.failure = f"named as artifacts but not written: {', '.join(missing)}"
        self._record.live = self._live.finish(self._record.status, self._record.finished)
        write_record(self._folder, self._record)
        if missing and status == "finished":
            raise DataError(f"{self.out}: {self._record.failure}")

    def _fail(self, error: BaseException) -> None:
        """Leaves the reason in the record, as far as the disk allows: the error itself must be the one that is seen."""
        self._record.failure = f"{type(error).__name__}: {error}"
        try:
            self._finish("failed")
        except OSError as second:
            print(f"warning: {self._folder}: the failure could not be recorded: {second}", file=sys.stderr, flush=True)


@contextmanager
def stage_run(
    stage: str,
    key: str,
    *,
    dataset: str,
    params: Mapping[str, object],
    ablation: str | None = None,
    seed: int | None = None,
    root: Path = Path("results"),
) -> Iterator[Run]:
    """Runs a stage under a record in root/<stage>/<key>/record.

    params may be nested; name them as in params.yaml, e.g. {"ablations": {"clip_reid": {...}}}. The record of a former
    execution is removed; the stage's other outputs are DVC's affair. If the body raises, the record says "failed" and
    why, and the exception goes on. Nothing that happens to MLflow reaches the stage.

    Raises:
        DataError: another process runs this very stage; its record stays as it is.
    """
    for part, name in (("stage", stage), ("key", key)):
        if "/" in check_name(name, part):
            raise DataError(f"{part} name {name!r}: no slash is allowed")
    out = Path(root) / stage / key
    folder = record_folder(Path(root), stage, key)
    with output_lock(out):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "figures").mkdir(parents=True)
        record = Record(
            stage=stage,
            key=key,
            dataset=dataset,
            attempt=uuid.uuid4().hex,
            status="running",
            started=milliseconds(),
            params=flatten(params),
            ablation=ablation,
            seed=seed,
            host=_or_nothing(host),
            versions=versions(),
            git=_or_nothing(lambda: git_state(Path(root).resolve().parent)),
        )
        write_record(folder, record)
        with passed_over("opening line"):
            print(f"== {stage} {key}", flush=True)
        run = Run(out, record, LiveLog(Path(root).resolve().parent, folder.resolve()))
        try:
            with naming_full_disk(out):
                yield run
        except BaseException as error:
            run._fail(error)
            raise
        run._finish("finished")
        for action in run._endings:  # the result is there and its record says so: nothing may end the stage any more
            with passed_over("housekeeping"):
                action()
        with passed_over("closing line"):
            print(closing_line(record), flush=True)


def core_seconds() -> float:
    """What this process has used of all cores, and those that it started and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _or_nothing(describe: Callable[[], dict[str, object]]) -> dict[str, object]:
    """What is only for the reader of a result; empty where it cannot be found out."""
    found: dict[str, object] = {}
    with passed_over("record"):
        found = describe()
    return found


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


def closing_line(record: Record) -> str:
    """The stage, its seconds, and the foremost of its final metrics: a comparison has hundreds."""
    seconds = (record.finished - record.started) / 1000
    foremost = sorted(record.summary.items(), key=lambda metric: _place(metric[0]))[:CLOSING_METRICS]
    values = ", ".join(f"{name} {number(value)}" for name, value in foremost)
    if len(record.summary) > CLOSING_METRICS:
        values += f" and {len(record.summary) - CLOSING_METRICS} more"
    return f"== {record.stage} {record.key}: {seconds:.1f} s" + (f": {values}" if values else "")


def _place(metric: str) -> int:
    """0 for what a reader looks for first; metrics of equal places keep their order."""
    name = metric.rpartition(".")[2]
    return FOREMOST.index(name) if name in FOREMOST else len(FOREMOST)


def number(value: float) -> str:
    """Whole numbers as such, others to four digits; never with an exponent."""
    if value == round(value) or abs(value) >= WHOLE_FROM:
        return str(round(value))
    return f"{Decimal(f'{value:.4g}'):f}"


def host() -> dict[str, object]:
    """The machine, for the reader of a result; never part of what decides whether a result is up to date."""
    found = {"name": socket.gethostname(), "system": platform.platform(), "cpus": os.cpu_count()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return found


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
