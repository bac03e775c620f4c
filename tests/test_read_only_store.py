"""A store that this user may not write: one line and exit code 1, or what can be had by reading."""

import os
import shutil
import stat
import subprocess
import sys

import pytest
from params import ROOT

from auxreid.plumbing.mirror.publish import publish

LESSER_ROOT = ["setpriv", "--bounding-set=-dac_override"]  # root, for whom permissions hold too


@pytest.fixture
def published(work):
    work.row()
    publish(work.root)
    shutil.copy(ROOT / "params.yaml", work.root)
    yield work
    for path in (work.root / "mlruns", *(work.root / "mlruns").rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IRWXU)


def command(work, name):
    prefix = []
    if os.geteuid() == 0:
        prefix = LESSER_ROOT
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
            pytest.skip("root cannot give up its rights here")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    line = [*prefix, sys.executable, "-m", "auxreid.cli", name]
    return subprocess.run(line, cwd=work.root, env=environment, capture_output=True, text=True, check=False)


def take_rights(*paths):
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)


def one_line(done):
    assert (done.returncode, done.stdout) == (1, ""), done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    line = done.stderr.strip()
    assert line.startswith("error: "), line
    return line


def test_a_folder_that_is_read_only_is_one_line_to_publish_and_can_be_read(published):
    mlruns = published.root / "mlruns"
    take_rights(mlruns, mlruns / "mlflow.db", mlruns / ".publish.lock")
    line = one_line(command(published, "publish"))
    assert "Permission denied" in line and "MLFLOW_TRACKING_URI" in line
    done = command(published, "runs")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 results without a run" in done.stdout


def test_a_database_of_another_user_is_one_line(published):
    published.row(lr=0.2)
    take_rights(published.root / "mlruns/mlflow.db")
    assert "mlflow.db: read-only; MLflow's store cannot be written" in one_line(command(published, "publish"))


def test_artifacts_of_another_user_are_one_line(published):
    published.row(lr=0.2)
    take_rights(published.root / "mlruns/artifacts/sample")
    assert "artifacts/sample" in one_line(command(published, "publish"))


def test_a_store_that_was_moved_and_is_read_only_is_one_line(published, tmp_path):
    root = tmp_path / "moved"
    root.mkdir()
    for name in ("mlruns", "results", "dvc.lock", "dvc.yaml", "params.yaml"):
        shutil.move(published.root / name, root)
    published.root = root
    take_rights(root / "mlruns", root / "mlruns/mlflow.db")
    assert "after a move" in one_line(command(published, "runs"))


def test_a_folder_without_a_store_that_is_read_only_is_one_line(published):
    (published.root / "mlruns/mlflow.db").unlink()
    take_rights(published.root / "mlruns")
    assert "Permission denied" in one_line(command(published, "ui"))
