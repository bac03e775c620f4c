import os
import random
import shutil
import signal
import sys
import textwrap
import time
from urllib.parse import parse_qs

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelAlias
from mlflow.store.tracking.dbmodels.models import SqlDataset, SqlInput, SqlMetric, SqlParam, SqlTag
from params import ROOT
from sqlalchemy import event
from sqlalchemy.orm import Session
from tracking_workspace import START, all_runs, artifact_folder, artifacts, dump, forked, history, only

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import publish as mirror
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.publish import format_report, publish
from auxreid.plumbing.mirror.store import Store, open_store, tracking_uri
from auxreid.plumbing.mirror.ui import view_links
from auxreid.plumbing.settings.study import RegistryConfig
from auxreid.plumbing.stage.record import Point, read_record

STATE_TAG = "auxreid.state"
TAGS = 5  # their place in what dump says of a run


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
    load = "system/cpu_utilization_percentage"  # of finetune alone
    curves = {"stage1/loss", "stage2/loss", "stage2/triplet/active"}
    assert set(run.data.metrics) == {*curves, "stage2_final/loss", "mAP", load}
    assert history(client, run, load) == [(0, 300.0, START)]
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


def test_a_row_that_ranks_another_one_s_encoder_is_one_run_of_fit_and_evaluation(work):
    work.row()
    about = {"ablation": "local", "seed": 0}
    fitted = {"summary": {"shrinkage/global": 0.2}, "artifacts": ["descriptors.safetensors"]}
    work.stage("descriptors", "sample-local-0", **fitted, **about)
    report = publish(work.root)
    assert ("descriptors@sample-local-0", "evaluate sample-local-0 is not in dvc.lock yet") in report.skipped
    work.stage("evaluate", "sample-local-0", summary={"mAP": 0.9}, costs={"ms_per_image": 2.5}, **about)
    report = publish(work.root, registry=RegistryConfig())
    _, runs = all_runs(work)
    run = only(runs, "local-0")
    assert set(run.data.metrics) == {"mAP", "cost/ms_per_image", "descriptors_final/shrinkage/global"}
    assert run.data.metrics["cost/ms_per_image"] == 2.5
    assert run.data.tags["auxreid.stage"] == "descriptors" and run.data.tags["auxreid.ablation"] == "local"
    assert list(artifacts(run)) == ["descriptors/descriptors.safetensors"]
    (best,) = report.registered  # it has no encoder of its own
    assert "clip_reid-0" in best and "local" not in best


def test_a_run_carries_what_it_was_made_from(work):
    import mlflow.data

    work.row()
    work.stage("pose", "sample")
    publish(work.root)
    _, runs = all_runs(work)
    tags = only(runs, "clip_reid-0").data.tags
    assert tags["mlflow.source.git.commit"] == "c" * 40
    assert tags["mlflow.source.git.dirty"] == "true"
    assert tags["mlflow.source.name"] == "pipeline/finetune.py"
    assert {name: tags[name] for name in tags if name.startswith("auxreid.version.")} == {
        "auxreid.version.torch": "2.14.1",
        "auxreid.version.numpy": "1.26.4",
    }
    assert "mlflow.source.git.commit" not in only(runs, "pose sample").data.tags
    read = {entry.dataset.digest: entry for entry in only(runs, "clip_reid-0").inputs.dataset_inputs}
    assert set(read) == {"f" * 32, "5" * 32 + ".dir"}  # not the texts and the encoder, which the row's own parts wrote
    frames = read["f" * 32]
    assert mlflow.data.get_source(frames).uri == "results/ingest/sample/frames.arrow"
    assert [(tag.key, tag.value) for tag in frames.tags] == [("mlflow.data.context", "finetune, evaluate, prompts")]
    assert mlflow.data.get_source(read["5" * 32 + ".dir"]).uri == "data/splits"
    assert only(runs, "pose sample").inputs.dataset_inputs == []  # it read code only


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


def test_a_live_run_of_an_attempt_before_the_present_one_is_superseded(work):
    work.row()
    live = live_run(work)
    about = {"ablation": "clip_reid", "seed": 0}
    work.stage("finetune", "sample-clip_reid-0", started=START + 1, attempt="second", lr=0.2, **about)
    publish(work.root)
    client, runs = all_runs(work)
    (complete,) = [run for run in runs if run.info.run_name == "clip_reid-0" and run.info.run_id != live]
    assert client.get_run(live).data.tags["auxreid.superseded"] == complete.info.run_id


def current(work):
    """What the link of `auxreid ui` shows: the filter goes to MLflow as it stands there."""
    store = open_store(work.root)
    (line,) = view_links(store, "http://127.0.0.1:5000")
    link = line.removeprefix("sample: runs: ")
    address, _, query = link.partition("/runs?")
    assert address == f"http://127.0.0.1:5000/#/experiments/{store.experiment('sample')}"
    (search,) = parse_qs(query)["searchFilter"]
    return sorted(run.info.run_id for run in store.client.search_runs([store.experiment("sample")], search))


def test_the_default_view_hides_the_superseded_and_nothing_else(work):
    work.row(lr=0.1)
    publish(work.root)
    old = sorted(run.info.run_id for run in all_runs(work)[1])
    assert current(work) == old
    work.row(lr=0.2)
    publish(work.root)
    client, runs = all_runs(work)
    hidden = [run.info.run_id for run in runs if run.info.run_id not in current(work)]
    assert len(runs) == 3
    assert [client.get_run(run_id).info.run_name for run_id in hidden] == ["clip_reid-0"]
    assert set(hidden) < set(old)
    assert client.get_run(hidden[0]).info.lifecycle_stage == "active"
    work.row(lr=0.1)
    publish(work.root)
    assert current(work) == old


def test_two_machines_that_publish_one_result_to_one_store_agree_on_its_run(work, clone, monkeypatch):
    """The other machine publishes between our look at the runs and our first call."""
    work.row()
    other = clone()
    uri = tracking_uri(work.root)
    ensure_run = mirror.ensure_run

    def late(*arguments):
        monkeypatch.setattr(mirror, "ensure_run", ensure_run)
        publish(other.root, uri)
        return ensure_run(*arguments)

    monkeypatch.setattr(mirror, "ensure_run", late)
    publish(work.root)
    assert len(all_runs(work)[1]) == 4
    stay = current(work)
    assert len(stay) == 2
    for root in (other.root, work.root):
        assert len(publish(root, uri).unchanged) == 2
        assert current(work) == stay


SHARED_ROWS = [SqlDataset, SqlInput, SqlTag, SqlParam, SqlMetric, SqlRegisteredModel, SqlRegisteredModelAlias]


@pytest.mark.parametrize("kind", SHARED_ROWS, ids=lambda kind: kind.__tablename__)
def test_two_machines_that_insert_one_row_at_the_same_moment(work, clone, kind):
    """The other machine publishes all after MLflow has looked for a row here, and before it inserts it."""
    work.row()
    other = clone()
    uri = tracking_uri(work.root)
    to_publish = [other.root]

    def before_flush(session, context, instances):
        if to_publish and any(isinstance(row, kind) for row in session.new):
            publish(to_publish.pop(), uri, RegistryConfig())

    event.listen(Session, "before_flush", before_flush)
    try:
        publish(work.root, registry=RegistryConfig())
    finally:
        event.remove(Session, "before_flush", before_flush)
    assert to_publish == []
    stay = current(work)
    assert len(stay) == 2
    for root in (other.root, work.root):
        report = publish(root, uri, RegistryConfig())
        assert (len(report.unchanged), len(report.registered)) == (2, 1)
        assert current(work) == stay
    alone = clone()
    publish(alone.root)
    assert [run for run in dump(work) if view.SUPERSEDED not in dict(run[TAGS])] == dump(alone)


def test_two_machines_that_restore_one_result_at_the_same_moment(work, clone, monkeypatch):
    """The other machine restores the run after we have seen that it is superseded."""
    work.row(lr=0.1)
    publish(work.root)
    first = current(work)
    other = clone()
    uri = tracking_uri(work.root)
    work.row(lr=0.2)
    publish(work.root)
    work.row(lr=0.1)
    delete_tag = Store.delete_tag

    def late(*arguments):
        monkeypatch.setattr(Store, "delete_tag", delete_tag)
        assert publish(other.root, uri).restored == ["sample/clip_reid-0"]
        return delete_tag(*arguments)

    monkeypatch.setattr(Store, "delete_tag", late)
    publish(work.root)
    assert current(work) == first
    for root in (other.root, work.root):
        assert len(publish(root, uri).unchanged) == 2
    assert current(work) == first


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
    read = {"results/ingest/sample/frames.arrow": "f" * 32}
    work.stage("prompts", "sample-learned-0", summary={"loss": 0.3}, started=START + 9, attempt="second", data=read)
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
        process = forked(publish, other.root)
        time.sleep(moment.uniform(0.0, duration))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        interrupted += process.exitcode != 0
        publish(other.root)
        assert dump(other) == wanted
    assert interrupted > 0


def test_two_publishers_at_once_make_one_run_each(work):
    work.row()
    processes = [forked(publish, work.root) for _ in range(3)]
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
    conflict = r"dvc\.lock, line 1: a merge conflict; resolve it, .*--ours .*`dvc repro` makes"
    with pytest.raises(DataError, match=conflict):
        publish(work.root)


def test_no_server_is_one_line_and_a_server_that_goes_in_the_middle_too(work, monkeypatch):
    work.row()
    gone = "http://127.0.0.1:9"  # the discard port: nobody listens
    with pytest.raises(
        DataError, match=r"^http://127\.0\.0\.1:9: MLflow does not answer \(.*refused.*\); nothing is lost"
    ):
        publish(work.root, gone)
    ours = open_store(work.root)
    monkeypatch.setattr(mirror, "open_store", lambda root, uri: Store(HalfGone(ours.client, gone), gone))
    with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:9: MLflow does not answer") as raised:
        publish(work.root)
    assert "\n" not in str(raised.value)
    monkeypatch.undo()
    assert sorted(publish(work.root).completed) == ["sample/clip_reid-0"]


class HalfGone:
    """A client whose server goes away before the first artifact."""

    def __init__(self, client, gone):
        self.client, self.gone = client, MlflowClient(tracking_uri=gone)

    def __getattr__(self, name):
        if name == "log_artifact":
            self.client = self.gone
            return lambda *_: self.gone.search_experiments()  # fails as any call would
        return getattr(self.client, name)


def test_an_error_that_is_not_an_outage_stays_what_it_is(work):
    work.row()
    store = open_store(work.root)
    with pytest.raises(MlflowException, match="not found"), store.naming_an_outage():
        store.client.get_run("0" * 32)


def test_a_file_that_is_no_database_is_one_line(work):
    work.row()
    (work.root / "mlruns" / "mlflow.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(DataError, match=r"mlflow\.db: MLflow does not answer \(file is not a database\)"):
        publish(work.root)


def test_a_real_dvc_lock_is_understood(work, monkeypatch):
    """The hash of a record's folder and the entries of dvc.lock, as DVC itself writes them."""
    from dvc.repo import Repo

    monkeypatch.chdir(work.root)
    monkeypatch.setenv("AUXREID_LIVE", "off")
    script = """
        from auxreid.plumbing.stage.run import stage_run
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
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
        report = publish(work.root)
        assert (report.created, report.skipped) == (["sample/pose sample"], [])
        (run,) = all_runs(work)[1]
        ours = {name: value for name, value in run.data.metrics.items() if not name.startswith("system/")}
        assert ours == {"pose/loss": 0.5, "PCK": 0.9}
        assert len(history(open_store(work.root).client, run, "system/process_memory_megabytes")) == 2
        assert set(artifacts(run)) == {"hrnet/hrnet.safetensors", "overlays/a b.png"}
        shutil.rmtree(work.root / "results")
        repo.checkout()
    assert publish(work.root).unchanged == ["sample/pose sample"]
