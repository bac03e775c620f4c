"""A repository that was moved or copied, with its MLflow; artifacts that were lost; and MLflow's own commands in it."""

import os
import shutil
import subprocess
import sys
import textwrap

import mlflow.artifacts
import pytest
from params import ROOT
from test_row_runs import study
from tracking_workspace import all_runs, artifacts, files_below, only

from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.home import own_database
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.store import open_store, tracking_uri
from auxreid.plumbing.settings.study import RegistryConfig

RULE = RegistryConfig()


@pytest.fixture
def made(work, tmp_path):
    """A published study with history and a registered encoder, in a folder whose name an address has to quote."""
    home = tmp_path / "first home"
    home.mkdir()
    shutil.move(work.root / "mlruns", home)
    work.root = home
    study(work)
    publish(work.root, registry=RULE)
    work.row("visual_only", lr=0.2, mAP=0.9)
    publish(work.root, registry=RULE)
    return work


def addresses(work):
    client, runs = all_runs(work)
    found = [run.info.artifact_uri for run in runs] + [one.artifact_location for one in client.search_experiments()]
    return found + [one.source for one in client.search_model_versions("name='sample-encoder'")]


def elsewhere(work, root):
    work.root = root
    return work


def test_a_moved_repository_finds_its_artifacts_and_keeps_its_history(made, tmp_path, capsys, monkeypatch):
    encoders = {run.info.run_id: artifacts(run) for run in all_runs(made)[1]}
    superseded = {run.info.run_id for run in all_runs(made)[1] if view.SUPERSEDED in run.data.tags}
    assert superseded
    home, new = made.root, tmp_path / "second" / "home"
    new.parent.mkdir()
    shutil.move(home, new)
    report = publish(elsewhere(made, new).root, registry=RULE)
    assert report.created == report.refilled == []
    assert f"moved from {home / 'mlruns'}" in capsys.readouterr().err
    _, runs = all_runs(made)
    assert {run.info.run_id: artifacts(run) for run in runs} == encoders
    assert {run.info.run_id for run in runs if view.SUPERSEDED in run.data.tags} == superseded
    assert not home.exists()
    own = [one for one in addresses(made) if not one.startswith((new / "mlruns").as_uri())]
    assert [one for one in own if "/artifacts/0" not in one] == []  # MLflow's own first experiment came with the tables
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(new))
    fetched = mlflow.artifacts.download_artifacts("models:/sample-encoder@best", dst_path=tmp_path / "fetched")
    assert b"".join(files_below(tmp_path / "fetched").values()) == b"encoder.safetensors made with 0.2", fetched
    capsys.readouterr()
    open_store(new)
    assert capsys.readouterr().err == ""


def test_a_copy_never_touches_the_original(made, tmp_path):
    home, copy = made.root, tmp_path / "copy"
    subprocess.run(["cp", "-r", home, copy], check=True)
    before, database = files_below(home / "mlruns" / "artifacts"), own_database(home).read_bytes()
    elsewhere(made, copy).row("visual_only", lr=0.3, mAP=0.95)
    made.stage("pose", "dogs", dataset="dogs", artifacts=["hrnet.safetensors"])
    publish(copy, registry=RULE)
    assert files_below(home / "mlruns" / "artifacts") == before
    assert own_database(home).read_bytes() == database
    assert os.readlink(copy / "mlflow.db") == "mlruns/mlflow.db"
    shutil.rmtree(home)
    assert all(artifacts(run) for run in all_runs(made)[1] if run.data.tags.get(view.STAGE) == "finetune")


def test_an_experiment_that_its_user_put_elsewhere_stays_there(made, tmp_path):
    client = open_store(made.root).client
    client.create_experiment("mine", artifact_location=(tmp_path / "own place").as_uri())
    plain = client.create_experiment("plain", artifact_location=str(made.root / "mlruns" / "7"))
    assert plain
    new = tmp_path / "second"
    shutil.move(made.root, new)
    found = {one.name: one.artifact_location for one in open_store(new).client.search_experiments()}
    assert found["mine"] == (tmp_path / "own place").as_uri()
    assert found["plain"] == str(new / "mlruns" / "7")


def test_lost_artifacts_are_seen_and_sent_again(made):
    run = only([run for run in all_runs(made)[1] if view.SUPERSEDED not in run.data.tags], "clip_reid-0")
    whole = artifacts(run)
    shutil.rmtree(made.root / "mlruns" / "artifacts")
    report = publish(made.root)
    assert "sample/clip_reid-0" in report.refilled
    assert artifacts(run) == whole
    assert publish(made.root).refilled == []
    (made.root / "mlruns/artifacts/sample" / run.info.run_id / "artifacts/encoder/encoder.safetensors").write_bytes(b"")
    assert publish(made.root).refilled == ["sample/clip_reid-0"]
    assert artifacts(run) == whole


PLAIN = """
    import mlflow
    print(sorted(one.name for one in mlflow.search_experiments()))
    print(len(mlflow.search_runs(experiment_names=["sample"])))
    print(mlflow.artifacts.download_artifacts("models:/sample-encoder@best", dst_path="fetched"))
"""


def test_mlflow_as_it_is_shows_the_same_in_the_repository(made):
    """As README has it: another process, in the root, told nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    line = [sys.executable, "-c", textwrap.dedent(PLAIN)]
    done = subprocess.run(line, cwd=made.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    experiments, runs, fetched = done.stdout.splitlines()[-3:]
    assert (experiments, runs) == ("['Default', 'sample']", str(len(all_runs(made)[1])))
    assert (made.root / fetched / "encoder.safetensors").read_bytes() == b"encoder.safetensors made with 0.2"
    assert (made.root / "mlflow.db").is_symlink()
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/mlflow.db" in ignored


def test_a_file_of_plain_mlflow_in_the_way_is_named_and_left(made, capsys):
    (made.root / "mlflow.db").unlink()
    (made.root / "mlflow.db").write_bytes(b"mine")
    open_store(made.root)
    assert "move it away" in capsys.readouterr().err
    assert (made.root / "mlflow.db").read_bytes() == b"mine"
