"""What a stage's record is: results/<stage>/<key>/record/{record.json, history.jsonl, system.jsonl, figures/}.

The record is the truth about a run; MLflow is a view of it (see view.py and mirror.py).
"""

import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import write_text

STATUSES = ("running", "finished", "failed")
HISTORY, SYSTEM = "history.jsonl", "system.jsonl"  # curves, and how busy the machine was: each has one writer
SYSTEM_PREFIX = "system/"  # of the curves that tell how busy the machine was; the name is MLflow's
NAME_LIMIT = 200  # MLflow allows 250; the rest is for the prefixes that view.py adds
_NAME = re.compile(r"[A-Za-z0-9_.\- /]+")


@dataclass(frozen=True)
class Point:
    """One value of a curve; time_ms is milliseconds since 1970, UTC."""

    name: str
    step: int
    value: float
    time_ms: int


@dataclass
class Record:
    """The content of record.json. Times are milliseconds since 1970, UTC; params are flat and dotted."""

    stage: str
    key: str
    dataset: str
    attempt: str
    status: str
    started: int
    params: dict[str, object]
    ablation: str | None = None
    seed: int | None = None
    finished: int | None = None
    summary: dict[str, float] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    host: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, object] = field(default_factory=dict)
    live: str = "not started"
    core_seconds: float | None = None  # of all cores, from the record's start to its end
    costs: dict[str, float] = field(default_factory=dict)  # what it takes, as measured; of two runs never the same
    failure: str | None = None  # why the status is "failed"
    resumed_from_epoch: int | None = None  # epochs done by a former, killed execution; None: all were run here


def check_name(name: str, kind: str) -> str:
    """Returns the name of a metric or parameter if MLflow takes it, else raises DataError saying what is allowed."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DataError(
            f"{kind} name {name!r}: allowed are letters, digits, blank and _ - . / (write mAP_10, not mAP@10)"
        )
    if posixpath.normpath(name) != name or name.startswith((".", "/")):
        raise DataError(f"{kind} name {name!r}: it must read as a relative path, without empty parts, '.' or '..'")
    if len(name) > NAME_LIMIT:
        raise DataError(f"{kind} name {name[:40]!r}...: {len(name)} characters, allowed are {NAME_LIMIT}")
    return name


def flatten(params: Mapping[str, object]) -> dict[str, object]:
    """Nested parameters under dotted names: {"a": {"b": 1}} -> {"a.b": 1}. An empty mapping stays a value."""
    flat: dict[str, object] = {}

    def visit(prefix: str, value: object) -> None:
        if isinstance(value, Mapping) and (value or not prefix):
            for name, inner in value.items():
                visit(f"{prefix}.{name}" if prefix else str(name), inner)
            return
        check_name(prefix, "parameter")
        if prefix in flat:
            raise DataError(f"parameter {prefix!r} is given twice, once nested and once dotted")
        try:
            flat[prefix] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise DataError(f"parameter {prefix!r}: {value!r} cannot be written as JSON ({error})") from None

    visit("", params)
    return flat


def to_float(name: str, value: object) -> float:
    """A number, NumPy scalar or one-element tensor as float; DataError for anything else."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError(f"metric {name!r}: {value!r} is not a number") from None


def finite(name: str, value: object) -> float:
    number = to_float(name, value)
    if not math.isfinite(number):
        raise DataError(f"metric {name!r} of the summary is {number}; final metrics must be finite")
    return number


def record_folder(results: Path, stage: str, key: str) -> Path:
    return results / stage / key / "record"


def write_record(folder: Path, record: Record) -> None:
    """Writes record.json at once: a reader sees the former text or the new one, never half of it."""
    text = json.dumps(asdict(record), indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_text(folder / "record.json", text)


def read_record(folder: Path) -> Record:
    """The record in a folder. Raises DataError, naming file and field, where it is missing or broken."""
    path = folder / "record.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    known = {f.name for f in fields(Record)}
    required = {"stage", "key", "dataset", "attempt", "status", "started", "params"}
    if not isinstance(content, dict) or not required <= content.keys() <= known:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path}: fields are {found}, required are {sorted(required)}, allowed are {sorted(known)}")
    if content["status"] not in STATUSES:
        raise DataError(f"{path}: status is {content['status']!r}, allowed are {', '.join(STATUSES)}")
    return Record(**content)


def point_line(point: Point) -> str:
    """A line of history.jsonl; JSON has no inf and nan, so these are written as strings."""
    value = point.value if math.isfinite(point.value) else str(point.value)
    return json.dumps({"name": point.name, "step": point.step, "value": value, "time_ms": point.time_ms}) + "\n"


def parse_point(line: str | bytes) -> Point:
    """A line of history.jsonl as a point. Raises ValueError, KeyError or TypeError for anything else."""
    entry = json.loads(line)
    return Point(entry["name"], int(entry["step"]), float(entry["value"]), int(entry["time_ms"]))


def read_history(folder: Path) -> Iterator[Point]:
    """The points of history.jsonl in the order in which they were logged; none where no curve was logged."""
    return read_points(folder / HISTORY)


def read_system_metrics(folder: Path) -> Iterator[Point]:
    """The points of system.jsonl: how busy the machine was."""
    return read_points(folder / SYSTEM)


def read_points(path: Path) -> Iterator[Point]:
    """The points of a file of lines; none where it is not there. Raises DataError with the line that is no point."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield parse_point(line)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}, line {number}: not a point of a curve ({error!r})") from None


def figure_paths(folder: Path) -> list[Path]:
    """All files under figures/, sorted, relative to it."""
    figures = folder / "figures"
    return sorted(path.relative_to(figures) for path in figures.rglob("*") if path.is_file())
