"""The comparison of two MLflow stores finds each kind of difference that is planted, and nothing else."""

from pathlib import Path

import pytest
from compare_stores import differences
from tracking_workspace import START, Workspace

from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.stage.record import Point


@pytest.fixture
def stores(tmp_path, empty_database, monkeypatch):
    """Two workspaces with the same row published, and the address of each store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = []
    for name in ("a", "b"):
        work = Workspace(tmp_path / name, empty_database)
        work.row()
        made.append((work, publish(work.root).uri))
    return made


def run_of(uri, name):
    store = open_store(Path(), uri)
    (run,) = [run for run in store.runs(store.experiment("sample")) if run.info.run_name == name]
    return store, run.info.run_id


def test_equal_stores_have_no_differences(stores):
    (_, a), (_, b) = stores
    assert a != b and differences(a, b) == []


def plant_point(store, run_id):
    store.log_points(run_id, [Point("stage1/loss", 0, 1.0, START + 1)])  # equal but for its time


PLANTED = {
    "metric stage1/loss": plant_point,
    "param extra": lambda store, run_id: store.log_params(run_id, {"extra": "1"}),
    "tag auxreid.seed": lambda store, run_id: store.client.set_tag(run_id, "auxreid.seed", "1"),
    "status": lambda store, run_id: store.client.set_terminated(run_id, "FAILED", end_time=START + 60_000),
    "finished": lambda store, run_id: store.client.set_terminated(run_id, "FINISHED", end_time=START),
    "artifact figures/projector.png": lambda store, run_id: store.client.log_text(
        run_id, "other", "figures/projector.png"
    ),
}


@pytest.mark.parametrize("aspect", PLANTED)
def test_a_planted_difference_is_the_one_that_is_found(stores, aspect):
    (_, a), (_, b) = stores
    PLANTED[aspect](*run_of(b, "clip_reid-0"))
    (found,) = differences(a, b)
    assert found.startswith("sample/clip_reid-0 [") and f"]: {aspect}: " in found


def test_a_run_more_and_a_run_twice(stores):
    (_, a), (work, b) = stores
    work.row("visual_only")
    publish(work.root)
    (found,) = differences(a, b)
    assert found.startswith("sample/visual_only-0 [") and found.endswith(f"only in {b}")
    store, run_id = run_of(b, "clip_reid-0")
    tags = store.client.get_run(run_id).data.tags
    store.client.create_run(store.experiment("sample"), tags=tags, run_name="clip_reid-0")
    assert [line for line in differences(a, b) if "clip_reid-0" in line and "(2): only in" in line]


def test_a_run_that_was_superseded_in_one_store_alone(stores):
    (first, a), (second, b) = stores
    first.row(lr=0.2)
    publish(first.root)
    assert differences(a, b)
    second.row(lr=0.2)
    publish(second.root)
    assert differences(a, b) == []  # the ids of the successors differ, and mean the same run
