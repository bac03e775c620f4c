import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.stage.record import Point, check_name, flatten, parse_point, point_line, read_history, read_record
from auxreid.plumbing.stage.run import number, stage_run


@pytest.fixture(autouse=True)
def without_live(monkeypatch):
    monkeypatch.setenv("AUXREID_LIVE", "off")


def run(tmp_path, **given):
    return stage_run("pose", "sample", **{"dataset": "sample", "params": {}, "root": tmp_path / "results", **given})


def test_a_stage_leaves_what_it_was_told(tmp_path, capsys):
    with run(tmp_path, params={"recipes": {"lr": 0.1, "size": (4, 2)}, "flag": None}, seed=3) as stage:
        stage.log({"loss": np.float32(0.5), "lr": float("inf")}, step=0)
        stage.log({"loss": 0.25}, step=1)
        stage.summary({"PCK": np.float64(0.9)})
        stage.figure("overlays/first.png").write_bytes(b"picture")
        (stage.out / "hrnet.safetensors").write_bytes(b"weights")
        stage.artifact("hrnet.safetensors")
        assert stage.out == tmp_path / "results" / "pose" / "sample"
    folder = stage.out / "record"
    record = read_record(folder)
    assert record.params == {"recipes.lr": 0.1, "recipes.size": [4, 2], "flag": None}
    assert (record.status, record.seed, record.summary) == ("finished", 3, {"PCK": 0.9})
    assert (record.artifacts, record.live, record.attempt) == (["hrnet.safetensors"], "off", stage.attempt)
    assert record.started <= record.finished
    assert record.versions["numpy"] == np.__version__
    points = list(read_history(folder))
    assert [(p.name, p.step, p.value) for p in points] == [("loss", 0, 0.5), ("lr", 0, math.inf), ("loss", 1, 0.25)]
    assert (folder / "figures" / "overlays" / "first.png").read_bytes() == b"picture"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "== pose sample"
    assert printed[1].endswith(" s: PCK 0.9")


def test_an_exception_is_recorded_and_goes_on(tmp_path):
    with pytest.raises(ZeroDivisionError), run(tmp_path) as stage:
        stage.log({"loss": 1.0}, step=0)
        stage.log({"loss": 1 / 0}, step=1)
    assert read_record(stage.out / "record").status == "failed"
    assert len(list(read_history(stage.out / "record"))) == 1


def test_the_record_is_readable_while_the_stage_runs(tmp_path):
    with run(tmp_path) as stage:
        assert read_record(stage.out / "record").status == "running"
        stage.log({"loss": 1.0}, step=0)
        assert [point.value for point in read_history(stage.out / "record")] == [1.0]


def test_a_former_record_goes_and_other_outputs_stay(tmp_path):
    with run(tmp_path) as first:
        first.log({"loss": 1.0}, step=0)
        (first.out / "weights").write_bytes(b"1")
    with run(tmp_path) as second:
        assert (second.out / "weights").exists()
    assert list(read_history(second.out / "record")) == []
    assert first.attempt != second.attempt


@pytest.mark.parametrize("name", ["mAP@10", "", "/loss", "a//b", "a/../b", ".", "loss/", "ä", "x" * 201, 3])
def test_names_that_mlflow_would_refuse(name):
    with pytest.raises(DataError, match="metric name"):
        check_name(name, "metric")


@given(st.text("aZ9_.-/ @:\n\u00e4", max_size=12))
@settings(deadline=None)
def test_names_that_pass_are_names_that_mlflow_takes(name):
    try:
        check_name(name, "metric")
    except DataError:
        return
    _validate_metric_name(name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda stage: stage.log({"mAP@10": 1.0}, step=0), "mAP_10"),
        (lambda stage: stage.log({"loss": "low"}, step=0), "'low' is not a number"),
        (lambda stage: stage.log({"loss": 1.0}, step=0.5), "step 0.5"),
        (lambda stage: stage.summary({"mAP": math.nan}), "'mAP' of the summary is nan"),
        (lambda stage: stage.figure("../out.png"), "figure name"),
        (lambda stage: stage.artifact("/etc/hosts"), "artifact name"),
    ],
)
def test_wrong_use_is_named(tmp_path, wrong, message):
    with pytest.raises(DataError, match=message), run(tmp_path) as stage:
        wrong(stage)


def test_an_artifact_that_was_not_written_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"not written: encoder\.safetensors"), run(tmp_path) as stage:
        stage.artifact("encoder.safetensors")
    assert read_record(stage.out / "record").status == "failed"


@pytest.mark.parametrize("key", ["a/b", "..", ""])
def test_a_key_is_one_folder(tmp_path, key):
    with pytest.raises(DataError, match="key name"), stage_run("pose", key, dataset="d", params={}, root=tmp_path):
        pass


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": {}}, "e": []}) == {"a.b.c": 1, "a.d": {}, "e": []}
    with pytest.raises(DataError, match=r"'a\.b' is given twice"):
        flatten({"a": {"b": 1}, "a.b": 2})
    with pytest.raises(DataError, match=r"'a\.b': .* cannot be written as JSON"):
        flatten({"a": {"b": object()}})


@settings(deadline=None)
@given(st.floats(), st.integers(0, 10**9), st.integers(0, 2**43))
def test_a_point_survives_its_line(value, step, time_ms):
    point = Point("train/loss", step, value, time_ms)
    line = point_line(point)
    assert json.loads(line, parse_constant=pytest.fail)["step"] == step  # no NaN that other readers would stumble over
    assert repr(parse_point(line)) == repr(point)


def test_broken_records_are_named(tmp_path):
    with pytest.raises(DataError, match=r"record\.json: there is no such file"):
        read_record(tmp_path)
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_record(tmp_path)
    (tmp_path / "record.json").write_text('{"stage": "pose"}')
    with pytest.raises(DataError, match=r"fields are \['stage'\], required are"):
        read_record(tmp_path)
    (tmp_path / "history.jsonl").write_text('{"name": "a", "step": 0, "value": 1, "time_ms": 1}\n{"name": "a"}\n')
    with pytest.raises(DataError, match=r"history\.jsonl, line 2"):
        list(read_history(tmp_path))


def test_one_setting_of_two_rows_has_one_name_in_mlflow():
    from auxreid.plumbing.mirror.view import param_texts

    def shown(row: str, recipe: str) -> dict[str, str]:
        params = {f"ablations.{row}.prompts": None, f"recipes.{recipe}.finetune.lr": 0.1, "prompts_key": "k"}
        return param_texts(params)[0]

    settings = {"ablation.prompts": "null", "recipe.finetune.lr": "0.1", "prompts_key": "k"}
    assert shown("clip_reid", "rn50") == settings | {"ablation": "clip_reid", "recipe": "rn50"}
    assert shown("visual_only", "lite0") == settings | {"ablation": "visual_only", "recipe": "lite0"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (300.0, "300"),
        (12936.0, "12936"),
        (1234567.8, "1234568"),
        (0.0, "0"),
        (-0.25, "-0.25"),
        (0.123456, "0.1235"),
        (0.00001234, "0.00001234"),
        (44.128, "44.13"),
        (1e-12, "0.000000000001"),
    ],
)
def test_numbers_of_a_line_have_no_exponent_and_no_false_point(value, told):
    assert number(value) == told


def test_the_last_line_of_a_stage_begins_with_what_matters(tmp_path, capsys):
    with run(tmp_path) as stage:
        stage.summary({"queries": 300, "mINP": 0.1, "reranked_mAP": 0.3, "a.CMC_1": 0.5, "b.mAP": 0.21, "a.mAP": 0.2})
        stage.summary({f"CMC_{k}": 0.6 for k in range(2, 7)})
    line = capsys.readouterr().out.splitlines()[-1]
    values = "b.mAP 0.21, a.mAP 0.2, a.CMC_1 0.5, queries 300, mINP 0.1, reranked_mAP 0.3, CMC_2 0.6, CMC_3 0.6"
    values += " and 3 more"
    assert line.partition(" s: ")[2] == values
