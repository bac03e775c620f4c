"""Reading dvc.yaml: the stages as they are written there, with their templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.yaml_file import read_yaml

STAGES_FILE = "dvc.yaml"
REMEDY = "put it right, or take the committed one with `git checkout HEAD -- dvc.yaml`"
OUTPUTS = ("outs", "metrics", "plots")


def read_stages(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """Each stage's body; of one of a foreach, what stands under `do`.

    Raises:
        ConfigError: the file cannot be read, or a stage is no mapping.
    """
    path = root / STAGES_FILE
    content = read_yaml(path, ConfigError, REMEDY)
    stages = (content.get("stages") or {}) if isinstance(content, Mapping) else content
    if not isinstance(stages, Mapping):
        raise ConfigError(f"{path}: found {_kind(stages)}, expected a mapping with one named 'stages'; {REMEDY}")
    bodies = {}
    for name, body in stages.items():
        bodies[name] = body.get("do", body) if isinstance(body, Mapping) else body
        if not isinstance(bodies[name], Mapping):
            raise ConfigError(f"{path}: stage {name} is {_kind(bodies[name])}, expected a mapping; {REMEDY}")
    return bodies


def outputs_asked(root: Path, name: str) -> int | None:
    """How many outputs dvc.yaml gives to a stage, by DVC's name for it; None where it has no such stage."""
    if not (root / STAGES_FILE).is_file():
        return None
    body = read_stages(root).get(name.partition("@")[0])
    return None if body is None else sum(len(body.get(kind) or ()) for kind in OUTPUTS)


def _kind(value: object) -> str:
    return "empty" if value is None else type(value).__name__
