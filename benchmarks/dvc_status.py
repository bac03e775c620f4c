"""`dvc status` of this repository, with libyaml as requirements.lock installs it against YAML read by Python alone.

    python benchmarks/dvc_status.py

Every DVC command reads dvc.lock, and params.yaml once for each stage: without libyaml that is most of its time.
"""

import subprocess
import sys
import time
from pathlib import Path

from result import Asked, Row, finish, times

ROOT = Path(__file__).parents[1]
STATUS = "import sys\nfrom dvc.cli import main\nsys.exit(main(['status', '-q']))"
NO_LIBYAML = "import sys\nsys.modules |= {'_ruamel_yaml': None, '_ruamel_yaml_clibz': None}\n"
REPEATS = 3
LEAST_RATIO = 1.5


def seconds(program: str) -> float:
    """The best of some runs; -q says by exit code 1 that something would run, which is no failure here."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        taken.append(time.perf_counter() - started)
        if done.returncode not in (0, 1) or done.stderr:
            raise RuntimeError(f"dvc status failed: {done.stderr[-2000:]}")
    return min(taken)


def rows() -> list[Row]:
    """One row."""
    without, with_libyaml = seconds(NO_LIBYAML + STATUS), seconds(STATUS)
    ratio = without / with_libyaml
    figures = f"{without:.2f} s", f"{with_libyaml:.2f} s", times(without, with_libyaml)
    return [Row("dvc status", "without libyaml", *figures, (Asked("times as fast", ratio, least=LEAST_RATIO),))]


if __name__ == "__main__":
    finish(rows())
