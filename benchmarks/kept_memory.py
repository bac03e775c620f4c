"""A training on the CPU whose process keeps the memory of a step for the next, against glibc's own way.

    python benchmarks/kept_memory.py [--steps 200]

The backbone of the sample's dogs learns from noise, on one thread. Ours is what pipeline/checkout.py sets, unless the
user's environment says otherwise, as the reference's does. The figures are core-seconds of the whole process, so that a
neighbour disturbs them little. Linux alone.
"""

import os
import subprocess
import sys
from pathlib import Path

from result import Asked, Row, finish, times, used
from sizes import read_sizes

ROOT = Path(__file__).resolve().parents[1]
UNTOUCHED = {"MALLOC_PERTURB_": "0"}  # glibc's default, but a variable of the user's about memory
REPEATS = 2  # the quicker one counts
LEAST = 1.03

TRAINING = """
import sys
sys.path.insert(0, {pipeline!r})
import checkout
import timm, torch
from auxreid.plumbing.settings.load import load_config
settings = load_config({params!r}).recipes["sample_dogs"].attributes
net = timm.create_model(settings.backbone, num_classes=0).to(memory_format=torch.channels_last)
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
batch = torch.randn(settings.batch_size, 3, settings.height, settings.width)
for _ in range({steps}):
    optimizer.zero_grad()
    net(batch).square().mean().backward()
    optimizer.step()
"""


def core_seconds(environment: dict[str, str], steps: int) -> float:
    """Of the training's process, the least of some."""
    code = TRAINING.format(pipeline=str(ROOT / "pipeline"), params=str(ROOT / "params.yaml"), steps=steps)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    found = []
    for _ in range(REPEATS):
        before = used()
        subprocess.run([sys.executable, "-c", code], env=kept | {"OMP_NUM_THREADS": "1"} | environment, check=True)
        found.append(used() - before)
    return min(found)


def rows(steps: int = 200) -> list[Row]:
    """One row."""
    slow, fast = core_seconds(UNTOUCHED, steps), core_seconds({}, steps)
    asked = (Asked("ratio", slow / fast, least=LEAST),)
    title = f"{steps} steps of the dogs' backbone, memory kept"
    return [Row(title, "glibc's default", f"{slow:.1f} core-s", f"{fast:.1f} core-s", times(slow, fast), asked)]


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, steps=200)))
