"""The copies of the repository in which DVC runs experiments (`dvc exp run --queue`, `--temp`), and what is around one.

DVC makes them below .dvc/tmp/exps of the repository, its home, and throws them away when the experiment has ended. What
is to stay, and is no output of a stage, belongs home.
"""

import os
from pathlib import Path

PLACE = (".dvc", "tmp", "exps")
NAME_VARIABLE = "DVC_EXP_NAME"  # DVC sets these for a stage of an experiment, in a copy and in the workspace
BASELINE_VARIABLE = "DVC_EXP_BASELINE_REV"


def home_of(root: Path) -> Path:
    """The repository that a copy was made of; any other repository is its own home."""
    root = Path(root).resolve()
    for folder in root.parents:
        if folder.parts[-len(PLACE) :] == PLACE:
            return folder.parents[len(PLACE) - 1]
    return root


def is_copy(root: Path) -> bool:
    """Whether a repository is such a copy."""
    return home_of(root) != Path(root).resolve()


def in_experiment() -> bool:
    """Whether this process is one of a stage that DVC runs as a part of an experiment."""
    return NAME_VARIABLE in os.environ
