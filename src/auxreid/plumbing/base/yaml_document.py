"""A YAML file with the place of every value in it, read as DVC reads it, by the rules of YAML 1.2.

By those of 1.1, which PyYAML follows by itself, `1e-3` is a text, `012` is 10 and `no` is false: a stage would run on
other values than those that DVC hashed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from auxreid.plumbing.base.yaml_file import CONFLICT, LOADER, RESOLVE, one_line

TAG = "tag:yaml.org,2002:"
KINDS = {  # of plain scalars: what they look like, and the characters that they begin with
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?0b[01_]+|[-+]?0o[0-7_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[0-9_]+", "-+0123456789"),
    "float": (
        r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "null": (r"~|null|Null|NULL|", "~nN"),
    "merge": (r"<<", "<"),
}


class _Loader(LOADER):
    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (PyYAML's way)


def _whole(loader: yaml.SafeLoader, node: yaml.Node) -> int:
    digits = node.value.replace("_", "")
    try:
        return int(digits, 0 if digits.lstrip("-+")[:2] in ("0b", "0o", "0x") else 10)
    except ValueError:
        raise yaml.constructor.ConstructorError(None, None, f"{node.value!r} is no number", node.start_mark) from None


for _kind, (_pattern, _first) in KINDS.items():
    _firsts = [*_first, *([""] if _kind == "null" else [])]
    _Loader.add_implicit_resolver(TAG + _kind, re.compile(rf"^(?:{_pattern})$"), _firsts)
_Loader.add_constructor(TAG + "int", _whole)


@dataclass(frozen=True)
class Document:
    """What a file says, and where."""

    value: Any
    node: yaml.Node | None

    def place(self, path: Iterable[str | int]) -> str:
        """Where the value at a path of keys and numbers stands, through aliases and merged blocks; of a block, its key.

        Parts of the path that are not in the file are passed over: of what is missing, this is where it should be.
        """
        node, mark = self.node, None
        for part in path:
            for key, value in _entries(node):
                if key == part:
                    mark, node = _mark_of(*value), value[1]
                    break
        return "" if mark is None else _in_words(mark)


def _entries(node: yaml.Node | None) -> Iterator[tuple[str | int, tuple[yaml.Node, yaml.Node]]]:
    """The parts of a block with the nodes that they stand at; of a key that is merged and given, the given one."""
    if isinstance(node, yaml.MappingNode):
        yield from ((key.value, (key, value)) for key, value in reversed(node.value))
    elif isinstance(node, yaml.SequenceNode):
        yield from ((number, (value, value)) for number, value in enumerate(node.value))


def _mark_of(key: yaml.Node, value: yaml.Node) -> yaml.Mark:
    return (key if isinstance(value, yaml.MappingNode) else value).start_mark


def read_document(path: Path, fault: type[ValueError]) -> Document:
    """Read a YAML file.

    Raises:
        `fault`: it cannot be read, is not UTF-8, holds a conflict of a merge, is not YAML, or says something twice.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fault(f"{path}: cannot be read ({error.strerror})") from None
    text = _decoded(path, content, fault)
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(CONFLICT.decode()):
            raise fault(f"{path}, line {number}, column 1: a merge conflict; {RESOLVE.format(path=path)}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if faults := [f"{path}{_in_words(mark)}: {said}" for mark, said in _faults(node)]:
            raise fault("\n".join(dict.fromkeys(faults)))  # an alias shows a block again
        return Document(None if node is None else loader.construct_document(node), node)
    except yaml.YAMLError as error:
        raise fault(f"{path}{_place(error)}: {_problem(error, text)}") from None


def _decoded(path: Path, content: bytes, fault: type[ValueError]) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        found = f"the byte 0x{content[error.start]:02x} is no UTF-8"
        raise fault(f"{path}, line {line}, column {column}: {found}; save the file in UTF-8") from None


def _faults(node: yaml.Node | None, above: tuple[yaml.Node, ...] = ()) -> Iterator[tuple[yaml.Mark, str]]:
    """Keys that stand twice or are no texts, and blocks that hold themselves; an alias is looked at where it points."""
    if node in above:
        yield node.start_mark, "a block that holds itself by an alias"
        return
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _faults(value, (*above, node))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, yaml.Mark] = {}
        for key, value in node.value:
            if key.tag not in (f"{TAG}str", f"{TAG}merge"):
                yield key.start_mark, f"a key that is no text{_quoted(key)}"
            elif key.value in seen:
                yield key.start_mark, f"the key {key.value!r} stands there twice, first{_in_words(seen[key.value])[1:]}"
            else:
                seen[key.value] = key.start_mark
            yield from _faults(value, (*above, node))


def _quoted(key: yaml.Node) -> str:
    return f": {key.value}; write '{key.value}'" if isinstance(key, yaml.ScalarNode) else ""


def _in_words(mark: yaml.Mark) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}"


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else _in_words(mark)


def _problem(error: yaml.YAMLError, text: str) -> str:
    """A library's words for a tab are of no help to who sees none in an editor."""
    mark = getattr(error, "problem_mark", None)
    lines = text.split("\n")
    if mark is not None and mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        return "a tab; YAML is indented by blanks alone"
    return f"not YAML ({one_line(getattr(error, 'problem', None) or error)})"
