"""A copy of the project that is no Git repository: the same commands run in it."""

import json
import os
import shutil
import sys

from clones import SAMPLE, copy_project, people_only, render_small_people, shrink

from auxreid.plumbing.dvc.without_git import BACK, OPTION, TOLD, tell_dvc


def test_a_copy_without_git_runs_and_says_so_once(tmp_path, stage_python, monkeypatch):
    clone = copy_project(tmp_path / "unpacked")
    clone.take_python(stage_python)
    shutil.rmtree(clone.root / ".git")
    render_small_people(clone)
    clone.edit(lambda params: (shrink(params), people_only(params, ["clip_reid"])))
    first = clone.run(sys.executable, "-m", "auxreid.cli", "plan")
    assert first.stderr.splitlines().count(TOLD) == 1
    clone.dvc("commit", "-q", "-f", "data.dvc")
    ran = clone.run(sys.executable, "-m", "auxreid.cli", "repro", "ingest@sample_people")
    assert TOLD not in ran.stderr and (clone.root / SAMPLE).is_dir()
    record = json.loads((clone.root / "results/ingest/sample_people/record/record.json").read_text())
    assert record["status"] == "finished" and not record["git"]
    clone.run(sys.executable, "-m", "auxreid.cli", "publish")
    clone.run("git", "init", "-q")  # Git comes later: the way back is told, and not gone
    assert clone.run(sys.executable, "-m", "auxreid.cli", "plan").stderr.splitlines() == [BACK]
    assert OPTION in (clone.root / ".dvc/config.local").read_text()


def test_a_git_repository_is_left_alone(tmp_path):
    clone = copy_project(tmp_path / "clone")
    assert tell_dvc(clone.root) == [] and not os.path.exists(clone.root / ".dvc/config.local")
    clone.dvc("config", "--local", "cache.type", "copy")
    before = (clone.root / ".dvc/config.local").read_bytes()
    assert tell_dvc(clone.root) == [] and (clone.root / ".dvc/config.local").read_bytes() == before
