"""The rows of the comparison in MLflow: their runs and the views of them, which tests/test_ui.py opens in a browser."""

import json

import pytest
from test_mirror import Stopped
from test_registry import counted
from tracking_workspace import all_runs, history, only

from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.store import Store, open_store
from auxreid.plumbing.mirror.ui import view_links

REFERENCE = {
    "form": "thesis",
    "seeds": 2,
    "mAP": 60.0,
    "mAP_std": 1.0,
    "mAP_low": 57.5,
    "mAP_high": 62.5,
    "CMC_1": 50.0,
}
BETTER = {**REFERENCE, "form": "corrected", "mAP": 70.0, "mAP_low": 65.0, "mAP_high": 75.0, "p_holm": 0.01234}
BETTER |= {"mAP_minus_clip_reid": 10.0, "mAP_minus_clip_reid_low": -1.0, "mAP_minus_clip_reid_high": 21.0}
UNTRAINED = {"seeds": 1, "mAP": 3.0}
NOT_APPLICABLE = {"form": "thesis", "seeds": 0, "remark": "no attributes"}


def study(work, better=BETTER):
    for seed in (0, 1):
        work.row("clip_reid", seed=seed, mAP=0.6)
        work.row("visual_only", seed=seed, mAP=0.7)
    work.stage("evaluate", "sample-untrained-0", ablation="untrained", seed=0, summary={"mAP": 0.03})
    work.compare(untrained=UNTRAINED, clip_reid=REFERENCE, visual_only=better, centroids=NOT_APPLICABLE)


def row_runs(work):
    """The runs of rows that are not superseded, by row."""
    return {
        run.data.tags[view.ROW]: run
        for run in all_runs(work)[1]
        if view.ROW in run.data.tags and view.SUPERSEDED not in run.data.tags
    }


def experiment(work):
    return open_store(work.root).client.get_experiment_by_name("sample")


def test_a_row_is_a_run_with_the_figures_of_the_table_above_the_runs_of_its_seeds(work):
    study(work)
    report = publish(work.root)
    assert {"sample/untrained", "sample/clip_reid", "sample/visual_only"} < set(report.created)
    client, runs = all_runs(work)
    rows = row_runs(work)
    assert set(rows) == {"untrained", "clip_reid", "visual_only"}
    row = rows["visual_only"]
    assert history(client, row, "mAP")[0][1] == 0.7
    assert row.data.metrics == {"mAP": 0.7, "mAP_std": 0.01, "CMC_1": 0.5}
    found = {name: row.data.tags.get(name) for name in ("form", "seeds", "mAP interval", "mAP - clip_reid", "p Holm")}
    assert list(found.values()) == ["corrected", "2", "[0.650, 0.750]", "+0.100 [-0.010, +0.210]", "0.012"]
    assert (row.info.status, row.data.tags[view.STATE]) == ("FINISHED", "complete")
    assert "mAP - clip_reid" not in rows["clip_reid"].data.tags
    for name in ("visual_only-0", "visual_only-1"):
        assert only(runs, name).data.tags[view.PARENT] == row.info.run_id
    assert only(runs, "untrained-0").data.tags[view.PARENT] == rows["untrained"].info.run_id


def test_only_a_line_that_changed_gets_a_new_run(work):
    study(work)
    publish(work.root)
    before = row_runs(work)
    study(work, better={**BETTER, "mAP": 71.0})
    report = publish(work.root)
    after = row_runs(work)
    assert after["clip_reid"].info.run_id == before["clip_reid"].info.run_id
    new, old = after["visual_only"].info.run_id, before["visual_only"].info.run_id
    assert new != old
    assert f"sample/visual_only {old}" in report.superseded
    _, runs = all_runs(work)
    assert next(run for run in runs if run.info.run_id == old).data.tags[view.SUPERSEDED] == new
    study(work)  # and back
    assert "sample/visual_only" in publish(work.root).restored
    assert row_runs(work)["visual_only"].info.run_id == old
    work.compare(clip_reid=REFERENCE)
    publish(work.root)
    assert set(row_runs(work)) == {"clip_reid"}


def test_a_row_that_a_killed_publish_left_half_done_is_completed(work):
    study(work)
    publish(work.root)
    run = row_runs(work)["clip_reid"]
    open_store(work.root).client.set_tag(run.info.run_id, view.STATE, "publishing")
    assert publish(work.root).completed == ["sample/clip_reid"]


def nested(work):
    """Rows with what they show, each with the names of the runs below it."""
    _, runs = all_runs(work)
    return {
        row: (
            run.data.metrics,
            {tag: text for tag, text in run.data.tags.items() if not tag.startswith("mlflow.")},
            sorted(one.info.run_name for one in runs if one.data.tags.get(view.PARENT) == run.info.run_id),
        )
        for row, run in row_runs(work).items()
    }


def test_a_publish_that_stops_among_the_rows_is_completed_by_the_next(work, clone, monkeypatch):
    study(work)
    total = 10_000
    with monkeypatch.context() as patch:
        client = counted(patch, work, total)
        publish(work.root)
    calls, wanted = total - client.left, nested(work)
    assert wanted["visual_only"][2] == ["visual_only-0", "visual_only-1"]
    for left_out in range(1, 26, 3):
        other = clone()
        with monkeypatch.context() as patch:
            counted(patch, other, calls - left_out)
            with pytest.raises(Stopped):
                publish(other.root)
        publish(other.root)
        assert nested(other) == wanted, f"stopped {left_out} calls before the end"
        assert experiment(other).tags["mlflow.experimentKind"] == "custom_model_development"


def test_an_experiment_is_tagged_for_its_views_and_on_an_unchanged_store_nothing_is_written(work, monkeypatch):
    study(work)
    publish(work.root)
    tags = experiment(work).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    saved = json.loads(tags["mlflow.sharedViewState.table"])
    state = json.loads(saved["state"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`mAP`", False)
    assert "metrics.`CMC_1`" in state["selectedColumns"]
    for key in ("table", "charts"):
        assert f"viewStateShareKey={key}" in tags["mlflow.note.content"]
        assert any(f"viewStateShareKey={key}" in line for line in view_links(open_store(work.root), "http://here"))

    def refused(*arguments, **named):
        raise AssertionError(f"written: {arguments} {named}")

    for name in ("set_tags", "log_batch", "log_points", "log_params"):
        monkeypatch.setattr(Store, name, refused)
    monkeypatch.setattr("mlflow.MlflowClient.set_experiment_tag", refused)
    monkeypatch.setattr("mlflow.MlflowClient.create_run", refused)
    assert publish(work.root).created == []


def test_an_experiment_from_before_gets_its_views_and_keeps_the_text_of_its_user(work):
    study(work)
    publish(work.root)
    client, found = open_store(work.root).client, experiment(work)
    for tag in found.tags:
        client.delete_experiment_tag(found.experiment_id, tag)
    client.set_experiment_tag(found.experiment_id, view.NOTE, "Mine.")
    publish(work.root)
    tags = experiment(work).tags
    assert tags[view.NOTE] == "Mine."
    assert "mlflow.sharedViewState.charts" in tags


def test_without_a_comparison_the_plain_table_is_linked(work):
    work.row()
    publish(work.root)
    assert row_runs(work) == {}
    (line,) = view_links(open_store(work.root), "http://here")
    assert line.startswith("sample: runs: http://here/#/experiments/1/runs?workflowType=machine_learning&searchFilter=")
