import multiprocessing
import os
import random
import shutil
import signal
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlparse

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 (once here, and not in every process that is started)
import pytest
from tracking_workspace import START, Workspace

from auxreid.errors import DataError
from auxreid.tracking import mirror, view
from auxreid.tracking.mirror import format_report, publish
from auxreid.tracking.record import Point, read_record
from auxreid.tracking.store import Store, create_database, open_store, tracking_uri

DIGEST_TAG, STATE_TAG = "auxreid.result", "auxreid.state"


def start(target, *arguments):
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """MLflow's tables take seconds to make, so that each test gets a copy. Two processes make the file at once."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    processes = [start(create_database, path) for _ in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return path


@pytest.fixture
def work(tmp_path, empty_database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_database, tmp_path / "mlruns" / "mlflow.db")
    return Workspace(tmp_path)


@pytest.fixture
def clone(work, empty_database, tmp_path_factory):
    """Makes copies of the repository whose MLflow is empty."""

    def make():
        root = tmp_path_factory.mktemp("clone")
        shutil.copytree(work.root / "results", root / "results")
        shutil.copy(work.root / "dvc.lock", root)
        (root / "mlruns").mkdir()
        shutil.copy(empty_database, root / "mlruns" / "mlflow.db")
        return Workspace(root)

    return make


def all_runs(work, dataset="sample"):
    store = open_store(work.root)
    return store.client, store.runs(store.experiment(dataset))


def only(runs, name):
    found = [run for run in runs if run.info.run_name == name]
    assert len(found) == 1, [run.info.run_name for run in runs]
    return found[0]


def history(client, run, name):
    return [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, name)]


def artifact_folder(run):
    return Path(urlparse(run.info.artifact_uri).path)


def artifacts(run):
    folder = artifact_folder(run)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dump(work):
    """All that MLflow knows, without the ids that it chooses itself."""
    client, runs = all_runs(work)
    return sorted(
        (
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            sorted(run.data.params.items()),
            sorted(run.data.tags.items()),
            [(name, history(client, run, name)) for name in sorted(run.data.metrics)],
            sorted(artifacts(run).items()),
        )
        for run in runs
    )


def test_a_row_is_one_run_with_all_that_its_records_say(work):
    work.row()
    report = publish(work.root)
    client, runs = all_runs(work)
    assert sorted(report.created) == ["sample/clip_reid-0", "sample/prompts sample-learned-0"]
    assert sorted(run.info.run_name for run in runs) == ["clip_reid-0", "prompts sample-learned-0"]
    run = only(runs, "clip_reid-0")
    curve = [(step, 1.0 / (step + 1), START + 1000 * step) for step in range(5)]
    assert history(client, run, "stage1/loss") == curve
    assert history(client, run, "stage2/loss") == curve
    assert history(client, run, "stage2/triplet/active") == [(4, 0.5, START + 4000)]
    assert history(client, run, "mAP") == [(0, 0.6, START + 60_000)]
    assert set(run.data.metrics) == {"stage1/loss", "stage2/loss", "stage2/triplet/active", "stage2_final/loss", "mAP"}
    assert run.data.params["recipe.finetune.lr"] == "0.1"
    assert run.data.params["recipe.evaluate.lr"] == "0.1"
    assert run.data.params["recipe"] == "sample"
    assert run.data.params["ablations.note"] == "x" * 6000
    assert run.data.tags["auxreid.cut_params"] == "ablations.note"
    assert (run.data.tags["auxreid.ablation"], run.data.tags["auxreid.seed"]) == ("clip_reid", "0")
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", START, START + 60_000)
    assert artifacts(run) == {
        "encoder/encoder.safetensors": b"encoder.safetensors made with 0.1",
        "figures/projector.png": b"picture projector.png",
        "ranked_lists/best.png": b"picture ranked_lists/best.png",
    }
    assert artifact_folder(run).parents[1] == work.root / "mlruns" / "artifacts" / "sample"


def test_publishing_again_adds_nothing(work):
    work.row()
    publish(work.root)
    before = dump(work)
    report = publish(work.root)
    assert (report.created, len(report.unchanged)) == ([], 2)
    assert dump(work) == before


def test_other_stages_are_runs_of_their_own(work):
    work.stage("pose", "sample", history=[("loss", 0, 1.0, START)], summary={"loss": 0.5})
    work.stage("compare", "sample", artifacts=["table.md"])
    work.stage("evaluate", "sample-untrained-0", ablation="untrained", seed=0, summary={"mAP": 0.1})
    publish(work.root)
    client, runs = all_runs(work)
    assert sorted(run.info.run_name for run in runs) == ["compare sample", "pose sample", "untrained-0"]
    pose = only(runs, "pose sample")
    assert history(client, pose, "pose/loss") == [(0, 1.0, START)]
    assert pose.data.metrics["loss"] == 0.5
    assert artifacts(only(runs, "compare sample")) == {"outputs/table.md": b"table.md made with 0.1"}
    assert only(runs, "untrained-0").data.metrics == {"mAP": 0.1}


def test_experiments_are_per_data_set(work):
    work.stage("pose", "sample")
    work.stage("pose", "dogs", dataset="dogs")
    publish(work.root)
    assert [run.info.run_name for run in all_runs(work, "dogs")[1]] == ["pose dogs"]
    assert [run.info.run_name for run in all_runs(work, "sample")[1]] == ["pose sample"]


def test_points_that_are_not_finite_are_left_out_and_said(work):
    points = [("loss", 0, "nan", START), ("loss", 1, "inf", START), ("loss", 2, 0.5, START)]
    work.stage("pose", "sample", history=points)
    publish(work.root)
    client, (run,) = all_runs(work)
    assert history(client, run, "pose/loss") == [(2, 0.5, START)]
    assert run.data.tags["auxreid.missing_points"] == "pose 2 nan or inf"


def test_more_points_and_parameters_than_fit_one_batch(work):
    points = [("loss", step, float(step), START + step) for step in range(2500)]
    work.stage("pose", "sample", history=points, params={f"p{i}": i for i in range(250)})
    publish(work.root)
    client, (run,) = all_runs(work)
    assert history(client, run, "pose/loss") == [(step, value, time_ms) for _, step, value, time_ms in points]
    assert run.data.params == {f"p{i}": str(i) for i in range(250)}


def live_run(work, points=2):
    """What live_writer.py leaves behind of the finetune stage, with the first points only."""
    record = read_record(work.root / "results" / "finetune" / "sample-clip_reid-0" / "record")
    store = open_store(work.root)
    tags = {**view.tags(record), STATE_TAG: "live"}
    experiment = store.experiment("sample")
    run = store.client.create_run(experiment, start_time=START, tags=tags, run_name=view.run_name(record))
    store.log_params(run.info.run_id, view.param_texts(record.params)[0])
    early = [Point("stage2/loss", step, 1.0 / (step + 1), START + 1000 * step) for step in range(points)]
    store.log_points(run.info.run_id, early)
    return run.info.run_id


def test_a_live_run_is_adopted_and_ends_as_if_made_anew(work, clone):
    work.row()
    live = live_run(work)
    report = publish(work.root)
    assert report.adopted == ["sample/clip_reid-0"]
    assert only(all_runs(work)[1], "clip_reid-0").info.run_id == live
    other = clone()
    assert "sample/clip_reid-0" in publish(other.root).created
    assert dump(other) == dump(work)


def test_the_live_run_of_another_attempt_is_left_alone(work):
    work.row()
    live = live_run(work)
    work.row(lr=0.2)
    assert "sample/clip_reid-0" in publish(work.root).created
    client, _ = all_runs(work)
    assert client.get_run(live).data.tags[STATE_TAG] == "live"
    assert "auxreid.superseded" not in client.get_run(live).data.tags


def test_a_new_result_supersedes_and_an_old_one_returns(work):
    work.row(lr=0.1)
    publish(work.root)
    old = only(all_runs(work)[1], "clip_reid-0").info.run_id
    work.row(lr=0.2)
    report = publish(work.root)
    assert sorted(report.created) == ["sample/clip_reid-0"]
    assert len(report.superseded) == 1
    client, runs = all_runs(work)
    (new,) = [run.info.run_id for run in runs if run.info.run_name == "clip_reid-0" and run.info.run_id != old]
    assert client.get_run(old).data.tags["auxreid.superseded"] == new
    work.row(lr=0.1)
    report = publish(work.root)
    assert (report.created, report.restored) == ([], ["sample/clip_reid-0"])
    assert "auxreid.superseded" not in client.get_run(old).data.tags
    assert client.get_run(new).data.tags["auxreid.superseded"] == old


def test_the_same_result_made_again_is_the_same_run(work):
    work.row()
    publish(work.root)
    work.stage("prompts", "sample-learned-0", summary={"loss": 0.2}, started=START + 9, attempt="second")
    report = publish(work.root)
    assert (report.created, len(report.unchanged)) == ([], 2)


class Stopped(Exception):
    pass


class StoppingClient:
    """An MLflow client that does so many calls and then no more."""

    def __init__(self, client, calls):
        self.client, self.left = client, calls

    def __getattr__(self, name):
        def call(*args, **kwargs):
            if self.left == 0:
                raise Stopped
            self.left -= 1
            return getattr(self.client, name)(*args, **kwargs)

        return call


def test_a_publish_that_stops_after_any_call_is_completed_by_the_next(work, clone, monkeypatch):
    points = [("loss", step, 0.5, START) for step in range(1200)]
    work.stage("pose", "sample", history=points, summary={"PCK": 0.9}, figures=["a.png"], artifacts=["b.safetensors"])
    publish(work.root)
    wanted = dump(work)
    calls = 0
    while True:
        other = clone()
        client = StoppingClient(open_store(other.root).client, calls)
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "open_store", lambda root, uri, client=client: Store(client, tracking_uri(root, uri)))
            try:
                publish(other.root)
            except Stopped:
                calls += 1
            else:
                break
        publish(other.root)
        assert dump(other) == wanted, f"stopped after {calls} calls"
    assert calls > 9


@pytest.mark.slow
def test_publish_killed_at_random_moments(work, clone):
    work.row()
    started = time.monotonic()
    publish(work.root)
    duration = time.monotonic() - started
    wanted = dump(work)
    moment = random.Random(0)
    interrupted = 0
    for _ in range(30):
        other = clone()
        process = start(publish, other.root)
        time.sleep(moment.uniform(0.0, duration))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        interrupted += process.exitcode != 0
        publish(other.root)
        assert dump(other) == wanted
    assert interrupted > 0


def test_two_publishers_at_once_make_one_run_each(work):
    work.row()
    processes = [start(publish, work.root) for _ in range(3)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(run.info.run_name for run in all_runs(work)[1]) == ["clip_reid-0", "prompts sample-learned-0"]


def test_a_database_made_by_two_processes_at_once_is_whole(work, empty_database):
    assert sorted(path.name for path in empty_database.parent.iterdir()) == [".lock", "mlflow.db"]
    assert all_runs(work)[1] == []


def test_what_cannot_be_shown_is_named(work):
    work.row()
    work.stage("pose", "sample", status="failed")
    work.stage("ingest", "sample")
    (work.root / "results/ingest/sample/record/record.json").write_text("{}")
    work.stage("attributes", "sample", artifacts=["model.safetensors"])
    (work.root / "results/attributes/sample/model.safetensors").unlink()
    shutil.rmtree(work.root / "results/prompts")
    work.stage("finetune", "sample-visual_only-0")
    work.stage("keypoints", "sample")
    del work.lock["keypoints@sample"]
    work.write_lock()
    report = publish(work.root)
    reasons = dict(report.skipped)
    assert "status is 'failed'" in reasons["pose@sample"]
    assert "is not the record that dvc.lock names" in reasons["ingest@sample"]
    assert "model.safetensors is not here" in reasons["attributes@sample"]
    assert "prompts/sample-learned-0/record is not here" in reasons["prompts@sample-learned-0"]
    assert "prompts/sample-learned-0/record is not here" in reasons["evaluate@sample-clip_reid-0"]
    assert "not in dvc.lock yet" in reasons["finetune@sample-visual_only-0"]
    assert "is not in dvc.lock" in reasons["keypoints sample"]
    assert len(reasons) == 7
    assert (report.created, report.unchanged) == ([], [])
    text = format_report(report)
    assert "0 created" in text
    assert "left out: pose@sample: " in text


def test_a_broken_lock_is_named(work):
    with pytest.raises(DataError, match=r"dvc\.lock: there is no such file"):
        publish(work.root)
    (work.root / "dvc.lock").write_text("<<<<<<< HEAD\nstages: {}\n=======\n")
    with pytest.raises(DataError, match=r"dvc\.lock: (not YAML|no mapping)"):
        publish(work.root)


def test_a_real_dvc_lock_is_understood(work, monkeypatch):
    """The hash of a record's folder and the entries of dvc.lock, as DVC itself writes them."""
    from dvc.repo import Repo

    monkeypatch.chdir(work.root)
    monkeypatch.setenv("AUXREID_LIVE", "off")
    script = """
        from auxreid.tracking.stage import stage_run
        with stage_run("pose", "sample", dataset="sample", params={"lr": 0.1}) as run:
            run.log({"loss": 0.5}, step=0)
            run.summary({"PCK": 0.9})
            run.figure("overlays/a b.png").write_bytes(b"picture")
            (run.out / "hrnet.safetensors").write_bytes(b"weights")
            run.artifact("hrnet.safetensors")
    """
    (work.root / "pose.py").write_text(textwrap.dedent(script))
    dvc_yaml = f"""
        stages:
          pose:
            foreach: {{sample: 1}}
            do:
              cmd: {sys.executable} pose.py
              deps: [pose.py]
              outs: ["results/pose/${{key}}/hrnet.safetensors", "results/pose/${{key}}/record"]
    """
    (work.root / "dvc.yaml").write_text(textwrap.dedent(dvc_yaml))
    monkeypatch.setenv("PYTHONPATH", str(Path(mirror.__file__).parents[2]))
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
        report = publish(work.root)
        assert (report.created, report.skipped) == (["sample/pose sample"], [])
        (run,) = all_runs(work)[1]
        assert run.data.metrics == {"pose/loss": 0.5, "PCK": 0.9}
        assert set(artifacts(run)) == {"hrnet/hrnet.safetensors", "overlays/a b.png"}
        shutil.rmtree(work.root / "results")
        repo.checkout()
    assert publish(work.root).unchanged == ["sample/pose sample"]
