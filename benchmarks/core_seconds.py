"""Where the core-seconds of `make demo` go: into the stages' own work, or around it.

    python benchmarks/core_seconds.py [--miniature] [--times 2]

Runs the demo from nothing in a fresh clone of the committed state, as often as asked, and fails if one of them does.
The sample is rendered before, as it is no part of the study. A stage's own work is what its record counts, from its
start to its end: not the interpreter, its imports, DVC, dvc.lock and MLflow. A whole demo takes a quarter of an hour;
`--miniature` has the same graph on a few images, for which nothing is asked of the share.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result import Asked, Row, finish, used

ROOT = Path(__file__).parents[1]
LEAST_SHARE = 0.75


def main() -> None:
    """Print a row for each demo."""
    parser = argparse.ArgumentParser(description="where the core-seconds of the demo go")
    parser.add_argument("--miniature", action="store_true")
    parser.add_argument("--times", type=int, default=1)
    asked = parser.parse_args()
    finish([demo_row(number, asked.miniature) for number in range(1, asked.times + 1)])


def demo_row(number: int, miniature: bool) -> Row:
    """One demo from nothing."""
    with tempfile.TemporaryDirectory(prefix="auxreid-demo-") as folder:
        root = Path(folder, "clone")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(root)], check=True)
        if miniature:
            make_small(root)
        else:
            run(root, "sample")
        before, started = used(), time.perf_counter()
        demo = run(root, "demo")
        total, seconds = used() - before, time.perf_counter() - started
        if demo.returncode:
            said = demo.stdout[-4000:] + demo.stderr[-4000:]
            raise RuntimeError(f"demo {number} ended with {demo.returncode}:\n{said}")
        records = [json.loads(path.read_text()) for path in root.glob("results/*/*/record/record.json")]
        failed = [record["key"] for record in records if record["status"] != "finished"]
        own = sum(record["core_seconds"] for record in records)
    bounds = () if miniature else (Asked("stages' share", own / total, least=LEAST_SHARE),)
    kind = "miniature demo" if miniature else "demo"
    remark = f"{seconds:.0f} s of wall-clock time, {len(records)} records, {len(failed)} not finished"
    figures = f"{total:.0f} core-s", f"{own:.0f} core-s", f"{own / total:.2f}"
    return Row(f"{kind} {number} from nothing", "all of it", *figures, bounds, remark)


def run(root: Path, command: str, **variables: str) -> subprocess.CompletedProcess:
    """A command of the clone's, with these environment variables; its python is the running interpreter."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(root / "src")} | variables
    arguments = [sys.executable, "-m", "auxreid.cli", command]
    return subprocess.run(arguments, cwd=root, env=environment, capture_output=True, text=True)


def make_small(root: Path) -> None:
    """The sample and the recipes at a size that only proves that the links hold."""
    sys.path.insert(0, str(ROOT / "tests"))
    from clones import SAMPLE, Clone, render_small_people, shrink

    from auxreid.sample.dog_set import render_dogs

    clone = Clone(root)
    render_small_people(clone)
    render_dogs(root / SAMPLE, workers=1, dogs=16, sequences=(2, 2), frames=2)
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.edit(shrink)
    clone.run(sys.executable, "-m", "auxreid.cli", "plan")


if __name__ == "__main__":
    main()
