"""Seconds until each stage has imported what it imports at its head, against importing everything that any stage uses.

python benchmarks/startup.py
"""

import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

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


def main() -> None:
    """Print a table: seconds and the share of importing everything."""
    reference = seconds(f"import {', '.join(EVERYTHING)}")
    table = Table(title=f"start-up of the stages; importing everything takes {reference:.1f} s")
    for heading in ("stage", "seconds", "times faster"):
        table.add_column(heading)
    for script in sorted(Path("pipeline").glob("*.py")):
        own = seconds(f"import runpy; runpy.run_path({str(script)!r}, run_name='imported')")
        table.add_row(script.stem, f"{own:.2f}", f"{reference / own:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
