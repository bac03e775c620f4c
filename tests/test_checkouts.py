"""A stage runs the sources of the checkout that it runs in, whatever checkout the environment was installed from.

The installed package is played by PYTHONPATH, which names the workspace's sources, as an editable install does. Git and
DVC are the real ones; of the graph, what the people's packed images need is run.
"""

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from clones import Clone, copy_project, people_only, render_small_people, shrink

pytestmark = pytest.mark.slow

TARGET = "ingest@sample_people"
SOURCES = (Path("src/auxreid/data/ingest.py"), Path("src/auxreid/plumbing/graph/applicability.py"))
BROKEN = '\n\nraise RuntimeError("the sources of the workspace ran")\n'


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Clone:
    """A committed project with the sample's people in DVC's cache."""
    clone = copy_project(tmp_path_factory.mktemp("workspace") / "project")
    render_small_people(clone)
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.edit(shrink)
    clone.edit(lambda params: people_only(params, ["visual_only_corrected"]))
    clone.run(sys.executable, "-m", "auxreid.cli", "plan")
    clone.dvc("repro", TARGET)
    clone.commit("The study")
    return clone


@pytest.fixture
def broken(workspace):
    """The workspace with sources that cannot run; whole again after the test."""
    whole = {workspace.root / name: (workspace.root / name).read_text(encoding="utf-8") for name in SOURCES}

    def break_them() -> None:
        for source, text in whole.items():
            source.write_text(text + BROKEN, encoding="utf-8")

    yield break_them
    for source, text in whole.items():
        source.write_text(text, encoding="utf-8")


def locked(text: str) -> dict:
    return yaml.safe_load(text)["stages"][TARGET]


def code_of(workspace: Clone) -> str:
    """The hash of the sources with which the workspace's own result was made."""
    return code(locked((workspace.root / "dvc.lock").read_text()))


def code(entry: dict) -> str:
    """DVC's hash of the file of hashes that an entry of dvc.lock names."""
    return next(dep["md5"] for dep in entry["deps"] if dep["path"] == "results/sources/ingest.json")


def experiment(workspace: Clone, name: str) -> dict:
    """The entry of dvc.lock in an experiment's commit."""
    refs = workspace.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    ref = next(ref for ref in refs if ref.endswith(f"/{name}"))
    return locked(workspace.run("git", "show", f"{ref}:dvc.lock").stdout)


def set_frames(number: int) -> tuple[str, str]:
    return "-S", f"datasets.sample_people.min_frames={number}"


def test_a_queued_experiment_runs_the_sources_that_it_was_queued_with(workspace, broken):
    workspace.dvc("exp", "run", "--queue", "--name", "before", *set_frames(2), TARGET)
    broken()
    workspace.dvc("exp", "run", "--queue", "--name", "after", *set_frames(1), TARGET)
    workspace.run(sys.executable, "-m", "dvc", "exp", "run", "--run-all", "--jobs", "1", check=False)
    done = experiment(workspace, "before")
    assert done["params"]["params.yaml"]["datasets.sample_people"]["min_frames"] == 2
    assert code(done) == code_of(workspace)
    failed = workspace.dvc("queue", "logs", "after")
    assert "the sources of the workspace ran" in failed  # those that it was queued with


def test_an_experiment_in_a_temporary_folder_runs_its_own_sources(workspace, broken):
    broken()
    failed = workspace.run(
        sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", "own", *set_frames(4), TARGET, check=False
    )
    assert failed.returncode and "the sources of the workspace ran" in failed.stdout + failed.stderr


def test_a_worktree_and_a_copy_run_their_own_sources(workspace, broken, tmp_path):
    workspace.run("git", "worktree", "add", "-q", str(tmp_path / "tree"), "HEAD")
    shutil.copytree(workspace.root, tmp_path / "copy", ignore=shutil.ignore_patterns("results", "tmp"))
    broken()
    for name in ("tree", "copy"):
        other = Clone(tmp_path / name)
        other.env = workspace.env  # PYTHONPATH names the workspace's sources
        shutil.copytree(workspace.root / "data", other.root / "data", dirs_exist_ok=True)
        assert "valid" in other.run(sys.executable, "-m", "auxreid.cli", "check").stdout
        other.dvc("repro", "--no-run-cache", "-f", TARGET)
        assert code_of(other) == code_of(workspace)
    workspace.run("git", "worktree", "remove", "--force", str(tmp_path / "tree"))
