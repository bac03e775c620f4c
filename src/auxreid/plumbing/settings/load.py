"""Reading params.yaml: a wrong key, type, range or name fails with its path in the file, what was found and allowed."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.checks import broken_references
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.section import fault_lines


def load_config(path: str | Path = "params.yaml") -> Config:
    """Read and validate params.yaml.

    Raises:
        ConfigError: lists every fault with its path in the file, the value found and what is allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; run from the repository's root")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: found {type(raw).__name__}, expected a mapping of sections")
    return parse_config(raw, source=str(path))


def parse_config(raw: dict[str, Any], source: str = "params.yaml") -> Config:
    """Validate a parsed params.yaml; see :func:`load_config`."""
    raw = {key: value for key, value in raw.items() if not key.startswith("_")}  # blocks of shared YAML anchors
    if "datasets" in raw:
        raw["datasets"] = _with_names(raw["datasets"])
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(fault_lines(error, source))) from error
    faults = [f"{source}: {fault}" for fault in broken_references(config)]
    if faults:
        raise ConfigError("\n".join(faults))
    return config


def _with_names(datasets: Any) -> Any:
    if not isinstance(datasets, dict):
        return datasets
    return {name: {"name": name, **body} if isinstance(body, dict) else body for name, body in datasets.items()}
