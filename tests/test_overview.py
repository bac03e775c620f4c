import os
import shutil
import subprocess
import sys

import pytest
from params import ROOT
from tracking_workspace import START, all_runs, only

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.overview import overview
from auxreid.plumbing.mirror.publish import format_report, publish
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.stage.record import read_record

ROW = ("finetune@sample-clip_reid-0", "evaluate@sample-clip_reid-0", "prompts@sample-learned-0")


def by_name(lines):
    return {(line.name, line.stages): line.standing for line in lines}


def live_run(work, status=None):
    store = open_store(work.root)
    record = read_record(work.root / "results" / "finetune" / "sample-clip_reid-0" / "record")
    tags = {**view.tags(record), view.STATE: "live"}
    experiment = store.experiment("sample")
    run = store.client.create_run(experiment, start_time=START, tags=tags, run_name=view.run_name(record))
    if status:
        store.client.set_terminated(run.info.run_id, status)
    return run.info.run_id


def test_results_with_and_without_a_run(work):
    work.row()
    assert set(by_name(overview(work.root)).values()) == {"no run: run `auxreid publish`"}
    live = live_run(work)
    lines = overview(work.root)
    assert by_name(lines)["clip_reid-0", ROW] == "live run only: run `auxreid publish`"
    assert [line.run_id for line in lines if line.stages == ROW] == [live]
    publish(work.root)
    lines = overview(work.root)
    assert {line.standing for line in lines} == {"published"}
    runs = all_runs(work)[1]
    assert {line.run_id for line in lines} == {run.info.run_id for run in runs}
    assert [line.stages for line in lines if line.run_id == only(runs, "clip_reid-0").info.run_id] == [ROW]


def test_runs_without_a_result_say_why_they_are_there(work):
    work.row()
    work.stage("pose", "sample")
    publish(work.root)
    client, runs = all_runs(work)
    old = only(runs, "clip_reid-0").info.run_id
    work.row(lr=0.2)
    publish(work.root)
    rows = [run.info.run_id for run in all_runs(work)[1] if run.info.run_name == "clip_reid-0"]
    (new,) = set(rows) - {old}
    work.row(lr=0.3)
    failed, running = live_run(work, "FAILED"), live_run(work)
    client.set_tag(failed, view.ATTEMPT, "another")
    work.row(lr=0.2)
    del work.lock["pose@sample"]
    work.write_lock()
    lines = {line.run_id: line for line in overview(work.root) if line.run_id}
    assert lines[new].standing == "published"
    assert lines[old].standing == f"superseded by {new}"
    assert lines[failed].standing == "live run: failed"
    assert lines[running].standing == "live run: running"
    (orphan,) = [line for line in lines.values() if line.name == "pose sample"]
    assert orphan.standing == "orphan: dvc.lock has no such result"
    assert not any(lines[run_id].stages for run_id in (old, failed, running, orphan.run_id))


def test_a_result_that_is_not_here_is_no_orphan(work):
    work.row()
    publish(work.root)
    encoder = work.root / "results" / "finetune" / "sample-clip_reid-0" / "encoder.safetensors"
    encoder.unlink()
    lines = overview(work.root)
    (row,) = [line for line in lines if line.name == "clip_reid-0"]
    assert row.standing == "its result is not in the workspace"
    (left_out,) = [line for line in lines if line.stages == ("evaluate@sample-clip_reid-0",)]
    assert "encoder.safetensors is not here" in left_out.standing


def test_other_peoples_runs_are_not_ours(work):
    work.row()
    publish(work.root)
    store = open_store(work.root)
    store.client.create_run(store.experiment("sample"))
    store.client.create_run(store.experiment("elsewhere"))
    assert {line.standing for line in overview(work.root)} == {"published"}


def test_what_a_clone_never_had_is_one_line(work):
    """Own data on a clone: dvc.lock names results of others, of which DVC's cache here has nothing."""
    for name in ("one", "two", "three"):
        work.stage("pose", name)
        shutil.rmtree(work.root / "results/pose" / name)
    work.stage("pose", "cached")
    md5 = work.lock["pose@cached"]["outs"][0]["md5"]
    (work.root / ".dvc/cache/files/md5" / md5[:2]).mkdir(parents=True)
    (work.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).touch()
    shutil.rmtree(work.root / "results/pose/cached")
    work.stage("pose", "own")
    never = "left out: 3 results of dvc.lock were never here; `dvc pull` brings those that were pushed"
    lines = format_report(publish(work.root)).splitlines()
    assert [line.strip() for line in lines[2:]] == [
        f"left out: pose@cached: {work.root}/results/pose/cached/record is not here; "
        "run `dvc pull pose@cached` or `dvc checkout pose@cached`",
        never,
    ]
    assert [line.standing for line in overview(work.root) if not line.run_id][1:] == [never]
    ended = command(work, "-m", "auxreid.cli", "runs")
    assert ended.stdout.splitlines()[-1] == "3 lines: 4 results without a run, 0 runs without a result"


def test_a_store_that_does_not_answer_is_named(work):
    work.row()
    with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:9: MLflow does not answer"):
        overview(work.root, "http://127.0.0.1:9")


def command(work, *arguments, **environment):
    source = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    line = [sys.executable, *arguments]
    return subprocess.run(line, cwd=work.root, env=source, capture_output=True, text=True, check=False)


def test_the_command_prints_whole_ids_and_needs_no_part_of_the_server(work):
    work.row()
    publish(work.root)
    script = "import sys, auxreid.cli as c; c.runs(); print('server' if 'mlflow.server' in sys.modules else 'client')"
    ended = command(work, "-c", script)
    assert ended.returncode == 0, ended.stderr
    *table, counts, imported = ended.stdout.splitlines()
    (line,) = [line for line in table if "clip_reid-0" in line and "finetune@" in line]
    assert line.split()[:4] == [
        "sample",
        "clip_reid-0",
        only(all_runs(work)[1], "clip_reid-0").info.run_id,
        "published",
    ]
    assert counts == "2 lines: 0 results without a run, 0 runs without a result"
    assert imported == "client"


def test_the_command_without_a_server_is_one_line_and_exit_code_1(work):
    work.row()
    ended = command(work, "-m", "auxreid.cli", "runs", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = [line for line in ended.stderr.splitlines() if "WARNING" not in line]
    assert line.startswith("error: http://127.0.0.1:9: MLflow does not answer (")
