"""The code that a stage's result follows from: the files that its script imports, without what changes no result.

`pipeline/sources.py` writes results/sources/<stage>.json, and every other stage depends on its file instead of on all
sources: the file changes exactly if one of the hashes in it does. YAML beside a module of the package counts with it.
An idea of `auxreid.auxiliary` is in no stage's code, since no file imports it by name: it has results/sources/ideas/
<kind>.json, on which the stages of those rows depend that name it.
Left out are comments, docstrings and formatting of Python; all that lies under src/auxreid/plumbing; and the versions
of packages that no file of the stage imports.
"""

import ast
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import packages_distributions
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.dvc.stages import read_stages

FOLDER = Path("results/sources")
PACKAGE, PLUMBING = "src/auxreid/", "src/auxreid/plumbing/"
IDEAS, ROOM = "ideas/", Path("src/auxreid/auxiliary")  # a hash is of a stage's name, or of ideas/<kind>
PINS = Path("requirements.lock")
_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """What is to be known of a file."""

    imports: tuple[str, ...]  # as :func:`_imports` names them
    code: str  # its :func:`code_hash`


def import_closure(script: Path, root: Path) -> dict[str, Source]:
    """Files of `root` that `script` imports, directly or not, imports inside functions too, with the script itself.

    Package files (`__init__.py`) are left out: they are empty in this project, but for the version.

    Returns:
        By path relative to `root`, sorted.

    Raises:
        ConfigError: a file is not Python.
    """
    found: dict[str, Source] = {}
    todo = [script.as_posix()]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = _read(root / name)
            todo += (file for module in found[name].imports if (file := _file_of(module, root)) is not None)
    return dict(sorted(found.items()))


def _read(path: Path) -> Source:
    try:
        return _source_of(path.read_bytes())
    except SyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: not Python ({error.msg})") from None


@lru_cache(maxsize=1024)
def _source_of(text: bytes) -> Source:
    """Kept by content: most files are in the closure of most stages, and parsing them is what takes long."""
    tree = ast.parse(text)
    return Source(tuple(_imports(tree)), code_hash(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names that a file imports, anywhere in it; of `from a import b` both a and a.b, whatever b is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(module: str, root: Path) -> str | None:
    """The file of a module of ours on the result side; None for any other name."""
    for folder in ("src", "pipeline"):
        file = f"{folder}/{module.replace('.', '/')}.py"
        if os.path.isfile(os.path.join(root, file)):  # not by Path: there are thousands of names
            return None if file.startswith(PLUMBING) else file
    return None


def code_hash(tree: ast.Module) -> str:
    """SHA-256 (hex) over a file's syntax tree without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and _has_docstring(node):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _has_docstring(node: ast.AST) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def describe(name: str, root: Path) -> dict[str, object]:
    """What results/sources/<name>.json holds: a hash of every file, the version of every package that one of them
    imports, as requirements.lock pins it, and `code`, one hash over both."""
    sources = import_closure(_script(name), root)
    packages = _packages(sources.values(), _pins(root))
    files = _hashes(sources, root)
    content = {"files": files, "packages": packages}
    return {"code": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()} | content


def _script(name: str) -> Path:
    """The file that a stage, or an idea, starts from."""
    return ROOM / f"{name.removeprefix(IDEAS)}.py" if name.startswith(IDEAS) else Path(f"pipeline/{name}.py")


def _hashes(sources: Mapping[str, Source], root: Path) -> dict[str, str]:
    """Of these files, and of data that lies beside them in the package: what a module reads counts as its code does."""
    folders = {Path(name).parent for name in sources if name.startswith(PACKAGE)}
    data = sorted(path for folder in folders for path in (root / folder).glob("*.yaml"))
    hashes = {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in data}
    return {name: source.code for name, source in sources.items()} | hashes


def _packages(sources: Iterable[Source], pins: dict[str, str]) -> dict[str, str]:
    """Pinned versions by distribution: a package may bear another name than what is imported (PIL is Pillow's)."""
    imported = {name.partition(".")[0] for source in sources for name in source.imports} - sys.stdlib_module_names
    names = {_normalised(one) for name in imported for one in _distributions().get(name, ())}
    return {name: pins[name] for name in sorted(names & pins.keys())}


@cache
def _distributions() -> Mapping[str, list[str]]:
    """By the names that their packages are imported under; looks through the whole environment."""
    return packages_distributions()


def _pins(root: Path) -> dict[str, str]:
    path = root / PINS
    return {_normalised(name): version for name, version in _PIN.findall(path.read_text(encoding="utf-8"))}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def write_sources(root: Path) -> None:
    """Write results/sources/<name>.json for every other stage of the checkout's dvc.yaml, and for every idea."""
    stages = read_stages(root).keys() - {FOLDER.name}
    for name in (*stages, *(f"{IDEAS}{kind}" for kind in ideas(root))):
        write_text(FOLDER / f"{name}.json", json.dumps(describe(name, root), indent=1) + "\n")


def ideas(root: Path) -> list[str]:
    """The ideas of a checkout: each is a module, and `kind` of the rows that use it."""
    return sorted(path.stem for path in (root / ROOM).glob("*.py") if path.name != "__init__.py")


def idea_file(kind: str) -> Path:
    """What the stages of a row depend on that uses an idea."""
    return FOLDER / f"{IDEAS}{kind}.json"


def check_sources(name: str, root: Path) -> str:
    """Make sure that results/sources/<name>.json speaks of the code that is about to run; returns its `code`.

    Raises:
        ConfigError: names what differs, and the remedy. A result would be stored as that of other sources.
    """
    path = FOLDER / f"{name}.json"
    remedy = "run `dvc repro`, or `dvc repro sources` before a single stage"
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        files, packages, code = written["files"], written["packages"], written["code"]
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; {remedy}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: is broken; {remedy}") from None
    present = _hashes(import_closure(_script(name), root), root)
    pins = _pins(root)
    changed = [file for file in sorted(present | files) if present.get(file) != files.get(file)]
    changed += [f"{PINS}: {package}" for package, version in packages.items() if pins.get(package) != version]
    if changed:
        raise ConfigError(f"{path} was written before these changed: {', '.join(changed)}; {remedy}")
    return code
