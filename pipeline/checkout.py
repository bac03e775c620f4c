"""What a script's process is set up with before anything of auxreid, or torch, is imported.

It runs the sources of the checkout that it lies in, whatever checkout the environment was installed from; so are a copy
of DVC's for an experiment, a worktree and a clone told apart. And its threads wait without spinning.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = str(ROOT / "src")

if sys.path[0] != SOURCES:
    sys.path.insert(0, SOURCES)
    # The processes that a script starts: live logging, and the others of a training.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCES, os.environ.get("PYTHONPATH")]))

# OpenMP's threads spin while they wait for each other, on cores that another program wants as well: a training step is
# then up to ten times slower (benchmarks/busy_neighbour.py). The variables of the user go first.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
