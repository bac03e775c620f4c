"""Seconds until each stage has imported what it imports at its head, against importing everything that any stage uses.

    python benchmarks/startup.py

Nothing is asked of it: how much a stage needs is its own matter.
"""

import subprocess
import sys
import time
from pathlib import Path

from result import Row, finish, times

SCRIPTS = Path(__file__).parents[1] / "pipeline"
EVERYTHING = ("torch", "torchvision", "timm", "open_clip", "mmpose.apis", "mlflow", "albumentations", "pandas")
REPEATS = 3


def seconds(statement: str) -> float:
    """The best of some fresh interpreters that run a statement."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-W", "ignore", "-c", statement], check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return min(taken)


def rows() -> list[Row]:
    """A row for each stage's script."""
    reference = seconds(f"import {', '.join(EVERYTHING)}")
    found = []
    for script in sorted(set(SCRIPTS.glob("*.py")) - {SCRIPTS / "checkout.py"}):
        own = seconds(f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import {script.stem}")
        figures = f"{reference:.2f} s", f"{own:.2f} s", times(reference, own)
        found.append(Row(f"start-up of {script.stem}", "importing everything", *figures))
    return found


if __name__ == "__main__":
    finish(rows())
