"""What a script's process is set up with before anything of auxreid, or torch, is imported.

It runs the sources of the checkout that it lies in, whatever checkout the environment was installed from; so are a copy
of DVC's for an experiment, a worktree and a clone told apart. Its threads wait without spinning, and the memory of one
training step is kept for the next. Ctrl-C is a line from the first moment on, which the imports make some seconds long.
"""

import ctypes
import os
import sys
from pathlib import Path
from types import TracebackType

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

# glibc gives large blocks, as the activations of a step are, back to the system, and every page of the next step's is a
# fault: some tenth of a training on a CPU (benchmarks/kept_memory.py). Elsewhere there is no mallopt.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, KEPT = -1, -3, 1 << 30  # bytes
if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
    mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_MMAP_THRESHOLD, KEPT)


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    from auxreid.plumbing.base.interrupted import INTERRUPTED, tell_interrupted

    tell_interrupted()
    sys.stdout.flush()
    os._exit(INTERRUPTED)


sys.excepthook = _one_line
