"""Merging dvc.lock entry by entry, and pruning it: the rule by itself, as Git's driver, and beside the real DVC."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
import zc.lockfile
from clones import IDENTITY, ROOT, copy_project, copy_with_every_row
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st
from small_study import SmallStudy
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.dvc.lock_text import lock_text, parse_lock
from auxreid.plumbing.dvc.prune import prune_lock
from auxreid.plumbing.graph.table import graph_text
from auxreid.plumbing.graph.views import views_text
from auxreid.plumbing.team.merge_lock import merge_files, merge_nested, merge_stages


def digest(*parts: object) -> str:
    return hashlib.md5(repr(parts).encode(), usedforsecurity=False).hexdigest()


def dump(stages: dict) -> str:
    return lock_text({"schema": "2.0", "stages": stages})


# The rule by itself, on entries that need not make sense together.

NAMES, PATHS = ("s0", "s1", "s2", "s3", "s4"), ("a", "a/x", "a/x/deep", "a/y", "ab", "b", "b/z")


@st.composite
def entries(draw) -> dict:
    outs = draw(st.lists(st.sampled_from(PATHS), unique=True, min_size=1, max_size=2))
    return {
        "cmd": draw(st.sampled_from("uv")),
        "deps": [{"path": path} for path in draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=2))],
        "params": {path: {"code": "1"} for path in draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=1))},
        "outs": [{"path": path, "md5": draw(st.sampled_from("01"))} for path in outs],
    }


locks = st.dictionaries(st.sampled_from(NAMES), entries(), max_size=len(NAMES))


@st.composite
def branches(draw) -> tuple[dict, dict, dict]:
    """A lock, and two that differ from it in some entries."""
    base = draw(locks)
    sides = []
    for _ in range(2):
        changed = draw(st.dictionaries(st.sampled_from(NAMES), st.none() | entries(), max_size=2))
        sides.append({name: entry for name, entry in (base | changed).items() if entry is not None})
    return base, *sides


def touch(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def pick(before, mine, other, disputed):
    """One thing of a three-way merge; None is its absence."""
    if mine == other:
        return mine
    return mine if other == before else other if mine == before else disputed


def outputs(lock: dict) -> dict:
    return {(name, out["path"]): out for name, entry in lock.items() for out in entry["outs"]}


def slow_merge(base: dict, ours: dict, theirs: dict, reverse: bool) -> dict:
    """The rule as one would do it by hand: take out one entry after another until there is no reason to."""
    olds, mines, others = outputs(base), outputs(ours), outputs(theirs)
    made = {}
    for key in mines | others:
        made[key] = pick(olds.get(key), mines.get(key), others.get(key), "?")
    kept = {}
    for name in ours | theirs:
        kept[name] = pick(base.get(name), ours.get(name), theirs.get(name), "?")
        if kept[name] == "?":
            made_here = {key: out for key, out in made.items() if key[0] == name and out is not None}
            fits = [side[name] for side in (ours, theirs) if name in side and outputs({name: side[name]}) == made_here]
            kept[name] = min(fits, key=repr) if fits else None

    def agrees(entry: dict, side: dict, outs: dict) -> bool:
        read = [dep["path"] for dep in entry["deps"]] + list(entry["params"])
        return side == entry and all(made[key] == outs.get(key) for key in made for path in read if touch(key[1], path))

    while True:
        for name in sorted(kept, reverse=reverse):
            entry = kept[name]
            if entry is not None and not (
                agrees(entry, ours.get(name), mines) or agrees(entry, theirs.get(name), others)
            ):
                kept[name] = None
                made |= {key: "?" for key in made if key[0] == name and made[key] is not None}
                break
        else:
            return {name: entry for name, entry in kept.items() if entry is not None}


@given(branches(), st.booleans())
def test_the_rule_is_the_slow_one_in_any_order_and_whoever_merges(sides, reverse):
    base, ours, theirs = sides
    merged = merge_stages(base, ours, theirs)
    assert merged == slow_merge(base, ours, theirs, reverse) == merge_stages(base, theirs, ours)
    assert all(entry in (ours.get(name), theirs.get(name)) for name, entry in merged.items())
    order = list(dict.fromkeys([*ours, *theirs]))
    assert list(merged) == sorted(merged, key=order.index)


@given(branches())
def test_a_merge_with_what_did_not_change_changes_nothing(sides):
    base, side, _ = sides
    assert merge_stages(side, side, side) == side
    assert merge_stages(base, side, base) == merge_stages(base, base, side) == merge_stages(base, side, side) == side
    assert merge_stages({}, side, side) == side


@given(branches())
def test_what_is_kept_reads_from_the_entries_that_it_was_made_from_or_from_outputs_to_come(sides):
    base, ours, theirs = sides
    merged = merge_stages(base, ours, theirs)
    present = outputs(merged)
    both = {name for name in ours | theirs if pick(base.get(name), ours.get(name), theirs.get(name), "?") == "?"}
    for name, entry in merged.items():
        read = [dep["path"] for dep in entry["deps"]] + list(entry["params"])
        for side in (side for side in (ours, theirs) if side.get(name) == entry):
            had = {key: out for key, out in outputs(side).items() if any(touch(key[1], path) for path in read)}
            if all(present.get(key) == out or key[0] in both - merged.keys() for key, out in had.items()):
                break
        else:
            pytest.fail(f"{name} was made from other outputs")


tables = st.recursive(st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
nested = st.dictionaries(st.sampled_from("abc"), tables, max_size=3)


@given(nested, nested, nested)
def test_nested_mappings_merge_by_their_innermost_entries(base, ours, theirs):
    assert merge_nested(base, ours, base) == merge_nested(base, base, ours) == merge_nested(base, ours, ours) == ours
    merged = merge_nested(base, ours, theirs)
    for key in ours.keys() | theirs.keys():
        taken = pick(*(side.get(key) for side in (base, ours, theirs)), ours.get(key))
        if not isinstance(ours.get(key), dict) or not isinstance(theirs.get(key), dict):
            assert merged.get(key) == taken


# The rule on projects whose outputs follow from what their stages read: what is true of the merged project is kept.


def locked(stages: dict[str, tuple[list, list, list]], inputs: dict[str, object]) -> dict:
    """The dvc.lock of a project: by stage what it reads, its files of parameters and its outputs, in order.

    `sources` reads all of pipeline/ and writes a hash of pipeline/x.py for each stage x.
    """
    content, lock = dict(inputs), {}

    def read(path: str) -> str:
        return digest(sorted((name, value) for name, value in content.items() if touch(name, path)))

    for name, (deps, params, outs) in stages.items():
        lock[name] = {
            "cmd": f"run {name}",
            "deps": [{"path": path, "hash": "md5", "md5": read(path)} for path in deps],
            "params": {path: {"code": read(path)} for path in params},
        }
        for path in outs:
            own = read(f"pipeline/{Path(path).stem}.py") if name == "sources" else (path, lock[name])
            content[path] = digest(own)
        lock[name]["outs"] = [{"path": path, "hash": "md5", "md5": content[path]} for path in outs]
    return lock


def rows_project(inputs: dict[str, object]) -> dict:
    """ingest -> finetune -> evaluate -> compare; the row `c` starts from `a`, and is not there without it."""
    code = ("ingest", "finetune", "evaluate", "compare")
    stages = {"sources": (["pipeline"], [], [f"sources/{stage}.json" for stage in code])}
    stages["ingest"] = (["data"], ["sources/ingest.json"], ["ingest/frames"])
    for row in sorted(path.partition("/")[2] for path in inputs if path.startswith("rows/")):
        if row == "c" and "rows/a" not in inputs:
            continue
        start = ["finetune/a"] if row == "c" else []
        stages[f"finetune@{row}"] = (
            ["ingest/frames", *start],
            [f"rows/{row}", "sources/finetune.json"],
            [f"finetune/{row}"],
        )
        stages[f"evaluate@{row}"] = ([f"finetune/{row}"], ["sources/evaluate.json"], [f"scores/{row}"])
    stages["compare"] = (["scores"], ["sources/compare.json"], ["compare/table"])
    table = {"pipeline/graph.yaml": tuple(name for name in stages if "@" in name)}
    return locked(stages, inputs | table)


INPUTS = {"data": 0} | {f"pipeline/{stage}.py": 0 for stage in ("ingest", "finetune", "evaluate", "compare")}
edits = st.dictionaries(
    st.sampled_from([*INPUTS, "pipeline/plumbing.py", *(f"rows/{row}" for row in "abcd")]),
    st.sampled_from([1, 2, None]),  # None removes a row
    max_size=4,
)


def edited(inputs: dict, changes: dict) -> dict:
    return {key: value for key, value in (inputs | changes).items() if value is not None or key in INPUTS}


@given(edits, edits, st.sampled_from(["ab", "abc", ""]))
def test_what_is_kept_is_up_to_date_and_all_that_a_branch_has_up_to_date_is_kept(mine, other, rows):
    base = INPUTS | {f"rows/{row}": 0 for row in rows}
    other = {key: value for key, value in other.items() if key not in mine}  # else there is no one merged project
    start, ours, theirs = (rows_project(edited(base, changes)) for changes in ({}, mine, other))
    merged, truth = merge_stages(start, ours, theirs), rows_project(edited(base, mine | other))
    if "sources" in merged:  # its outputs are right, even where it is to run again
        assert merged.pop("sources")["outs"] == truth["sources"]["outs"]
    had = {name for name, entry in truth.items() if entry in (ours.get(name), theirs.get(name))} - {"sources"}
    assert merged == {name: truth[name] for name in merged}
    # Whether a row is to be there that one side has removed and the other made anew, no lock file says.
    if None not in (*mine.values(), *other.values()):
        assert merged.keys() == had


def test_three_branches_in_a_row_keep_what_each_has_made():
    base = INPUTS | {"rows/a": 0, "rows/b": 0}
    start = rows_project(base)
    merged = start
    for changes in ({"rows/a": 1}, {"rows/b": 1}, {"rows/c": 1}, {"rows/d": 1}):
        merged = merge_stages(start, merged, rows_project(base | changes))
    truth = rows_project(base | {"rows/a": 1, "rows/b": 1, "rows/d": 1})
    assert {name: merged[name] for name in merged if name != "sources"} == {
        name: truth[name] for name in truth if name not in ("sources", "compare")
    }


@pytest.fixture(scope="module")
def real_shape(tmp_path_factory):
    """The stages of the project as DVC reads them, in order: what each reads, its files of parameters, its outputs."""
    with Repo(str(copy_with_every_row(tmp_path_factory.mktemp("shape")))) as repo:
        stages, order = {stage.name: stage for stage in repo.index.stages if hasattr(stage, "name")}, []
        made = {out.def_path for stage in stages.values() for out in stage.outs}
        while len(order) < len(stages):
            have = {out.def_path for name in order for out in stages[name].outs}
            waiting = [name for name in stages if name not in order]
            order += [
                name
                for name in waiting
                if not any(touch(dep.def_path, path) for dep in stages[name].deps for path in made - have)
            ]
    shape = {}
    for name in order:
        params = [(dep.def_path, key) for dep in stages[name].deps for key in getattr(dep, "params", ())]
        plain = [dep.def_path for dep in stages[name].deps if not hasattr(dep, "params")]
        blocks = [path if path.startswith("results/") else f"{path}/{key}" for path, key in params]
        shape[name] = (plain, blocks, [out.def_path for out in stages[name].outs])
    return shape


def test_the_projects_own_lock_file_merges_row_by_row(real_shape):
    made = {path for _, _, outs in real_shape.values() for path in outs}
    inputs = {path: 0 for deps, params, _ in real_shape.values() for path in (*deps, *params)}
    inputs = {path: 0 for path in inputs if not any(touch(path, out) for out in made)}
    inputs.pop("pipeline")  # a folder, of these files
    inputs |= {f"pipeline/{Path(out).stem}.py": 0 for out in real_shape["sources"][2]}
    row, other = "params.yaml/ablations.visual_only", "params.yaml/ablations.keypoints_raw"
    base = locked(real_shape, inputs)
    ours, theirs = locked(real_shape, inputs | {row: 1}), locked(real_shape, inputs | {other: 1})
    merged = merge_stages(base, ours, theirs)
    truth = locked(real_shape, inputs | {row: 1, other: 1})
    assert list(base.keys() - merged.keys()) == ["compare@sample_people"]
    assert merged == {name: truth[name] for name in merged}
    code = locked(real_shape, inputs | {"pipeline/finetune.py": 1, row: 1})
    gone = base.keys() - merge_stages(base, code, theirs).keys()
    assert gone == {f"{stage}@sample_people-keypoints_raw-0" for stage in ("finetune", "evaluate")} | {
        "compare@sample_people"
    }


def test_thousands_of_stages_merge_in_seconds():
    inputs = INPUTS | {f"rows/r{number}": 0 for number in range(400)}
    base, ours = rows_project(inputs), rows_project(inputs | {"rows/r1": 1})
    theirs = rows_project(inputs | {f"rows/r{number}": 1 for number in range(100, 300)})
    started = time.process_time()
    merged = merge_stages(base, ours, theirs)
    assert time.process_time() - started < 2
    assert base.keys() - merged.keys() == {"compare"}


# The files: bytes as DVC writes them, and sides that cannot be read.


def write_sides(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / name for name in ("base", "ours", "theirs")]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_the_merged_file_is_written_as_dvc_writes_it(tmp_path):
    text = (ROOT / "dvc.lock").read_text()
    paths = write_sides(tmp_path, text, text, text)
    assert merge_files(*paths, "dvc.lock").endswith("none dropped")
    assert paths[1].read_text() == text
    numbers = {"cmd": "x", "params": {"p.yaml": {"a": 1e-05, "b": "1e5", "c": "yes", "d": "12:30:45", "e": 0.1}}}
    paths = write_sides(tmp_path, "", "", dump({"s": numbers}))
    merge_files(*paths, "dvc.lock")
    assert paths[1].read_text() == paths[2].read_text()
    assert parse_lock(paths[1].read_text(), "dvc.lock")["stages"] == {"s": numbers}


def test_the_line_counts_what_was_taken_and_names_what_was_dropped(tmp_path):
    inputs = INPUTS | {"rows/a": 0, "rows/b": 0}
    sides = [inputs, inputs | {"rows/a": 1}, inputs | {"rows/b": 1}]
    paths = write_sides(tmp_path, *(dump(rows_project(side)) for side in sides))
    assert merge_files(*paths, "dvc.lock") == (
        "dvc.lock: 2 entries are ours alone, 2 theirs, 2 were alike; 1 dropped, for `dvc repro` to make: compare"
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "not YAML, a merge conflict perhaps (line 2"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n  a:\n    cmd: y\n", 'found duplicate key "a"'),
        ("schema: '1.0'\nstages: {}\n", "invalid schema version"),
        ("schema: '2.0'\nstages:\n  a:\n    outs: []\n", "required key not provided @ data['stages']['a']['cmd']"),
        ("- 1\n", "expected a dictionary"),
    ],
)
def test_a_side_that_cannot_be_read_is_named_and_ours_stays(tmp_path, text, found):
    good = dump({"s": {"cmd": "x"}})
    paths = write_sides(tmp_path, good, good, text)
    with pytest.raises(DataError, match=r"^dvc.lock \(theirs\): ") as error:
        merge_files(*paths, "dvc.lock")
    assert found in str(error.value) and "\n" not in str(error.value)
    assert paths[1].read_text() == good


# Git calls it.


class Team:
    """A Git repository with the project's .gitattributes, and the driver that the Makefile's own rule sets up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "PATH": "/usr/local/bin:/usr/bin:/bin"}
        root.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")
        for name in (".gitattributes", "Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, root)
        (root / "install.sh").touch()
        self.set_up()
        (root / ".git/info/exclude").write_text("/.venv\n")

    def set_up(self) -> None:
        """`make` installs the environment: here that does nothing, and of its programs there is ours."""
        folder = self.root / ".venv/bin"
        folder.mkdir(parents=True)
        (folder / "auxreid").symlink_to(Path(sys.executable).parent / "auxreid")
        subprocess.run(["make", ".venv/.installed"], cwd=self.root, check=True, capture_output=True)

    def git(self, *command: str, check: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess:
        done = subprocess.run(
            ["git", *command], cwd=cwd or self.root, env=self.env, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def commit(self, branch: str, text: str | None = None, name: str = "dvc.lock") -> None:
        """All of the working tree, with this file, on a new branch from main or on main."""
        if branch != "main":
            self.git("checkout", "-q", "-b", branch, "main")
        if text is not None:
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", branch)

    def stages(self, root: Path | None = None) -> dict:
        return parse_lock(((root or self.root) / "dvc.lock").read_text(), "dvc.lock")["stages"]

    def conflicts(self) -> list[str]:
        return self.git("diff", "--name-only", "--diff-filter=U").stdout.split()


TWO_ROWS = INPUTS | {"rows/a": 0, "rows/b": 0}


@pytest.fixture
def team(tmp_path) -> Team:
    """main, and the branches a and b, each with another row trained; b in two commits."""
    team = Team(tmp_path / "project")
    team.commit("main", dump(rows_project(TWO_ROWS)))
    team.commit("a", dump(rows_project(TWO_ROWS | {"rows/a": 1})))
    team.commit("b", dump(rows_project(TWO_ROWS | {"rows/b": 1})))
    (team.root / "dvc.lock").write_text(dump(rows_project(TWO_ROWS | {"rows/b": 1, "rows/d": 1})))
    team.git("commit", "-q", "-am", "a new row")
    return team


def merged_rows() -> dict:
    truth = rows_project(TWO_ROWS | {"rows/a": 1, "rows/b": 1, "rows/d": 1})
    return {name: entry for name, entry in truth.items() if name not in ("sources", "compare")}


def without_sources(stages: dict) -> dict:
    return {name: entry for name, entry in stages.items() if name != "sources"}


def test_a_merge_from_any_folder_and_a_rebase_in_a_worktree_give_the_same(team):
    team.git("worktree", "add", "-q", "-b", "side", str(team.root.parent / "side"), "b")
    rebased = team.git("rebase", "a", cwd=team.root.parent / "side")
    assert rebased.stderr.count("dvc.lock: ") == 2
    (team.root / "below").mkdir()
    merged = team.git("merge", "-q", "a", "-m", "both", cwd=team.root / "below")
    assert "1 dropped, for `dvc repro` to make: compare" in merged.stderr
    assert without_sources(team.stages()) == merged_rows()
    assert without_sources(team.stages(team.root.parent / "side")) == merged_rows()
    assert team.git("status", "--porcelain").stdout == ""


def test_an_environment_elsewhere_is_found_on_path_and_none_is_a_conflict(team):
    (team.root / ".venv").rename(team.root.parent / "environment")
    failed = team.git("merge", "-q", "a", "-m", "both", check=False)
    assert failed.returncode != 0 and "auxreid" in failed.stderr and team.conflicts() == ["dvc.lock"]
    assert "<<<<<<<" not in (team.root / "dvc.lock").read_text()
    team.git("merge", "--abort")
    team.env["PATH"] = f"{team.root.parent / 'environment/bin'}:{team.env['PATH']}"
    team.git("merge", "-q", "a", "-m", "both")
    assert without_sources(team.stages()) == merged_rows()


def test_files_added_on_both_sides_and_a_broken_one(team):
    team.git("checkout", "-q", "--orphan", "other", "main")
    team.git("rm", "-q", "--cached", "dvc.lock")
    team.git("commit", "-q", "-m", "no lock")
    team.git("branch", "-q", "-f", "main")
    team.commit("one", dump({"s": {"cmd": "s"}, "t": {"cmd": "one"}}))
    team.commit("two", dump({"u": {"cmd": "u"}, "t": {"cmd": "two"}}))
    team.commit("broken", "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> two\n")
    team.git("checkout", "-q", "one")
    assert "dropped, for `dvc repro` to make: t" in team.git("merge", "-q", "two", "-m", "both").stderr
    assert list(team.stages()) == ["s", "u"]
    failed = team.git("merge", "-q", "broken", check=False)
    assert failed.returncode != 0 and team.conflicts() == ["dvc.lock"]
    assert "error: dvc.lock (theirs): not YAML, a merge conflict perhaps" in failed.stderr
    assert list(team.stages()) == ["s", "u"]


def test_two_branches_that_each_add_a_row_do_not_conflict_in_the_table_of_runs(team):
    def table(*rows: str) -> str:
        bodies = {f"{row}-0": {"row": row, "seed": 0} for row in rows}
        compared = {"people": {"rows": {row: {"seeds": [0]} for row in rows}}}
        return graph_text({"finetune": bodies, "compare": compared})

    team.git("checkout", "-q", "main")
    team.commit("main", table("a", "b"), "pipeline/graph.yaml")
    team.commit("c", table("a", "b", "c"), "pipeline/graph.yaml")
    team.commit("d", table("a", "b", "d"), "pipeline/graph.yaml")
    line = "pipeline/graph.yaml: merged; `auxreid plan` writes it anew from params.yaml"
    assert line in team.git("merge", "-q", "c", "-m", "both").stderr
    found = yaml.safe_load((team.root / "pipeline/graph.yaml").read_text())
    assert found == yaml.safe_load(table("a", "b", "c", "d"))


def test_nor_in_the_file_of_plots_and_artifacts(team):
    def shown(*rows: str) -> str:
        files = {f"../results/finetune/people-{row}-0/history.csv": "loss" for row in rows}
        artifacts = {f"people-{row}-0": {"path": f"../results/finetune/people-{row}-0/encoder"} for row in rows}
        return views_text({"plots": {"people/finetune": {"x": "epoch", "y": files}}, "artifacts": artifacts})

    path = "pipeline/dvc.yaml"
    team.git("checkout", "-q", "main")
    team.commit("main", shown("a", "b"), path)
    team.commit("c", shown("a", "b", "c"), path)
    team.commit("d", shown("a", "d"), path)
    line = f"{path}: merged; `auxreid plan` writes it anew from params.yaml"
    assert line in team.git("merge", "-q", "c", "-m", "both").stderr
    assert yaml.safe_load((team.root / path).read_text()) == yaml.safe_load(shown("a", "c", "d"))
    team.commit("broken", "plots: 7\n", path)
    failed = team.git("merge", "-q", "c", check=False)
    assert failed.returncode != 0 and f"{path} (ours): no list of plots" in failed.stderr
    team.git("merge", "--abort")


def test_the_rule_that_installs_needs_no_git(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "install.sh").write_text("mkdir .venv")
    command = ["make", ".venv/.installed"]
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert (tmp_path / ".venv/.installed").is_file() and done.stderr == ""


# DVC goes on from what was merged.


class RowsStudy(SmallStudy):
    """SmallStudy with a setting for each row, the table of runs that dvc.yaml walks, and one hash of the code.

    As in the project, all of these lie in the folder that `sources` reads. The driver is the Makefile's.
    """

    def __init__(self, root: Path, rows: str) -> None:
        super().__init__(root, {})
        self.env |= IDENTITY
        (root / "pipeline/rows").mkdir()
        (root / "pipeline/finetune.txt").write_text("code")
        for row in rows:
            self.setting(row, "0")
        (root / "pipeline/graph.yaml").write_text(graph_text({"rows": {row: {"row": row} for row in rows}}))
        (root / "dvc.yaml").write_text(yaml.safe_dump({"vars": ["pipeline/graph.yaml"], "stages": self._bodies()}))
        (root / ".gitignore").write_text("/out\n/data\n/.venv\n")
        self.team = Team(root)
        self.team.env = self.env
        self.run("git", "branch", "-q", "-m", "main")
        self.dvc("repro", "-q")
        self.commit()

    @staticmethod
    def _bodies() -> dict:
        def stage(out: str, *read: str, deps: tuple[str, ...] = ()) -> dict:
            command = f"python pipeline/step.py {out} {' '.join(read)}"
            return {"cmd": command, "deps": list(deps or read), "outs": [out]}

        def walked(out: str, *read: str) -> dict:
            return {"foreach": "${graph.rows}", "do": stage(out, *read)}

        finetune = ("out/ingest/set.txt", "out/sources/finetune.txt", "pipeline/rows/${key}.txt")
        return {
            "sources": stage("out/sources/finetune.txt", "pipeline/finetune.txt", deps=("pipeline",)),
            "ingest": stage("out/ingest/set.txt", "data/raw.txt"),
            "finetune": walked("out/finetune/${key}.txt", *finetune),
            "evaluate": walked("out/evaluate/${key}.txt", "out/finetune/${key}.txt"),
            "compare": stage("out/compare/set.txt", "out/evaluate"),
        }

    def setting(self, row: str, text: str) -> None:
        (self.root / f"pipeline/rows/{row}.txt").write_text(text)

    def add_row(self, row: str) -> None:
        path = self.root / "pipeline/graph.yaml"
        graph = yaml.safe_load(path.read_text())["graph"]
        graph["rows"][row] = {"row": row}
        path.write_text(graph_text(graph))
        self.setting(row, "0")

    def branch(self, name: str, change) -> None:
        """What somebody trains who starts from main."""
        self.run("git", "checkout", "-q", "-b", name, "main")
        change(self)
        self.dvc("repro", "-q")
        self.commit()

    def reproduce(self) -> set[str]:
        """Stages that `dvc repro` really ran; afterwards the merged entries are as they were, and nothing is stale."""
        merged, before = self.team.stages(), len(self.log())
        self.dvc("repro", "-q")
        after = self.team.stages()
        assert {name: after[name] for name in merged if name != "sources"} == {
            name: entry for name, entry in merged.items() if name != "sources"
        }
        return {name for what, name, _ in self.log()[before:] if what == "start"}


def both(*rows: str) -> set[str]:
    return {f"{stage}@{row}" for stage in ("finetune", "evaluate") for row in rows}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """main, and branches of people who each did something else."""
    study = RowsStudy(tmp_path_factory.mktemp("team") / "study", "abc")
    study.branch("row_a", lambda study: study.setting("a", "1"))
    study.branch("row_a_too", lambda study: study.setting("a", "2"))
    study.branch("row_b", lambda study: study.setting("b", "1"))
    study.branch("new_d", lambda study: study.add_row("d"))
    study.branch("new_code", lambda study: (study.root / "pipeline/finetune.txt").write_text("better"))
    return study


@pytest.fixture
def study(trained):
    """The trained study. No test moves a branch: each starts on a commit without one."""
    yield trained
    trained.run("git", "reset", "-q", "--hard")


def start(study: RowsStudy, branch: str) -> None:
    study.run("git", "checkout", "-q", "--detach", branch)
    (study.root / "out/evaluate/d.txt").unlink(missing_ok=True)  # as `auxreid plan` does with scores of former rows


@pytest.mark.slow
def test_after_a_merge_of_two_rows_only_what_compares_them_runs(study):
    start(study, "row_a")
    study.run("git", "rebase", "-q", "row_b")
    rebased = study.team.stages()
    start(study, "row_a")
    line = study.run("git", "merge", "-q", "row_b", "-m", "both").stderr
    assert line.endswith("; 1 dropped, for `dvc repro` to make: compare\n")
    assert study.team.stages() == rebased
    assert study.reproduce() == {"sources@finetune", "compare@set"}
    assert "up to date" in study.dvc("status")
    assert [study.outputs()["out/compare/set.txt"].count(f"<{row}.txt: 1>") for row in "abc"] == [1, 1, 0]


@pytest.mark.slow
def test_three_branches_and_a_new_row_in_a_row(study):
    start(study, "row_a")
    study.run("git", "merge", "-q", "row_b", "-m", "two")
    study.run("git", "merge", "-q", "new_d", "-m", "three")
    assert both(*"abcd") <= study.team.stages().keys()
    assert study.reproduce() == {"sources@finetune", "compare@set"}


@pytest.mark.slow
def test_a_row_that_both_changed_comes_back_from_the_run_cache(study):
    start(study, "row_a")
    study.run("git", "merge", "-q", "row_a_too", check=False)
    assert study.team.conflicts() == ["pipeline/rows/a.txt"]
    assert not both("a") & study.team.stages().keys() and both("b", "c") <= study.team.stages().keys()
    study.run("git", "checkout", "-q", "--theirs", "pipeline/rows/a.txt")
    assert study.reproduce() == set()
    assert study.team.stages() == parse_lock(study.run("git", "show", "row_a_too:dvc.lock").stdout, "theirs")["stages"]


@pytest.mark.slow
def test_a_new_row_that_was_built_on_the_old_code_is_made_again(study):
    start(study, "new_d")
    study.run("git", "merge", "-q", "new_code", "-m", "both")
    assert both("a", "b", "c") <= study.team.stages().keys() and not both("d") & study.team.stages().keys()
    assert study.reproduce() == {"sources@finetune", "compare@set", *both("d")}
    assert "better" in study.outputs()["out/evaluate/d.txt"]


# Entries of stages that are gone.


@pytest.mark.slow
def test_pruning_takes_out_gone_stages_and_nothing_else_once_dvc_is_quiet(study):
    start(study, "main")
    study.dvc("checkout", "-q")
    path, graph = study.root / "dvc.lock", study.root / "pipeline/graph.yaml"
    before, outs = path.read_text(), study.outputs()
    graph.write_text(graph_text({"rows": {row: {"row": row} for row in "ab"}}))
    holder = zc.lockfile.LockFile(str(study.root / ".dvc/tmp/lock"))  # as a DVC that is at work
    with ThreadPoolExecutor() as pool:
        pruned = pool.submit(prune_lock, study.root)
        with pytest.raises(TimeoutError):
            pruned.result(1)
        assert path.read_text() == before
        holder.close()
        assert set(pruned.result(30)) == both("c")
    blocks = re.split(r"^(?=  \S)", before, flags=re.MULTILINE)
    kept = [block for block in blocks if not re.match(r"  (finetune|evaluate)@c:", block)]
    assert path.read_text() == "".join(kept) and len(kept) == len(blocks) - 2
    assert study.outputs() == outs
    written = path.stat().st_mtime_ns
    assert prune_lock(study.root) == [] and path.stat().st_mtime_ns == written


def test_plan_prunes_and_says_what(tmp_path, monkeypatch):
    clone = copy_project(tmp_path)
    graph = yaml.safe_load((tmp_path / "pipeline/graph.yaml").read_text())["graph"]
    kept = {f"evaluate@{key}": {"cmd": f"python pipeline/evaluate.py {key}"} for key in graph["evaluate"]}
    gone = {"evaluate@sample_people-former-0": {"cmd": "x"}, "former_stage": {"cmd": "y"}}
    (tmp_path / "dvc.lock").write_text(dump({**gone, **kept}))
    monkeypatch.chdir(clone.root)
    done = CliRunner().invoke(app, ["plan"])
    assert done.exit_code == 0, done.output
    line = "dvc.lock: stages that are gone: evaluate@sample_people-former-0, former_stage; DVC's cache"
    assert line in done.output
    assert (tmp_path / "dvc.lock").read_text() == dump(kept)
