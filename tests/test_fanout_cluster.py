"""`auxreid fanout` on a real Ray cluster of two nodes: what is killed or lost, and what is run again for it."""

import os
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter

import pytest
import yaml
from clones import PEOPLE_ROWS, Clone, executed, git_clone
from ray_cluster import FanOut, two_nodes, wait_for
from small_study import SmallStudy

pytestmark = pytest.mark.slow
FAN_OUT = """
import sys
from auxreid.plumbing.fanout.cluster import Resources
from auxreid.plumbing.fanout.coordinator import fan_out
sys.exit(fan_out([], sys.argv[1], Resources(cpus=1, gpus=0)))
"""


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state) and not state.startswith("Z")


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """Rows one and two wait in `evaluate`, on different nodes: the worker of one is killed, the node of two is removed.

    Row broken fails by itself, and row after starts from it.
    """
    rows = {"one": None, "two": None, "broken": None, "after": "broken"}
    study = SmallStudy(tmp_path_factory.mktemp("lost") / "project", rows, waits=("evaluate@one-0", "evaluate@two-0"))
    study.clones = study.control / "clones"
    study.clones.mkdir()
    with two_nodes({**study.env, "TMPDIR": str(study.clones)}) as cluster:
        head = cluster.head_node.node_id[:6]
        run = FanOut(study.root, ["-c", FAN_OUT, cluster.address], study.env)
        waiting = ["evaluate@one-0", "evaluate@two-0"]
        places = {stage: run.started(stage) for stage in waiting}  # node and worker
        wait_for(lambda: {name for what, name, _ in study.log() if what == "start"} >= set(waiting), run)
        first = {name: pid for _, name, pid in study.log()}
        study.killed = next(stage for stage in waiting if places[stage][0] == head)
        study.homeless = next(stage for stage in waiting if places[stage][0] != head)
        os.kill(places[study.killed][1], signal.SIGKILL)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        wait_for(lambda: not any(alive(first[stage]) for stage in waiting), run)
        (study.control / "go").touch()
        study.code, study.output, study.counts = run.wait(), run.output, run.counts()
    return study


def test_a_lost_node_and_a_killed_worker_lose_no_finished_stage(lost):
    ends = Counter(name for what, name, _ in lost.log() if what == "end")
    expected = {"ingest@set"} | {f"{stage}@{row}-0" for stage in ("finetune", "evaluate") for row in ("one", "two")}
    assert ends == dict.fromkeys(expected, 1), lost.output


def test_what_was_broken_off_is_started_once_more_and_what_failed_by_itself_is_not(lost):
    starts = Counter(name for what, name, _ in lost.log() if what == "start")
    once = dict.fromkeys(["ingest@set", "finetune@one-0", "finetune@two-0", "finetune@broken-0"], 1)
    assert starts == once | {"evaluate@one-0": 2, "evaluate@two-0": 2}


def test_the_coordinator_has_all_results_in_one_lock_and_names_what_is_missing(lost):
    stale = lost.dvc("status", "--json")
    ran = {name for what, name, _ in lost.log() if what == "end"}
    assert lost.code == 1
    assert not any(f'"{name}"' in stale for name in ran), stale
    assert "failed: finetune@broken-0" in lost.output and "not run: finetune@after-0" in lost.output
    assert "this row is broken" in lost.output


def test_the_table_counts_the_executions(lost):
    for row in ("one", "two"):
        assert lost.counts[f"finetune@{row}-0"] == (1, 1, 0, 0)  # ran, restored, failed, broken off
        assert lost.counts[f"evaluate@{row}-0"] == (1, 0, 0, 1)
    assert lost.counts["finetune@broken-0"] == (0, 0, 1, 0)


def test_no_clone_is_left(lost, tmp_path_factory):
    import tempfile
    from pathlib import Path

    left = [
        path for path in Path(tempfile.gettempdir()).glob("auxreid-*-0-*") if "one" in path.name or "two" in path.name
    ]
    assert left == []


FORKED = """
import os, sys
script = sys.orig_argv[1:]
told = " ".join(script)
known = told.startswith("pipeline/evaluate.py ") and "pretrained" not in told
if known or (told.startswith(("pipeline/prompts.py ", "pipeline/finetune.py ")) and "twice" in told):
    os.execv({forking!r}, ["python", *script])
"""


@pytest.fixture(scope="module")
def forking(tmp_path_factory, stage_python):
    """A folder for PYTHONPATH with which a Python forks what runs a script that others run as processes of their own.

    The nodes' `python` is their own, whatever PATH says.
    """
    program = tmp_path_factory.mktemp("forking") / "sitecustomize.py"
    program.write_text(FORKED.format(forking=str(stage_python / "python")))
    return program.parent


@pytest.fixture(scope="module")
def miniature(tmp_path_factory, trained_people, forking):
    """The same miniature study, run by one `dvc repro` and by a fan-out of which a worker is killed in mid-training.

    The former's stages are forks of a process that has imported torch; of the latter's, each script is a process of its
    own at least once, and each training of which one is killed.
    """
    folder = tmp_path_factory.mktemp("miniature")
    serial = Clone(trained_people)
    serial.stages = executed(trained_people.with_suffix(".log").read_text())
    origin = git_clone(serial.root, folder / "origin")  # the study as it was committed, without results
    shutil.copytree(serial.root / "data", origin.root / "data")
    origin.dvc("commit", "-q", "-f", "data.dvc")
    origin.dvc("remote", "add", "-q", "--default", "team", str(folder / "remote"))
    origin.commit("A remote")
    origin.env["PYTHONPATH"] += f"{os.pathsep}{forking}"
    clones = folder / "clones"
    clones.mkdir()
    with two_nodes({**origin.env, "TMPDIR": str(clones)}) as cluster:
        command = ["-m", "auxreid.cli", "fanout", "--address", cluster.address, "--seeds", "0"]
        run = FanOut(origin.root, command, origin.env)
        training = wait_for(lambda: next(clones.glob("*/clone/results/finetune/*/record/record.json"), None), run)
        origin.killed = f"finetune@{training.parts[-3]}"
        os.kill(run.started(origin.killed)[1], signal.SIGKILL)
        origin.code, origin.output, origin.counts = run.wait(), run.output, run.counts()
    return origin, serial


def results(clone) -> dict[str, dict[str, str]]:
    """The outputs of every stage by dvc.lock, without the records, which hold times."""
    stages = yaml.safe_load((clone.root / "dvc.lock").read_text())["stages"]
    return {
        name: {out["path"]: out["md5"] for out in entry["outs"] if not out["path"].endswith("/record")}
        for name, entry in stages.items()
    }


def test_a_fan_out_gives_what_one_repro_gives(miniature):
    fanned, serial = miniature
    assert fanned.code == 0, fanned.output
    assert results(fanned) == results(serial)
    table = "results/compare/sample_people/table.csv"
    assert (fanned.root / table).read_bytes() == (serial.root / table).read_bytes()


def test_each_stage_ran_once_and_the_killed_one_was_broken_off_once(miniature):
    fanned, serial = miniature
    at_home = ("compare@", "sources")
    once = {name: (1, 0, 0, 0) for name in serial.stages if not name.startswith(at_home)}
    row = fanned.killed.removeprefix("finetune@sample_people-").removesuffix("-0")
    variant = yaml.safe_load((fanned.root / "params.yaml").read_text())["ablations"][row]["prompts"]
    before = f"prompts@sample_people-{variant}-0"  # a stage of the same task where no other row shares it
    restored = {before: (1, 1, 0, 0)} if fanned.counts.get(before) == (1, 1, 0, 0) else {}
    assert fanned.counts == once | restored | {fanned.killed: (1, 0, 0, 1)}, fanned.output


def test_nothing_is_left_to_do_and_the_runs_are_published(miniature):
    fanned, _ = miniature
    assert "up to date" in fanned.dvc("status")
    with sqlite3.connect(fanned.root / "mlruns/mlflow.db") as store:
        rows = {value for (value,) in store.execute("SELECT value FROM tags WHERE key = 'auxreid.ablation'")}
    assert rows == {*PEOPLE_ROWS, "untrained", "pretrained"}, fanned.output
