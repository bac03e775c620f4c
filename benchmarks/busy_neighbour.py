"""Fine-tuning beside other programs: how OpenMP's threads wait for each other, on an idle machine and on a busy one.

    python benchmarks/busy_neighbour.py [--epochs 8]

The sample's encoder trains on synthetic JPEGs with one thread per core, beside none, one and two processes that
keep a core busy. Ours is what pipeline/checkout.py sets, unless the user's environment says otherwise; the reference is
the default of OpenMP; a short spin lies between them. Takes some five minutes.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result import Asked, Row, finish, times
from sizes import read_sizes

HERE = Path(__file__).resolve().parent
POLICIES = {
    "OpenMP's default": {},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
REFERENCE, OURS = "OpenMP's default", "OMP_WAIT_POLICY=PASSIVE"
NEIGHBOURS = (0, 1, 2)
IDENTITIES, IMAGES = 32, 8
LEAST_BUSY, MOST_IDLE = 1.2, 1.35  # faster than the reference beside a neighbour; slower by no more than this alone

TRAINING = """
import sys, time
sys.path[:0] = [{here!r}, {sources!r}]
from pathlib import Path
from stage2 import profile_recipe, synthetic_frames
from auxreid.plumbing.settings.load import load_config
recipe = load_config({params!r}).recipes["sample_people"]
frames = synthetic_frames(Path({folder!r}) / "frames.arrow", {identities}, {images})
started = time.perf_counter()
profile_recipe(recipe, frames, {epochs})
print(time.perf_counter() - started)
"""


def seconds(policy: dict[str, str], neighbours: int, epochs: int) -> float:
    """Of a training, beside so many busy processes."""
    root = HERE.parent
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbours)]
    waiting = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    kept = {name: value for name, value in os.environ.items() if name not in waiting}
    kept |= {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            code = TRAINING.format(
                here=str(HERE),
                sources=str(root / "src"),
                params=str(root / "params.yaml"),
                folder=folder,
                identities=IDENTITIES,
                images=IMAGES,
                epochs=epochs,
            )
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                env=kept | policy,
                capture_output=True,
                text=True,
                check=True,
            )
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    return float(done.stdout.split()[-1])


def rows(epochs: int = 8) -> list[Row]:
    """A row for each number of neighbours."""
    found = []
    for neighbours in NEIGHBOURS:
        taken = {name: seconds(policy, neighbours, epochs) for name, policy in POLICIES.items()}
        slow, fast = taken[REFERENCE], taken[OURS]
        asked = Asked("ratio", slow / fast, least=LEAST_BUSY if neighbours else 1 / MOST_IDLE)
        others = "; ".join(f"{name}: {value:.1f} s" for name, value in taken.items() if name not in (REFERENCE, OURS))
        title = f"fine-tuning beside {neighbours} busy processes, {os.cpu_count()} threads"
        found.append(Row(title, REFERENCE, f"{slow:.1f} s", f"{fast:.1f} s", times(slow, fast), (asked,), others))
    return found


if __name__ == "__main__":
    started = time.perf_counter()
    finish(rows(**read_sizes(__doc__, epochs=8)))
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
