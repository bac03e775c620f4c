"""Values of keys of params.yaml, by the grammar of `dvc exp run --set-param`: which settings come out of them.

DVC's own code reads and applies them, to a copy of params.yaml: what is checked here is what DVC will write.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.near_names import near
from auxreid.plumbing.base.yaml_document import read_document
from auxreid.plumbing.settings.load import PARAMS

GRAMMAR = "KEY=VALUE, KEY=VALUE,VALUE, +KEY=VALUE for a new key, ~KEY to take one out"


def combinations(given: Sequence[str]) -> list[tuple[str, ...]]:
    """Each combination of the values, as overrides with one value each, in DVC's order.

    Raises:
        ConfigError: an override that the grammar does not know, or one of another file.
    """
    from dvc.utils.cli_parse import to_path_overrides
    from dvc.utils.hydra import get_hydra_sweeps

    by_file = to_path_overrides(given)
    for other in by_file.keys() - {str(PARAMS)}:
        raise ConfigError(f"-S {other}:{by_file[other][0]}: only keys of {PARAMS} can be tried in this way")
    for one in given:
        with naming_override(one):
            get_hydra_sweeps(to_path_overrides([one]))
    return [tuple(one[str(PARAMS)]) for one in get_hydra_sweeps(by_file)]


@contextmanager
def naming_override(override: str) -> Iterator[None]:
    """Turns the errors of the grammar into one line that names the override."""
    from antlr4.error.Errors import ParseCancellationException
    from dvc.exceptions import DvcException
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (DvcException, HydraException, OmegaConfBaseException, ParseCancellationException) as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise ConfigError(f"-S {override}: {reason}; allowed are {GRAMMAR}") from None


def with_overrides(overrides: Sequence[str], path: Path = PARAMS) -> dict[str, Any]:
    """What a file of settings says once the overrides are applied to it; the file itself stays as it is.

    Raises:
        ConfigError: the file cannot be read, or an override cannot be applied to it.
    """
    from dvc.utils.hydra import apply_overrides

    check_keys(overrides, read_document(path, ConfigError).value)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        with naming_override(" -S ".join(overrides)):
            apply_overrides(copy, list(overrides))
        return read_document(copy, ConfigError).value


def check_keys(overrides: Sequence[str], settings: Any) -> None:
    """Raises ConfigError for a key that is not there and is not to be added."""
    from dvc.utils.hydra import to_hydra_overrides

    added: list[str] = []
    for text in overrides:
        (one,) = to_hydra_overrides([text])
        key = one.key_or_group
        if one.is_add() or one.is_force_add():
            added.append(key)
            continue
        found, path = settings, []
        for part in key.split("."):
            path.append(part)
            if any(".".join(path).startswith(new) for new in added):
                break
            if not isinstance(found, Mapping) or part not in found:
                names = found if isinstance(found, Mapping) else ()
                where = ".".join(path[:-1]) or str(PARAMS)
                raise ConfigError(f"-S {text}: {where} has no key {part!r}{near(part, names)}; +KEY=VALUE adds one")
            found = found[part]


def overrides_between(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str, depth: int) -> Iterator[str]:
    """Overrides that make one mapping of another: keys at this depth are taken out and added as a whole.

    An override of a mapping alone would leave what it does not name.
    """
    for key in [*after, *(one for one in before if one not in after)]:
        path, old, new = f"{prefix}.{key}", before.get(key), after.get(key)
        if old == new and key in before and key in after:
            continue
        if depth > 1 and isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from overrides_between(old, new, path, depth - 1)
            continue
        if key in before:
            yield f"~{path}"
        if key in after:
            yield f"+{path}={value_text(new)}"


def value_text(value: Any) -> str:
    """A value of YAML in the grammar of overrides."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{value_text(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(value_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return quoted(value) if isinstance(value, str) else repr(value)


def quoted(text: str) -> str:
    """In single quotes; a backslash means something before a quote alone."""
    parts = text.split("'")
    doubled = [part + "\\" * (len(part) - len(part.rstrip("\\"))) for part in parts]
    return "'" + "\\'".join(doubled) + "'"
