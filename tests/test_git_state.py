import subprocess

import pytest

from auxreid.plumbing.stage.git_state import git_state
from auxreid.plumbing.stage.record import read_record
from auxreid.plumbing.stage.run import stage_run


def git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "--quiet")
    for name in ("code.py", "dvc.lock"):
        (tmp_path / name).write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_commit_and_whether_the_sources_differ(repository):
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "untracked").write_text("1")
    (repository / "dvc.lock").write_text("2")  # as DVC does after every stage
    assert git_state(repository) == {"commit": commit, "dirty": False}
    (repository / "code.py").write_text("2")
    assert git_state(repository) == {"commit": commit, "dirty": True}


def test_a_stage_records_the_commit_that_it_ran_from(repository):
    commit = git(repository, "rev-parse", "HEAD")
    with stage_run("pose", "sample", dataset="sample", params={}, root=repository / "results") as run:
        git(repository, "commit", "--quiet", "--allow-empty", "-m", "while it runs")
    assert read_record(run.out / "record").git == {"commit": commit, "dirty": False}


def test_without_a_repository_or_without_git_there_is_nothing_to_tell(repository, tmp_path_factory, monkeypatch):
    assert git_state(tmp_path_factory.mktemp("plain")) == {}
    monkeypatch.setenv("PATH", "")
    assert git_state(repository) == {}
