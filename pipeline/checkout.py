"""A script runs the sources of the checkout that it lies in, whatever checkout the environment was installed from.

Imported before anything of auxreid; so are a copy of DVC's for an experiment, a worktree and a clone told apart.
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
