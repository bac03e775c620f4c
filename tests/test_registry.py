from pathlib import Path

import mlflow.artifacts
import pytest
import yaml
from params import CONFIG, ROOT
from test_mirror import Stopped, StoppingClient
from tracking_workspace import all_runs, only

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import publish as mirror
from auxreid.plumbing.mirror import registry
from auxreid.plumbing.mirror.publish import format_report, publish
from auxreid.plumbing.mirror.registry import choose, is_candidate, register_best
from auxreid.plumbing.mirror.result import gather
from auxreid.plumbing.mirror.store import Store, open_store, tracking_uri
from auxreid.plumbing.settings.study import RegistryConfig

RULE = RegistryConfig()
NAME = "sample-encoder"


def versions(work, name=NAME):
    """Version, its run's name, and the aliases that point at it; the first version first."""
    client = open_store(work.root).client
    aliases = client.get_registered_model(name).aliases
    found = sorted(client.search_model_versions(f"name='{name}'"), key=lambda one: int(one.version))
    return [
        (
            int(one.version),
            client.get_run(one.run_id).info.run_name,
            [alias for alias, at in aliases.items() if int(at) == int(one.version)],
        )
        for one in found
    ]


def test_two_machines_that_register_one_encoder_at_the_same_moment_agree_on_its_version(work, clone, monkeypatch):
    """The other machine registers it after we have seen that no version has it."""
    work.row("clip_reid")
    publish(work.root)
    other = clone()
    uri = tracking_uri(work.root)
    first_version = registry.first_version

    def late(*arguments):
        monkeypatch.setattr(registry, "first_version", first_version)
        assert "version 1 (new)" in publish(other.root, uri, RULE).registered[0]
        return None

    monkeypatch.setattr(registry, "first_version", late)
    publish(work.root, registry=RULE)
    assert versions(work) == [(1, "clip_reid-0", ["best"]), (2, "clip_reid-0", [])]
    for root in (other.root, work.root):
        assert "version 1 (unchanged)" in publish(root, uri, RULE).registered[0]


def chosen(work):
    results, _ = gather(work.root)
    best, mean = choose([result for result in results if is_candidate(result, RULE)], RULE.metric)
    return best.main.record.ablation, best.main.record.seed, mean


def test_the_best_encoder_is_registered_and_can_be_fetched_by_its_alias(work, tmp_path, monkeypatch):
    work.row("clip_reid", lr=0.1)
    work.row("visual_only", lr=0.3)
    work.stage("pose", "sample", artifacts=["hrnet.safetensors"], summary={"mAP": 1.0})  # no row
    work.stage("evaluate", "sample-untrained-0", ablation="untrained", seed=0, summary={"mAP": 1.0})  # not trained
    report = publish(work.root, registry=RULE)
    assert versions(work) == [(1, "visual_only-0", ["best"])]
    line = "sample-encoder@best is version 1 (new): visual_only-0, mAP 0.8, 0.8 in the mean over the row's seeds"
    assert report.registered == [line]
    assert f"registry: {line}" in format_report(report)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(work.root))
    fetched = mlflow.artifacts.download_artifacts("models:/sample-encoder@best", dst_path=tmp_path / "fetched")
    assert (Path(fetched) / "encoder.safetensors").read_bytes() == b"encoder.safetensors made with 0.3"
    version = open_store(work.root).client.get_model_version(NAME, "1")
    run = only(all_runs(work)[1], "visual_only-0")
    assert version.run_id == run.info.run_id
    assert version.tags == {
        "auxreid.result": run.data.tags["auxreid.result"],
        "auxreid.ablation": "visual_only",
        "auxreid.seed": "0",
        "auxreid.mAP": "0.8",
    }


def test_equal_results_add_no_version_a_better_one_does_and_an_old_one_returns(work):
    work.row("clip_reid", lr=0.1)
    publish(work.root, registry=RULE)
    assert "(unchanged)" in publish(work.root, registry=RULE).registered[0]
    assert versions(work) == [(1, "clip_reid-0", ["best"])]
    work.row("visual_only", lr=0.3)
    assert "(new)" in publish(work.root, registry=RULE).registered[0]
    assert versions(work) == [(1, "clip_reid-0", []), (2, "visual_only-0", ["best"])]
    work.row("visual_only", lr=0.05)  # edited: worse than the other row, whose version there is
    assert "(alias moved)" in publish(work.root, registry=RULE).registered[0]
    assert versions(work) == [(1, "clip_reid-0", ["best"]), (2, "visual_only-0", [])]
    work.row("visual_only", lr=0.3)  # and back
    publish(work.root, registry=RULE)
    assert versions(work) == [(1, "clip_reid-0", []), (2, "visual_only-0", ["best"])]


def test_the_mean_over_seeds_chooses_the_row_and_the_best_seed_is_taken(work):
    for seed, value in enumerate((0.6, 0.7, 0.65)):
        work.row("clip_reid", seed=seed, mAP=value)
    for seed, value in enumerate((0.9, 0.2, 0.3)):  # one lucky seed
        work.row("visual_only", seed=seed, mAP=value)
    assert chosen(work) == ("clip_reid", 1, pytest.approx(0.65))


def test_equal_figures_are_told_apart_by_name_then_seed(work):
    for row in ("visual_only", "clip_reid"):
        for seed in (1, 0):
            work.row(row, seed=seed, mAP=0.5)
    assert chosen(work) == ("clip_reid", 0, 0.5)


def test_the_rule_can_name_rows_metric_alias_and_name(work):
    work.row("clip_reid", lr=0.1)
    work.row("visual_only", lr=0.3)
    rule = RegistryConfig(rows=["clip_reid"], alias="production", name="reid-{dataset}")
    publish(work.root, registry=rule)
    assert versions(work, "reid-sample") == [(1, "clip_reid-0", ["production"])]
    with pytest.raises(DataError, match=r"registry\.metric = 'CMC_1': the evaluation of sample/.* has mAP"):
        publish(work.root, registry=RegistryConfig(metric="CMC_1"))
    assert publish(work.root, registry=RegistryConfig(rows=["centroids"])).registered == []
    assert publish(work.root).registered == []


def test_while_a_result_is_missing_the_alias_stays(work):
    work.row("clip_reid", lr=0.1)
    work.row("visual_only", lr=0.3)
    encoder = work.root / "results" / "finetune" / "sample-visual_only-0" / "encoder.safetensors"
    content = encoder.read_bytes()
    encoder.unlink()
    (line,) = publish(work.root, registry=RULE).registered
    assert line.endswith("stays as it is while results are missing: evaluate@sample-visual_only-0")
    encoder.write_bytes(content)
    publish(work.root, registry=RULE)
    assert versions(work) == [(1, "visual_only-0", ["best"])]


def test_a_result_that_another_data_set_misses_holds_nothing_back():
    """The other's name begins with this one's."""
    missing = [("evaluate@sample-b-clip_reid-0", "its record is not there")]
    assert register_best(None, RULE, "sample", [], missing, {}) == []
    (line,) = register_best(None, RULE, "sample-b", [], missing, {})
    assert line.startswith("sample-b-encoder@best stays as it is")


def test_a_publish_that_stops_while_it_registers_is_completed_by_the_next(work, clone, monkeypatch):
    """Counted from the last calls backwards: those that the registry makes."""
    work.row()
    total = 10_000
    with monkeypatch.context() as patch:
        client = counted(patch, work, total)
        publish(work.root, registry=RULE)
    calls = total - client.left
    wanted = versions(work)
    for left_out in range(1, 6):
        other = clone()
        with monkeypatch.context() as patch:
            counted(patch, other, calls - left_out)
            with pytest.raises(Stopped):
                publish(other.root, registry=RULE)
        publish(other.root, registry=RULE)
        assert versions(other) == wanted, f"stopped {left_out} calls before the end"


def counted(patch, work, calls):
    client = StoppingClient(open_store(work.root).client, calls)
    patch.setattr(mirror, "open_store", lambda root, uri: Store(client, tracking_uri(root, uri)))
    return client


def test_no_stage_depends_on_the_rule():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    params = [name for stage in stages for name in stage.get("do", stage).get("params", [])]
    assert params
    assert not [name for name in params if "registry" in str(name)]
    assert CONFIG.registry == RULE
