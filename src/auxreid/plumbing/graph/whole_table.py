"""`study.rows` and `study.metric_rows` in params.yaml without values: all rows of Table 2, and of the metric model."""

from pathlib import Path

import yaml

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.settings.load import PARAMS

NULL = "tag:yaml.org,2002:null"


KEYS = ("rows", "metric_rows")
OPTIONAL = frozenset({"metric_rows"})  # not there: none


def ask_for_all_rows(path: Path = PARAMS) -> bool:
    """Take away the values of these keys of `study`; comments and all else stay as they are. False if none has one.

    Raises:
        ConfigError: there is no such key.
    """
    emptied = [_empty(name, path) for name in KEYS]
    return any(emptied)


def _empty(name: str, path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    _, study = _entry(yaml.compose(text), "study", path)
    if name in OPTIONAL and name not in {key.value for key, _ in study.value}:
        return False
    key, rows = _entry(study, name, path)
    if rows.tag == NULL:
        return False
    last = rows.value[-1] if isinstance(rows, yaml.SequenceNode) and not rows.flow_style else rows
    colon = text.index(":", key.end_mark.index)
    between = text[colon + 1 : rows.start_mark.index].rstrip()  # a comment, where the value begins on the next line
    nothing = " null" if study.flow_style else ""  # as DVC writes it too
    write_text(path, f"{text[:colon]}:{nothing}{between}{text[last.end_mark.index :]}")
    return True


def _entry(mapping: yaml.Node, name: str, path: Path) -> tuple[yaml.Node, yaml.Node]:
    for key, value in mapping.value if isinstance(mapping, yaml.MappingNode) else ():
        if key.value == name:
            return key, value
    raise ConfigError(f"{path}: no key {name!r}, which says what the study runs")
