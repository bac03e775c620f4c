"""`auxreid fanout` on a real Ray cluster of two nodes: what is killed or lost, and what is run again for it."""

import os
import signal
import subprocess
from collections import Counter

import pytest
from ray_cluster import FanOut, two_nodes, wait_for
from small_study import SmallStudy

pytestmark = pytest.mark.slow
FAN_OUT = """
import sys
from auxreid.fanout.cluster import Resources
from auxreid.fanout.coordinator import fan_out
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
        places = {stage: run.started(stage) for stage in waiting}
        wait_for(lambda: {name for what, name, _ in study.log() if what == "start"} >= set(waiting), run)
        first = {name: pid for _, name, pid in study.log()}
        study.killed = next(stage for stage in waiting if places[stage][0] == head)
        study.homeless = next(stage for stage in waiting if places[stage][0] != head)
        os.kill(places[study.killed][1], signal.SIGKILL)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        wait_for(lambda: not any(alive(first[stage]) for stage in waiting), run)
        (study.control / "go").touch()
        study.code, study.output = run.wait(), run.output
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
    lines = {
        line.split("│")[1].strip(): line.split("│")[3:7] for line in lost.output.splitlines() if line.startswith("│")
    }
    counts = {stage: tuple(int(cell.strip() or 0) for cell in cells) for stage, cells in lines.items()}
    for row in ("one", "two"):
        assert counts[f"finetune@{row}-0"] == (1, 1, 0, 0)  # ran, restored, failed, broken off
        assert counts[f"evaluate@{row}-0"] == (1, 0, 0, 1)
    assert counts["finetune@broken-0"] == (0, 0, 1, 0)


def test_no_clone_is_left(lost, tmp_path_factory):
    import tempfile
    from pathlib import Path

    left = [
        path for path in Path(tempfile.gettempdir()).glob("auxreid-*-0-*") if "one" in path.name or "two" in path.name
    ]
    assert left == []
