"""YAML files of the repository: what is wrong with one is a line that names the file, the place and the remedy."""

from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CONFLICT = b"<<<<<<< "


RESOLVE = "resolve it, or take one side with `git checkout --ours {path}`"


def parse_yaml(path: Path, content: bytes, fault: type[ValueError], remedy: str, resolve: str = RESOLVE) -> Any:
    """The content of a YAML file. Raises `fault`: a merge conflict, whose remedy is `resolve`, or no YAML."""
    for number, line in enumerate(content.splitlines(), start=1):
        if line.startswith(CONFLICT):
            raise fault(f"{path}, line {number}: a merge conflict; {resolve.format(path=path)}")
    try:
        return yaml.load(content, Loader=LOADER)
    except (yaml.YAMLError, ValueError) as error:  # the latter of a value, such as a date that there is not
        raise fault(f"{path}{_place(error)}: not YAML ({_problem(error)}); {remedy}") from None


def read_yaml(path: Path, fault: type[ValueError], remedy: str, resolve: str = RESOLVE) -> Any:
    """As :func:`parse_yaml`; a file that cannot be read is a `fault` too."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fault(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    return parse_yaml(path, content, fault, remedy, resolve)


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f", line {mark.line + 1}"


def _problem(error: Exception) -> str:
    return one_line(getattr(error, "problem", None) or error)


def one_line(error: object) -> str:
    """An error's words, however many lines a library wrote."""
    return " ".join(str(error).split())
