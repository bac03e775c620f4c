"""`study.rows` in params.yaml without a value: all rows of Table 2."""

from pathlib import Path

import yaml

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import write_text

PARAMS = Path("params.yaml")
NULL = "tag:yaml.org,2002:null"


def ask_for_all_rows(path: Path = PARAMS) -> bool:
    """Take away the value of `study.rows`; comments and all else stay as they are. False if there is none.

    Raises:
        ConfigError: there is no such key.
    """
    text = path.read_text(encoding="utf-8")
    _, study = _entry(yaml.compose(text), "study", path)
    key, rows = _entry(study, "rows", path)
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
