import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from params import ROOT
from waiting import gone, wait_until

from auxreid.plumbing.mirror import live_writer, view
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.stage import live
from auxreid.plumbing.stage import run as stage
from auxreid.plumbing.stage.record import Point, point_line, read_history, read_record


@pytest.fixture(scope="module")
def repository(tmp_path_factory, empty_database):
    """One store for all tests here; each has a data set, and hence an experiment, of its own."""
    root = tmp_path_factory.mktemp("repository")
    (root / "mlruns").mkdir()
    shutil.copy(empty_database, root / "mlruns")
    return root


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("AUXREID_LIVE", raising=False)
    monkeypatch.setattr(live, "GRACE_BOUNDS", (300.0, 300.0))  # a busy machine may take its time here
    monkeypatch.setattr(live, "PATIENCE", 0.0)


def finetune(root, dataset, **given):
    about = {"dataset": dataset, "params": {"lr": 0.1}, "ablation": "clip_reid", "seed": 0, "root": root / "results"}
    return stage.stage_run("finetune", f"{dataset}-clip_reid-0", **about, **given)


def runs_of(root, dataset):
    store = open_store(root)
    return store.client, store.runs(store.experiment(dataset))


def test_points_are_in_mlflow_while_the_stage_runs(repository):
    with finetune(repository, "running") as run:
        run.log({"loss": 1.0, "lr": float("inf")}, step=0)
        client, _ = runs_of(repository, "running")
        wait_until(lambda: any(found.data.metrics for found in runs_of(repository, "running")[1]), pause=0.1)
        (live_run,) = runs_of(repository, "running")[1]
        assert (live_run.info.run_name, live_run.info.status) == ("clip_reid-0", "RUNNING")
        assert live_run.data.tags["auxreid.state"] == "live"
        assert live_run.data.tags["auxreid.attempt"] == run.attempt
        assert live_run.data.params == {"lr": "0.1"}
        run.log({"loss": 0.5}, step=1)
    record = read_record(run.out / "record")
    assert record.live == "ok"
    (live_run,) = runs_of(repository, "running")[1]
    logged = [(m.step, m.value, m.timestamp) for m in client.get_metric_history(live_run.info.run_id, "stage2/loss")]
    assert logged == [(p.step, p.value, p.time_ms) for p in read_history(run.out / "record") if p.name == "loss"]
    assert (live_run.info.status, live_run.info.end_time) == ("FINISHED", record.finished)
    assert live_run.info.start_time == record.started


def test_an_experiment_in_a_copy_of_dvcs_is_followed_in_the_home_repository(repository, monkeypatch):
    """What lies in the copy itself goes with it."""
    copy = repository / ".dvc/tmp/exps/tmpxyz"
    monkeypatch.setenv("DVC_EXP_NAME", "dusky-moss")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "a" * 40)
    for root in (copy, repository):  # in the workspace an experiment's results are the present ones
        with finetune(root, "tried") as run:
            run.log({"loss": 1.0}, step=0)
        assert read_record(run.out / "record").live == "ok"
    assert not (copy / "mlruns").exists()
    marks = {
        run.info.run_name: [run.data.tags.get(tag) for tag in (view.EXPERIMENT, view.BASELINE)]
        for run in runs_of(repository, "tried")[1]
    }
    assert marks == {"clip_reid-0 (dusky-moss)": ["dusky-moss", "a" * 40], "clip_reid-0": [None, None]}


@pytest.mark.parametrize(("said", "status"), [("failed 1700000000000\n", "FAILED"), ("", "KILLED")])
def test_a_stage_that_fails_or_is_killed(repository, monkeypatch, said, status):
    monkeypatch.setenv("AUXREID_LIVE", "off")
    with finetune(repository, status.lower()) as run:
        run.log({"loss": 1.0}, step=0)
    reading, writing = os.pipe()
    os.write(writing, said.encode())
    os.close(writing)
    with os.fdopen(reading) as standard_input:
        monkeypatch.setattr(sys, "stdin", standard_input)
        live_writer.follow(repository, run.out / "record")
    (live_run,) = runs_of(repository, status.lower())[1]
    assert live_run.info.status == status
    assert live_run.data.metrics["stage2/loss"] == 1.0
    assert live_run.data.metrics["system/process_memory_megabytes"] > 0


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path):
    path = tmp_path / "history.jsonl"
    lines = "".join(point_line(Point("loss", step, 0.5, 1)) for step in range(2)).encode()
    path.write_bytes(lines[:-5])
    with path.open("rb") as history:
        assert [point.step for point in live_writer.new_points(history)] == [0]
        assert live_writer.new_points(history) == []
        path.write_bytes(lines)
        assert [point.step for point in live_writer.new_points(history)] == [1]


@pytest.mark.slow
def test_a_killed_stage_is_a_killed_run_and_leaves_no_process(repository):
    script = f"""
        import time
        from auxreid.plumbing.stage import live
        from auxreid.plumbing.stage.run import stage_run
        live.PATIENCE = 0.0
        with stage_run("finetune", "k", dataset="killed", params={{}}, root={str(repository / "results")!r}) as run:
            run.log({{"loss": 1.0}}, step=0)
            print(run._live._process.pid, flush=True)
            time.sleep(600)
    """
    source = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    process = subprocess.Popen(command, env=source, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()  # the banner
    writer = int(process.stdout.readline())
    wait_until(lambda: any(found.data.metrics for found in runs_of(repository, "killed")[1]), pause=0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: [found.info.status for found in runs_of(repository, "killed")[1]] == ["KILLED"], pause=0.1)
    wait_until(lambda: gone(writer))


def test_no_server_at_all(repository, monkeypatch, capfd):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: nobody listens
    with finetune(repository, "noserver") as run:
        for step in range(100):
            run.log({"loss": 1.0}, step=step)
    record = read_record(run.out / "record")
    assert record.status == "finished"
    assert record.live.startswith("failed: ")
    assert len(list(read_history(run.out / "record"))) == 100
    warnings = [line for line in capfd.readouterr().err.splitlines() if line]
    assert len(warnings) == 1
    assert warnings[0].startswith("live logging stops: ")


@pytest.mark.slow
def test_a_store_that_breaks_in_the_middle(repository, tmp_path):
    root = tmp_path
    (root / "mlruns").mkdir()
    database = root / "mlruns" / "mlflow.db"
    database.write_bytes((repository / "mlruns" / "mlflow.db").read_bytes())
    with finetune(root, "breaking") as run:
        run.log({"loss": 1.0}, step=0)
        wait_until(lambda: any(found.data.metrics for found in runs_of(root, "breaking")[1]), pause=0.1)
        database.write_bytes(b"not a database any more" * 1000)
        run.log({"loss": 0.5}, step=1)
        run._live._process.wait(300)
        run.log({"loss": 0.25}, step=2)
    record = read_record(run.out / "record")
    assert (record.status, record.live[:8]) == ("finished", "failed: ")
    assert [point.value for point in read_history(run.out / "record")] == [1.0, 0.5, 0.25]


def test_a_writer_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "GRACE_BOUNDS", (0.2, 0.2))
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time\ntime.sleep(600)\n")
    log = live.LiveLog(tmp_path, tmp_path)
    log._command = [sys.executable, str(hanging)]
    log.follow()
    assert log.finish("finished", 1) == "failed: MLflow had not taken the last points after 0 s"
    assert log._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("switch", ["off", "OFF"])
def test_switched_off(repository, monkeypatch, switch):
    monkeypatch.setenv("AUXREID_LIVE", switch)
    with finetune(repository, "off") as run:
        run.log({"loss": 1.0}, step=0)
        assert run._live._process is None
    assert read_record(run.out / "record").live == "off"


def test_a_short_stage_is_left_to_the_mirror_and_a_longer_one_is_followed_from_then_on(repository, monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 1000.0)
    with finetune(repository, "patience") as run:
        run.log({"loss": 1.0}, step=0)
        assert run._live._process is None
        monkeypatch.setattr(live, "PATIENCE", 0.0)
        run.log({"loss": 0.5}, step=1)
        writer = run._live._process
        run.log({"loss": 0.25}, step=2)
        assert writer is not None and run._live._process is writer
    (found,) = runs_of(repository, "patience")[1]
    history = open_store(repository).client.get_metric_history(found.info.run_id, view.curve_name("finetune", "loss"))
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 0.25)]


def test_a_stage_without_curves_starts_nothing(repository):
    with finetune(repository, "short") as run:
        run.summary({"mAP": 0.5})
        assert run._live._process is None
    assert read_record(run.out / "record").live == "not started"


def test_the_training_process_does_not_import_mlflow():
    script = "import sys, auxreid.plumbing.stage.run; print('mlflow' in sys.modules)"
    source = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    assert subprocess.check_output([sys.executable, "-c", script], env=source, text=True).strip() == "False"
