"""The hash of a stage's code: which files and packages it is made of, what changes it, and who must depend on it."""

import ast
import json
from collections.abc import Iterable, Iterator
from modulefinder import ModuleFinder
from pathlib import Path
from random import Random
from typing import get_args

import pytest
import yaml
from clones import copy_project
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st
from ideas import HEADS
from networkx import DiGraph, simple_cycles
from params import ROOT, new_row, one_seed

import auxreid
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.sources import check_sources, code_hash, describe, ideas, import_closure, write_sources
from auxreid.plumbing.graph.table import write_graph
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig
from auxreid.plumbing.settings.load import load_config

PACKAGE = ROOT / "src/auxreid"
FILES = [
    *(path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"),
    *sorted(ROOT.glob("pipeline/*.py")),
]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
OTHERS = sorted(STAGES.keys() - {"sources"})
UNION = get_args(AuxiliaryConfig)[0]
KINDS = {get_args(one.model_fields["kind"].annotation)[0] for one in get_args(UNION) or (UNION,)}
MADE_OF = {"heads_and_descriptors": ("attribute_heads", "joint_descriptors")}  # ideas that are made of others
NOT_RESULTS = ("plumbing", "sample", "cli.py", "__main__.py")


# which files


@pytest.mark.parametrize("stage", OTHERS)
def test_the_files_of_a_stage_are_those_that_python_would_import_without_the_plumbing(stage):
    only_told = ["auxreid.plumbing.graph.feasible"]  # it reads the result's side, and no result comes of it
    finder = ModuleFinder(path=[str(ROOT / "pipeline"), str(ROOT / "src")], excludes=only_told)
    finder.run_script(str(ROOT / f"pipeline/{stage}.py"))
    found = {Path(module.__file__).relative_to(ROOT) for module in finder.modules.values() if module.__file__}
    expected = {path.as_posix() for path in found if path.name != "__init__.py" and "plumbing" not in path.parts}
    assert f"pipeline/{stage}.py" in expected and len(expected) > 1
    assert list(import_closure(Path(f"pipeline/{stage}.py"), ROOT)) == sorted(expected)


def test_package_files_are_empty_but_for_the_version_so_that_no_hash_need_hold_them():
    written = {path: path.read_text() for path in (ROOT / "src").rglob("__init__.py") if path.stat().st_size}
    assert written == {PACKAGE / "__init__.py": f'__version__ = "{auxreid.__version__}"\n'}


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A checkout of one stage, whose hash is written; go.py imports a at once, b in a function, and some packages."""
    for name, text in {
        "dvc.yaml": "stages: {sources: {cmd: x}, go: {cmd: x}}\n",
        "requirements.lock": "numpy==1.26.4\npillow==11.0 ; python_version > '3'\nrequests==2.32\n",
        "pipeline/go.py": "import json\nimport numpy as np\nfrom auxreid.room import a\n",
        "src/auxreid/room/a.py": "def f():\n    from auxreid.room.b import g\n",
        "src/auxreid/room/b.py": "import PIL.Image\nfrom auxreid.plumbing.base import files\n",
        "src/auxreid/room/unused.py": "import requests\n",
        "src/auxreid/plumbing/base/files.py": "import requests\nfrom auxreid.room import unused\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    write_sources(tmp_path)
    return tmp_path


def test_imports_inside_functions_count_and_plumbing_and_what_it_imports_do_not(small):
    found = list(import_closure(Path("pipeline/go.py"), small))
    assert found == ["pipeline/go.py", "src/auxreid/room/a.py", "src/auxreid/room/b.py"]


def test_a_package_counts_with_its_pinned_version_if_a_file_of_the_stage_imports_it(small):
    assert describe("go", small)["packages"] == {"numpy": "1.26.4", "pillow": "11.0"}


def test_data_beside_a_module_counts_as_its_code_does(small):
    without = describe("go", small)
    Path("src/auxreid/room/words.yaml").write_text("white: [white]\n")
    Path("src/auxreid/words.yaml").write_text("no module of the stage lies here\n")
    named = describe("go", small)
    assert set(named["files"]) - set(without["files"]) == {"src/auxreid/room/words.yaml"}
    assert named["code"] != without["code"]
    write_sources(small)
    Path("src/auxreid/room/words.yaml").write_text("white: [white, snowy]\n")
    with pytest.raises(ConfigError, match=r"before these changed: src/auxreid/room/words\.yaml; run"):
        check_sources("go", small)


def test_the_lexicon_of_descriptions_is_part_of_what_tests_a_search():
    assert "src/auxreid/search/words/lexicon.yaml" in describe("search", ROOT)["files"]
    assert not any(name.endswith(".yaml") for name in describe("finetune", ROOT)["files"])


def test_the_files_that_are_written_are_what_dvc_expects_of_the_stage(small, monkeypatch, tmp_path_factory):
    assert [path.name for path in Path("results/sources").iterdir()] == ["go.json"]
    monkeypatch.chdir(tmp_path_factory.mktemp("all"))
    write_sources(ROOT)
    written = {path.as_posix() for path in Path("results/sources").rglob("*.json")}
    ideas = {f"results/sources/ideas/{kind}.json" for kind in KINDS}
    assert written == set(STAGES["sources"]["outs"]) == {f"results/sources/{stage}.json" for stage in OTHERS} | ideas


# ideas of `auxiliary`


def test_an_idea_is_a_module_with_its_settings_and_in_the_code_of_no_stage():
    assert ideas(ROOT) == sorted(KINDS)
    for stage in OTHERS:
        assert not any(file.startswith("src/auxreid/auxiliary/") for file in describe(stage, ROOT)["files"])
    for kind in KINDS:
        files = describe(f"ideas/{kind}", ROOT)["files"]
        assert {f"src/auxreid/auxiliary/{kind}.py", "src/auxreid/clipreid/auxiliary.py"} <= set(files)
        others = [file for file in files if file.startswith("src/auxreid/auxiliary/")]
        parts = MADE_OF.get(kind, ())
        assert others == sorted(f"src/auxreid/auxiliary/{one}.py" for one in (kind, *parts))  # and by no other idea


@pytest.fixture
def with_ideas(small) -> Path:
    """Two ideas, which the stage's b.py imports by a name that is made up when it runs."""
    room = small / "src/auxreid/auxiliary"
    room.mkdir()
    (room / "__init__.py").touch()
    (room / "heads.py").write_text("from auxreid.room.a import f\n")
    (room / "parts.py").write_text("import numpy\n")
    (small / "src/auxreid/room/b.py").write_text("m = importlib.import_module(f'auxreid.auxiliary.{kind}')\n")
    write_sources(small)
    return small


def test_an_edit_of_an_idea_changes_its_own_hash_alone(with_ideas):
    written = {path: path.read_bytes() for path in Path("results/sources").rglob("*.json")}
    assert {path.name for path in written} == {"go.json", "heads.json", "parts.json"}
    heads = with_ideas / "src/auxreid/auxiliary/heads.py"
    heads.write_text(heads.read_text() + "A = 1\n")
    for other in ("go", "ideas/parts"):
        check_sources(other, with_ideas)
    with pytest.raises(ConfigError, match=r"sources/ideas/heads.json was .*: src/auxreid/auxiliary/heads.py; run"):
        check_sources("ideas/heads", with_ideas)
    write_sources(with_ideas)
    changed = {path.name for path, before in written.items() if path.read_bytes() != before}
    assert changed == {"heads.json"}


def test_in_dvc_only_the_rows_that_name_an_idea_depend_on_its_hash(tmp_path):
    clone = copy_project(tmp_path / "project")
    rows = {"heads": new_row(prompts=None, auxiliary=HEADS)}
    rows["control"] = new_row(prompts=None, auxiliary=HEADS | {"weight": 0})
    clone.edit(lambda raw: (raw["ablations"].update(rows), one_seed(raw, ["visual_only_corrected", *rows])))
    write_graph(load_config(clone.root / "params.yaml"), clone.root / "pipeline/graph.yaml")
    with Repo(str(clone.root)) as repo:
        stages = {getattr(one, "name", ""): {dep.def_path for dep in one.deps} for one in repo.index.stages}
    outdated = {name for name, deps in stages.items() if "results/sources/ideas/attribute_heads.json" in deps}
    assert outdated == {f"{stage}@sample_people-{row}-0" for stage in ("finetune", "evaluate") for row in rows}
    assert "finetune@sample_people-visual_only_corrected-0" in stages


def test_an_idea_counts_with_what_it_imports(with_ideas):
    assert list(describe("ideas/heads", with_ideas)["files"]) == [
        "src/auxreid/auxiliary/heads.py",
        "src/auxreid/room/a.py",
        "src/auxreid/room/b.py",
    ]
    assert describe("ideas/parts", with_ideas)["packages"] == {"numpy": "1.26.4"}


# which edits


def has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not node.body:
        return False
    first = node.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def commented(text: str, random: Random) -> str:
    """A line of its own before some statements, and a blank line."""
    lines = text.splitlines(keepends=True)
    starts = {node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)}
    for start in sorted(starts, reverse=True):
        if random.random() < 0.3:
            lines.insert(start - 1, "  # noted\n\n")
    return "".join(lines)


def reformatted(text: str, random: Random) -> str:
    """Python's own layout, in which there are no comments."""
    return ast.unparse(ast.parse(text))


def documented_otherwise(text: str, random: Random) -> str:
    """Docstrings come, go and change."""
    tree = ast.parse(text)
    for node in list(ast.walk(tree)):
        if has_docstring(node) and (len(node.body) > 1 or isinstance(node, ast.Module)) and random.random() < 0.4:
            del node.body[0]
        elif has_docstring(node):
            node.body[0].value.value += " And so on."
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)) and random.random() < 0.4:
            node.body.insert(0, ast.Expr(ast.Constant("Does it.")))
    return ast.unparse(ast.fix_missing_locations(tree))


@given(
    st.sampled_from(FILES),
    st.sampled_from([commented, reformatted, documented_otherwise]),
    st.randoms(),
)
def test_comments_layout_and_docstrings_are_no_code(path, edit, random):
    text = path.read_text()
    assert code_hash(ast.parse(edit(text, random))) == code_hash(ast.parse(text))


def change(node: ast.AST) -> bool:
    """Make a node another one; False for those that have nothing of their own."""
    match node:
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.Constant(value=int(value) | float(value)):
            node.value = 0 if value else 1
        case ast.Constant(value=str(value)):
            node.value = f"{value}x"
        case ast.Name(id=name):
            node.id = f"{name}_"
        case ast.Attribute(attr=name):
            node.attr = f"{name}_"
        case ast.alias(name=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            node.name = f"{name}_"
        case ast.arg(arg=name):
            node.arg = f"{name}_"
        case ast.BinOp(op=op):
            node.op = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
        case ast.UnaryOp(op=op):
            node.op = ast.UAdd() if isinstance(op, ast.USub) else ast.USub()
        case ast.Compare(ops=ops):
            node.ops[0] = ast.Lt() if isinstance(ops[0], ast.LtE) else ast.LtE()
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            node.test = ast.UnaryOp(ast.Not(), test)
        case ast.Call(args=[_, *_]):
            del node.args[-1]
        case _:
            return False
    return True


@given(st.sampled_from(FILES), st.data())
def test_any_change_of_the_code_is_seen(path, data):
    text = path.read_text()
    tree = ast.parse(text)
    documentation = {node.body[0].value for node in ast.walk(tree) if has_docstring(node)}
    nodes = [node for node in ast.walk(tree) if node not in documentation]
    start = data.draw(st.integers(0, len(nodes) - 1))
    assert any(change(node) for node in nodes[start:] + nodes[:start])  # the first that can be changed, no more
    assert code_hash(ast.parse(ast.unparse(tree))) != code_hash(ast.parse(text))


@given(st.sampled_from(FILES), st.data())
def test_a_statement_less_is_seen(path, data):
    text = path.read_text()
    tree = ast.parse(text)
    blocks = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    block = data.draw(st.sampled_from([body for body in blocks if len(body) > 1]))
    del block[-1]  # the first one may be a docstring
    assert code_hash(ast.parse(ast.unparse(tree))) != code_hash(ast.parse(text))


# what is checked before a stage runs


def test_an_unchanged_checkout_passes_with_the_hash_that_dvc_depends_on(small):
    assert check_sources("go", small) == json.loads(Path("results/sources/go.json").read_text())["code"]


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("src/auxreid/room/b.py", "A = 1\n", "src/auxreid/room/b.py"),
        ("pipeline/go.py", "from auxreid.room import unused\n", "pipeline/go.py, src/auxreid/room/unused.py"),
        ("src/auxreid/room/a.py", "", "src/auxreid/room/a.py, src/auxreid/room/b.py"),  # b is imported no more
        ("requirements.lock", "numpy==2.0\npillow==11.0\n", "requirements.lock: numpy"),
        ("requirements.lock", "pillow==11.0\n", "requirements.lock: numpy"),
    ],
)
def test_what_changed_after_the_hash_is_named_with_the_remedy(small, file, text, named):
    path = small / file
    path.write_text(path.read_text() + text if "go.py" in file or "b.py" in file else text)
    with pytest.raises(ConfigError) as caught:
        check_sources("go", small)
    remedy = "run `dvc repro`, or `dvc repro sources` before a single stage"
    assert str(caught.value) == f"results/sources/go.json was written before these changed: {named}; {remedy}"
    write_sources(small)
    check_sources("go", small)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("src/auxreid/room/b.py", "# a comment\n"),
        ("src/auxreid/room/unused.py", "A = 1\n"),
        ("src/auxreid/plumbing/base/files.py", "A = 1\n"),
        ("requirements.lock", "mlflow==3.0\n"),
    ],
)
def test_what_changes_no_result_stops_nothing_and_leaves_the_hash(small, file, text):
    before, path = describe("go", small), small / file
    path.write_text(path.read_text() + text)
    assert check_sources("go", small) == before["code"] and describe("go", small) == before


@pytest.mark.parametrize("text", ["{", "[]", '{"code": 1}'])
def test_a_broken_file_is_named(small, text):
    Path("results/sources/go.json").write_text(text)
    with pytest.raises(ConfigError, match=r"results/sources/go.json: is broken; run `dvc repro`"):
        check_sources("go", small)


def test_a_file_that_is_not_python_is_named_with_its_line(small):
    (small / "src/auxreid/room/a.py").write_text("A = 1\ndef\n")
    with pytest.raises(ConfigError, match=r"src/auxreid/room/a.py, line 2: not Python \(invalid syntax\)"):
        check_sources("go", small)


# who depends on it


@pytest.mark.parametrize("stage", OTHERS)
def test_a_stage_depends_on_the_hash_of_its_own_code_and_on_no_source_file(stage):
    body = STAGES[stage]["do"]
    sources = [dep for dep in body["deps"] if dep.startswith(("src", "pipeline", "results/sources"))]
    table = ["pipeline/graph.yaml"] if stage in ("compare", "metric_table", "search") else []  # names the rows
    assert sources == [*table, f"results/sources/{stage}.json"]
    assert all(isinstance(block, str) for block in body.get("params", ()))  # of params.yaml alone


def test_the_hashes_are_made_again_when_a_source_or_a_pin_changes():
    assert set(STAGES["sources"]["deps"]) == {"pipeline", "src/auxreid", "requirements.lock"}


# rooms


def imports_of(file: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_files(file: Path) -> Iterator[Path]:
    """Those of ours."""
    for name in imports_of(file):
        path = (ROOT / "src").joinpath(*name.split(".")).with_suffix(".py")
        if path.is_file():
            yield path


def room(file: Path) -> str:
    """The folder that a file lies in; plumbing is a house of rooms, and data/layouts is a part of data."""
    parts = file.relative_to(PACKAGE).parts
    return "/".join(parts[:2]) if parts[0] == "plumbing" else parts[0]


def plumbing_used_by(file: Path) -> set[str]:
    return {room(other) for other in imported_files(file) if room(other).startswith("plumbing/")}


def test_the_results_side_knows_of_no_plumbing_but_errors_files_and_settings():
    """So that what is not hashed can change no result, except by what it hands in."""
    side = [file for file in PACKAGE.rglob("*.py") if room(file).split("/")[0] not in NOT_RESULTS]
    assert len(side) > 60
    for file in side:
        assert plumbing_used_by(file) <= {"plumbing/base", "plumbing/settings"}, file


def test_a_script_knows_of_its_stage_and_of_no_graph_dvc_or_mlflow():
    allowed = {f"plumbing/{name}" for name in ("base", "settings", "stage")}
    for file in ROOT.glob("pipeline/*.py"):
        used = plumbing_used_by(file) | {name for name in imports_of(file) if name.split(".")[0] in ("dvc", "mlflow")}
        assert used <= ({"plumbing/graph"} if file.name == "sources.py" else allowed), file
    graph = PACKAGE / "plumbing/graph"
    assert set(imported_files(ROOT / "pipeline/sources.py")) == {graph / "sources.py"}


def test_what_uses_trained_networks_takes_part_in_no_result():
    """Neither a stage nor what one imports knows of it: an edit there outdates nothing."""
    makers = [*ROOT.glob("pipeline/*.py"), *PACKAGE.rglob("*.py")]
    users = ("serving", "assembling", "lostpets")
    makers = [file for file in makers if PACKAGE not in file.parents or room(file) not in (*users, "cli.py")]
    assert [file for file in makers if any(room(other) in users for other in imported_files(file))] == []


def test_an_idea_stands_on_what_trains_it_and_nothing_stands_on_it():
    """The loop finds it by its name when a row asks for it, so that no other row is outdated by it."""
    files = [file for file in FILES if PACKAGE / "auxiliary" not in file.parents]
    assert [file for file in files if any(room(other) == "auxiliary" for other in imported_files(file))] == []
    known = {"attributes", "clip", "clipreid", "data", "evaluation", "pose", "training"}
    known |= {"plumbing/base", "plumbing/settings"}
    for file in (PACKAGE / "auxiliary").glob("*.py"):
        allowed = known | {"auxiliary"} if file.stem in MADE_OF else known
        assert {room(other) for other in imported_files(file)} <= allowed, file


def cycles(pairs: Iterable[tuple[object, object]]) -> list[list[object]]:
    return list(simple_cycles(DiGraph([(one, other) for one, other in pairs if one != other])))


def test_no_circle_between_files_nor_between_rooms():
    pairs = [(file, other) for file in PACKAGE.rglob("*.py") for other in imported_files(file)]
    assert len(pairs) > 200
    assert cycles(pairs) == []
    assert cycles((room(one), room(other)) for one, other in pairs) == []
