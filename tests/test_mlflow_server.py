"""publish and live logging against a real MLflow server. Each test has a data set, and hence an experiment, of its own.
The last one stops the server and starts it again."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import mlflow.artifacts
import numpy as np
import pytest
from encoder_files import write_encoder, write_photos
from mlflow_server import Server
from params import ROOT
from tracking_workspace import Workspace, all_runs, artifacts, dump, forked, history, only
from waiting import wait_until

from auxreid.plumbing.mirror import publish as mirror
from auxreid.plumbing.mirror.overview import overview
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.registered import registered_encoder
from auxreid.plumbing.mirror.store import Store, open_store
from auxreid.plumbing.mirror.view import CURRENT
from auxreid.plumbing.settings.study import RegistryConfig
from auxreid.plumbing.stage.record import read_history, read_record
from auxreid.serving.embedding import embed_images

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_database):
    server = Server(tmp_path_factory.mktemp("server"))
    shutil.copy(empty_database, server.folder / "mlflow.db")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def repository(tmp_path, empty_database, monkeypatch):
    """Makes repositories of one data set each."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def make(dataset):
        work = Workspace(tmp_path / dataset, empty_database, dataset)
        work.row()
        return work

    return make


def test_a_model_goes_to_a_server_and_comes_back_whole(server, repository, monkeypatch):
    import mlflow.pyfunc

    work = repository("model")
    file = write_encoder(work.root / "results/finetune/model-clip_reid-0/encoder.safetensors")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    report = publish(work.root, registry=RegistryConfig())
    assert report.modelled == ["model/clip_reid-0"]
    assert set(artifacts(only(all_runs(work)[1], "clip_reid-0"), all_runs(work)[0])) == {
        "figures/projector.png",
        "ranked_lists/best.png",
    }
    report = publish(work.root, registry=RegistryConfig())
    assert report.modelled == [] and "(unchanged)" in report.registered[0]
    fetched = Path(mlflow.artifacts.download_artifacts("models:/model-encoder@best"))
    assert (fetched / "encoder.safetensors").read_bytes() == file.read_bytes()
    loaded = mlflow.pyfunc.load_model("models:/model-encoder@best")
    photos = write_photos(work.root / "photos")
    assert np.array_equal(loaded.predict([str(path) for path in photos]), embed_images(file, photos))
    chosen = registered_encoder(work.root, RegistryConfig(), "model")
    assert (chosen.row, chosen.seed, chosen.path.read_bytes()) == ("clip_reid", 0, file.read_bytes())


def test_a_server_gets_what_an_sqlite_file_gets_and_nothing_twice(server, repository, monkeypatch):
    work = repository("equal")
    publish(work.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    report = publish(work.root)
    assert sorted(report.created) == ["equal/clip_reid-0", "equal/prompts equal-learned-0"]
    wanted = dump(work, f"sqlite:///{work.root}/mlruns/mlflow.db")
    assert dump(work) == wanted
    report = publish(work.root)
    assert (report.created, len(report.unchanged)) == ([], 2)
    assert dump(work) == wanted
    assert [line.standing for line in overview(work.root) if line.dataset == "equal"] == ["published"] * 2


class KillingClient:
    """An MLflow client that kills its process in place of the call after so many."""

    def __init__(self, client, calls):
        self.client, self.left = client, calls

    def __getattr__(self, name):
        def call(*args, **kwargs):
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return getattr(self.client, name)(*args, **kwargs)

        return call


def publish_until_killed(root, uri, calls):
    store = Store(KillingClient(open_store(root, uri).client, calls), uri)
    mirror.open_store = lambda root, uri: store  # in a process of its own
    publish(root, uri)


@pytest.mark.parametrize("calls", [4, 9, 12])  # nothing yet, between two artifacts, all but the last tags
def test_killed_in_the_middle_then_complete(server, repository, calls):
    work = repository(f"killed{calls}")
    process = forked(publish_until_killed, work.root, server.uri, calls)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    states = [run.data.tags["auxreid.state"] for run in all_runs(work, uri=server.uri)[1]]
    assert "publishing" in states
    assert publish(work.root, server.uri).completed
    publish(work.root)
    assert dump(work, server.uri) == dump(work)
    run = only(all_runs(work, uri=server.uri)[1], "clip_reid-0")
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    assert run.data.tags["auxreid.state"] == "complete"


def test_publishers_from_two_clones_leave_one_current_run_each(server, repository, tmp_path):
    work = repository("clones")
    other = tmp_path / "other"
    shutil.copytree(work.root, other)
    processes = [forked(publish, root, server.uri, RegistryConfig()) for root in (work.root, other, work.root)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    publish(other, server.uri, RegistryConfig())
    store = open_store(work.root, server.uri)
    found = store.runs(store.experiment("clones"), CURRENT)
    assert sorted(run.info.run_name for run in found) == ["clip_reid-0", "prompts clones-learned-0"]
    assert {run.data.tags["auxreid.state"] for run in found} == {"complete"}
    best = store.client.get_model_version_by_alias("clones-encoder", "best")
    assert best.run_id == only(found, "clip_reid-0").info.run_id
    report = publish(work.root, server.uri, RegistryConfig())
    assert (len(report.unchanged), report.created, report.completed, report.superseded) == (2, [], [], [])
    assert ["(unchanged)" in line for line in report.registered] == [True]


def test_the_registry_of_a_server(server, repository, tmp_path, monkeypatch):
    work = repository("registry")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    for outcome in ("new", "unchanged"):
        (line,) = publish(work.root, registry=RegistryConfig()).registered
        assert line.startswith(f"registry-encoder@best is version 1 ({outcome})")
    fetched = mlflow.artifacts.download_artifacts("models:/registry-encoder@best", dst_path=tmp_path / "fetched")
    assert (Path(fetched) / "encoder.safetensors").read_bytes() == b"encoder.safetensors made with 0.1"


MOMENTS = ("after", "during", "before")  # at which the server is stopped
STAGE = """
    import sys, time
    from pathlib import Path
    from auxreid.plumbing.stage import live
    from auxreid.plumbing.stage.run import stage_run

    live.PATIENCE, live.GRACE_BOUNDS = 0.0, (300.0, 300.0)  # a busy machine may take its time here
    root, moment = Path(sys.argv[1]), sys.argv[2]
    with stage_run("pose", f"gone-{moment}", dataset="gone", params={"moment": moment}, root=root / "results") as run:
        for step in range(6):
            if moment == "during" and step == 3:
                (root / "halfway").touch()
                while not (root / "go").exists():
                    time.sleep(0.1)
            run.log({"loss": 1.0 / (step + 1)}, step=step)
        run.summary({"loss": 0.1})
"""


def start_stage(work, uri, moment):
    source = str(ROOT / "src")
    environment = os.environ | {"PYTHONPATH": source, "MLFLOW_TRACKING_URI": uri, "AUXREID_LIVE": "on"}
    command = [sys.executable, "-c", textwrap.dedent(STAGE), str(work.root), moment]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Its exit code and what it warned of."""
    _, errors = process.communicate(timeout=600)
    return process.returncode, [
        line.partition(":")[0] for line in errors.splitlines() if line.startswith("live logging")
    ]


def live_history(work, uri, moment):
    client, runs = all_runs(work, "gone", uri)
    return history(client, only(runs, f"pose gone-{moment}"), "pose/loss")


def has_points(work, uri, moment):
    _, runs = all_runs(work, "gone", uri)
    return any("pose/loss" in run.data.metrics for run in runs if run.info.run_name == f"pose gone-{moment}")


def test_a_server_stopped_after_during_and_before_a_stage_costs_it_nothing_and_publish_repairs(server, repository):
    work = repository("gone")
    assert ended(start_stage(work, server.uri, "after")) == (0, [])
    during = start_stage(work, server.uri, "during")
    wait_until(lambda: (work.root / "halfway").exists() and has_points(work, server.uri, "during"), pause=0.2)
    server.stop()
    (work.root / "go").touch()
    assert ended(during) == (0, ["live logging stops"])
    assert ended(start_stage(work, server.uri, "before")) == (0, ["live logging stops"])
    records = {moment: work.root / "results" / "pose" / f"gone-{moment}" / "record" for moment in MOMENTS}
    assert {read_record(folder).status for folder in records.values()} == {"finished"}
    for folder in records.values():
        work.lock_stage("pose", folder.parent.name)
    publishing = publish_command(work, server.uri)
    assert (publishing.returncode, publishing.stdout) == (1, "")
    (line,) = [line for line in publishing.stderr.splitlines() if "WARNING" not in line]
    assert line.startswith(f"error: {server.uri}: MLflow does not answer (")
    server.start()
    report = publish(work.root, server.uri)
    assert sorted(report.adopted) == ["gone/pose gone-after", "gone/pose gone-during"]
    assert "gone/pose gone-before" in report.created
    for moment, folder in records.items():
        points = [point for point in read_history(folder) if point.name == "loss"]
        assert live_history(work, server.uri, moment) == [(point.step, point.value, point.time_ms) for point in points]
        assert len(points) == 6
    publish(work.root)
    assert dump(work, server.uri) == dump(work)


def publish_command(work, uri):
    (work.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "MLFLOW_TRACKING_URI": uri}
    line = [sys.executable, "-m", "auxreid.cli", "publish"]
    return subprocess.run(line, cwd=work.root, env=environment, capture_output=True, text=True, check=False)
