"""Reading params.yaml: a wrong key, type, range or name fails with its place and path in the file, what was found and
what is allowed."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.yaml_document import read_document
from auxreid.plumbing.settings.checks import broken_references
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.section import Fault, faults

Place = Callable[[Iterable[str | int]], str]  # ", line 3, column 5" of a path in the file
PARAMS = Path("params.yaml")
PATH = re.compile(r"[\w.]*\w")
ALSO_SHOWN = 3  # paths that read one value by an anchor


def load_config(path: str | Path = PARAMS) -> Config:
    """Read and validate params.yaml.

    Raises:
        ConfigError: lists every fault with its line, its path in the file, the value found and what is allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; run from the repository's root")
    document = read_document(path, ConfigError)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: found {type(document.value).__name__}, expected a mapping of sections")
    return parse_config(document.value, str(path), document.place)


def parse_config(raw: dict[str, Any], source: str = str(PARAMS), place: Place = lambda path: "") -> Config:
    """Validate a parsed params.yaml; see :func:`load_config`. By pydantic's rules for JSON no value is converted, as
    true would be to 1 or a text to a number."""
    raw = {key: value for key, value in raw.items() if not key.startswith("_")}  # blocks of shared YAML anchors
    if "datasets" in raw:
        raw["datasets"] = _with_names(raw["datasets"])
    try:
        config = Config.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(faults(error), source, place))) from error
    broken = [_with_path(text) for text in broken_references(config)]
    if broken:
        raise ConfigError("\n".join(_lines(broken, source, place)))
    return config


def _with_path(text: str) -> Fault:
    """A fault across sections, which begins with the path of the value."""
    path = PATH.match(text)
    return Fault(tuple(int(part) if part.isdecimal() else part for part in path[0].split(".")), text[path.end() :])


def _lines(found: Iterable[Fault], source: str, place: Place) -> Iterator[str]:
    """A line for each fault; one that several paths have by an anchor is told once."""
    paths: dict[tuple[str, str], list[str]] = {}
    for fault in found:
        paths.setdefault((place(fault.path), fault.text), []).append(fault.name)
    for (where, text), (first, *others) in paths.items():
        if not where:
            yield from (f"{source}: {name}{text}" for name in (first, *others))
            continue
        also = f"; and so {few(others, ALSO_SHOWN)}" if others else ""
        yield f"{source}{where}: {first}{text}{also}"


def _with_names(datasets: Any) -> Any:
    if not isinstance(datasets, dict):
        return datasets
    return {name: {"name": name, **body} if isinstance(body, dict) else body for name, body in datasets.items()}
