"""Attributes and keypoints that another data set's models predict: the graph, what is refused, and the marks of it."""

from pathlib import Path

import pytest
import yaml
from clones import copy_project
from dvc.repo import Repo
from ideas import HEADS, Posed, with_idea
from params import ROOT, new_row, raw_params
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.applicability import applicable_rows, not_applicable
from auxreid.plumbing.graph.borrowed import ingested_datasets, prediction_lines, row_predictions
from auxreid.plumbing.graph.study_files import missing_files
from auxreid.plumbing.graph.table import build_graph, write_graph
from auxreid.plumbing.mirror.rows import Row
from auxreid.plumbing.settings.load import parse_config

LENT = "results/labels/prid2011/labels.parquet"
NOTHING = "pipeline/nothing/labels.txt"
ROWS = set(raw_params()["ablations"])


def classifier() -> dict:
    return raw_params()["recipes"]["dogs"]["attributes"]


@pytest.fixture
def raw() -> dict:
    """PRID2011 on lite0, which fits HRNet and pre-trains a CLIP; attributes and keypoints are Market-1501's guesses."""
    raw = raw_params()
    raw["study"] |= {"datasets": ["prid2011"], "rows": ["clip_reid", "attribute_prompts_corrected"]}
    raw["recipes"]["people_attributes"] = {"precision": "32-true", "attributes": classifier()}
    raw["datasets"]["market1501"]["recipe"] = "people_attributes"
    raw["datasets"]["prid2011"] |= {"recipe": "lite0", "attributes": {"predicted_by": "market1501"}}
    return raw


def with_keypoints(raw: dict) -> dict:
    """The same, with keypoints by the HRNet of the sample's people."""
    raw["datasets"]["prid2011"]["keypoints"] = {"predicted_by": "sample_people"}
    raw["study"]["rows"] += ["keypoints_raw_corrected", "hrnet_mean_norm"]
    return raw


# the graph


def test_another_data_set_that_is_not_in_the_study_is_ingested_and_its_model_trained_and_no_more(raw):
    config = parse_config(raw)
    graph = build_graph(config)
    assert ingested_datasets(config) == tuple(graph["ingest"]) == ("prid2011", "market1501")
    assert (
        list(graph["attributes"]) == ["market1501"]
        and graph["attributes"]["market1501"]["recipe"] == "people_attributes"
    )
    assert graph["labels"] == {
        "prid2011": {
            "dataset": "prid2011",
            "model_of": "market1501",
            "recipe": "people_attributes",
            "predicted": {"attributes": "market1501"},
        }
    }
    for stage, keys in graph.items():
        others = {body["dataset"] for body in keys.values()} - {"prid2011"}
        assert others == ({"market1501"} if stage in ("ingest", "attributes") else set()), stage


def test_rows_of_attributes_apply_and_read_the_labels_and_the_others_do_not(raw):
    raw["study"]["rows"] += ["attribute_smoothing_both_corrected", "visual_only_corrected"]
    config = parse_config(raw)
    assert not_applicable(config, "prid2011") == {}
    graph = build_graph(config)
    assert {key: body["labels"] for key, body in graph["finetune"].items()} == {
        "prid2011-clip_reid-0": NOTHING,
        "prid2011-visual_only_corrected-0": NOTHING,
        "prid2011-attribute_prompts_corrected-0": NOTHING,  # its sentences are of stage 1
        "prid2011-attribute_smoothing_both_corrected-0": LENT,
    }
    assert {body["variant"]: body["labels"] for body in graph["prompts"].values()} == {
        "learned": NOTHING,
        "attribute_sentences": LENT,
        config.ablations["attribute_smoothing_both_corrected"].prompts: LENT,
    }
    assert graph["pretrain"]["prid2011-0"]["labels"] == LENT  # captions
    assert (ROOT / NOTHING).is_file()


def test_captions_of_a_data_set_whose_words_are_predicted(raw):
    """Nothing of it is in the study but its pictures and what the model says of them."""
    raw["datasets"]["own"] = raw["datasets"]["prid2011"] | {"folder": "raw/own", "attributes": None}
    raw["recipes"]["lite0"]["pretrain"]["captions_from"] = "prid2011"
    raw["study"] |= {"datasets": ["own"], "rows": ["clip_reid"]}
    config = parse_config(raw)
    graph = build_graph(config)
    assert list(graph["ingest"]) == ["own", "prid2011", "market1501"] and list(graph["labels"]) == ["prid2011"]
    start = graph["pretrain"]["own-0"]
    assert (start["captions_of"], start["labels"]) == ("prid2011", LENT)
    assert row_predictions(config, "own", "clip_reid") == {"captions": "market1501"}
    assert row_predictions(config, "own", "image_weights") == {}


def test_keypoints_come_from_the_other_hrnet_and_none_is_fitted_on_the_data_set(raw):
    graph = build_graph(parse_config(with_keypoints(raw)))
    assert list(graph["pose"]) == ["sample_people"] and graph["pose"]["sample_people"]["recipe"] == "sample_people"
    assert graph["keypoints"] == {
        "prid2011": {
            "dataset": "prid2011",
            "hrnet_of": "sample_people",
            "predicted": {"keypoints": "sample_people"},
        }
    }
    rows = graph["finetune"]
    assert rows["prid2011-keypoints_raw_corrected-0"]["pose"] == "results/keypoints/prid2011/keypoints.parquet"
    assert rows["prid2011-hrnet_mean_norm-0"]["pose"] == "results/pose/sample_people/hrnet.safetensors"
    assert list(graph["ingest"]) == ["prid2011", "market1501", "sample_people"]


def test_keypoints_that_no_row_reads_are_not_made(raw):
    raw["datasets"]["prid2011"]["keypoints"] = {"predicted_by": "sample_people"}
    graph = build_graph(parse_config(raw))
    assert graph["pose"] == graph["keypoints"] == {} and "sample_people" not in graph["ingest"]


def test_a_lender_in_the_study_keeps_its_own_stages(raw):
    raw["study"]["datasets"] = ["prid2011", "sample_people"]
    graph = build_graph(parse_config(with_keypoints(raw)))
    assert list(graph["pose"]) == ["sample_people"] and list(graph["keypoints"]) == ["prid2011", "sample_people"]
    assert "predicted" not in graph["keypoints"]["sample_people"]


def test_dvc_reads_each_stage_with_these_files(raw, tmp_path):
    clone = copy_project(tmp_path / "project")
    Path(clone.root / "params.yaml").write_text(yaml.safe_dump(with_keypoints(raw)))
    write_graph(parse_config(raw), clone.root / "pipeline/graph.yaml")
    with Repo(str(clone.root)) as repo:
        named = [stage for stage in repo.index.stages if "@" in getattr(stage, "name", "")]
        stages = {stage.name: {dep.def_path for dep in stage.deps} for stage in named}
    assert stages["labels@prid2011"] >= {
        "results/ingest/prid2011/frames.arrow",
        "results/attributes/market1501/model.safetensors",
        "results/sources/labels.json",
    }
    assert "results/pose/sample_people/hrnet.safetensors" in stages["keypoints@prid2011"]
    assert LENT in stages["prompts@prid2011-attribute_sentences-0"]
    assert LENT not in stages["prompts@prid2011-learned-0"]


# what cannot be


def lend(what: str, by: str, **changes):
    def change(raw: dict) -> None:
        raw["datasets"]["prid2011"] |= {what: {"predicted_by": by}, **changes}

    return change


def chained(raw: dict) -> None:
    raw["datasets"]["sample_people"]["attributes"] = {"predicted_by": "market1501"}
    raw["datasets"]["prid2011"]["attributes"] = {"predicted_by": "sample_people"}


def without(dataset: str, key: str):
    return lambda raw: raw["datasets"][dataset].update({key: None})


KEY = r"datasets.prid2011.attributes"
REFUSED = [
    (lend("attributes", "prid2011"), rf"{KEY}.predicted_by = 'prid2011': a data set cannot label itself"),
    (lend("attributes", "market"), rf"{KEY}.predicted_by = 'market': not in datasets \(dogs, market1501"),
    (lend("attributes", "sample_dogs"), r"datasets.sample_dogs.word = 'dog', and .*'person': it knows no person"),
    (
        chained,
        r"datasets.sample_people.attributes are themselves predicted by 'market1501'; name a data",
    ),
    (without("market1501", "attributes"), r"datasets.market1501.attributes names no table to train a model on"),
    (without("market1501", "recipe"), r"datasets.market1501.recipe, which is null, has no attributes section"),
    (lend("attributes", "sample_people"), r"recipes.sample_people has no attributes section, hence no model"),
    (
        lambda raw: raw["datasets"]["prid2011"].update(attributes={"by": "market1501"}),
        rf"{KEY} = .*: .*allowed are",
    ),
    (
        lambda raw: raw["datasets"]["prid2011"].update(attributes=["a.csv"]),
        rf"{KEY} = .*or \{{predicted_by: DATA_S",
    ),
    (lend("keypoints", "market1501"), r"recipes.people_attributes has no pose section, hence no HRNet"),
    (lend("keypoints", "sample_dogs"), r"prid2011.keypoints.predicted_by = 'sample_dogs': datasets.sample_dogs.word"),
    (
        lambda raw: raw["datasets"]["prid2011"].update(keypoints={"predicted_by": "sample_people", "file": "k.json"}),
        r"datasets.prid2011.keypoints = .*one of the two",
    ),
    (
        lambda raw: raw["datasets"]["prid2011"].update(keypoints={"images": "a"}),
        r"keypoints have a file, or a",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_labels_that_cannot_be_had_are_refused_by_the_key(raw, change, message):
    change(raw)
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


def test_an_hrnet_that_has_nothing_to_be_fitted_on(raw):
    raw["datasets"]["market1501"]["recipe"] = "lite0"
    raw["recipes"]["lite0"]["attributes"] = classifier()
    raw["datasets"]["prid2011"]["keypoints"] = {"predicted_by": "market1501"}
    with pytest.raises(ConfigError, match=r"lite0.pose fits HRNet, and datasets.market1501.keypoints names no file"):
        parse_config(raw)


def test_metric_rows_have_no_attribute_model_of_a_data_set_that_trains_none(raw):
    raw["recipes"]["lite0"] |= {"attributes": classifier(), "metric": raw["recipes"]["sample_dogs"]["metric"]}
    raw["study"]["metric_rows"] = ["untouched"]
    with pytest.raises(ConfigError, match=r"prid2011 trains no attribute model, since market1501's predicts its"):
        parse_config(raw)


# the marks


def test_a_recipe_of_two_data_sets_trains_on_true_labels_alone(raw):
    """One recipe for both: its attributes section is the lender's."""
    raw["recipes"]["lite0"]["attributes"] = classifier()
    raw["datasets"]["market1501"]["recipe"] = "lite0"
    raw["study"]["datasets"] = ["prid2011", "market1501"]
    config = parse_config(raw)
    assert list(build_graph(config)["attributes"]) == ["market1501"]
    line = "prid2011: no attribute model is trained on it: market1501's predicts its attributes"
    assert prediction_lines(config)[0] == line


def test_every_row_and_record_says_what_was_predicted(raw):
    raw["study"]["rows"].append("clip_reid_twice")
    config = parse_config(with_keypoints(raw))
    graph = build_graph(config)
    captions, keypoints = "captions by market1501", "keypoints by sample_people"
    assert graph["compare"]["prid2011"]["predictions"] == {
        "pretrained": captions,
        "clip_reid": captions,
        "clip_reid_twice": captions,
        "attribute_prompts_corrected": "captions, attributes by market1501",
        "keypoints_raw_corrected": f"{captions}; {keypoints}",
        "hrnet_mean_norm": f"{captions}; {keypoints}",
    }
    row = graph["evaluate"]["prid2011-attribute_prompts_corrected-0"]
    assert row["predicted"] == {"captions": "market1501", "attributes": "market1501"}
    assert "predicted" not in graph["evaluate"]["prid2011-image_weights-0"]
    assert prediction_lines(config) == [
        f"prid2011: captions predicted by market1501: pretrained, {', '.join(applicable_rows(config, 'prid2011'))}",
        "prid2011: attributes predicted by market1501: attribute_prompts_corrected",
        "prid2011: keypoints predicted by sample_people: hrnet_mean_norm, keypoints_raw_corrected",
    ]


def test_a_row_that_starts_from_a_predicted_one_says_so_too(raw):
    raw["ablations"]["later"] = {"form": "added", "prompts": None, "start": "attribute_prompts_corrected"}
    raw["study"]["rows"].append("later")
    raw["recipes"]["lite0"]["pretrain"]["captions_from"] = "market1501"
    found = row_predictions(parse_config(raw), "prid2011", "later")
    assert found == {"attributes": "market1501"}


def test_a_row_that_starts_before_the_captions_has_seen_none(raw):
    """Nor has one that starts from it; with texts both have."""
    raw["ablations"] |= {
        "early": new_row(prompts=None, start="image_weights"),
        "later": new_row(prompts=None, start="early"),
        "with_texts": new_row(start="image_weights"),
        "tuned_texts": new_row(prompts="of_early", start="early"),
        "heads": new_row(prompts=None, start="image_weights", auxiliary=HEADS),
    }
    raw["prompts"]["of_early"] = raw["prompts"]["learned"] | {"encoder": "early"}
    config, captions = parse_config(raw), {"captions": "market1501"}
    found = {row: row_predictions(config, "prid2011", row) for row in raw["ablations"] if row not in ROWS}
    attributes = {"attributes": "market1501"}
    assert found == {
        "early": {},
        "later": {},
        "with_texts": captions,
        "tuned_texts": captions,
        "heads": attributes,
    }


def test_a_row_whose_idea_reads_predicted_keypoints_says_so(raw):
    raw["datasets"]["prid2011"]["keypoints"] = {"predicted_by": "sample_people"}
    config = with_idea(parse_config(raw), "clip_reid", Posed())
    assert row_predictions(config, "prid2011", "clip_reid")["keypoints"] == "sample_people"
    assert build_graph(config)["keypoints"]["prid2011"]["hrnet_of"] == "sample_people"


def test_a_row_s_run_in_mlflow_is_tagged_with_it():
    cells = {"form": "corrected", "seeds": "1", "predicted": "attributes by market1501"}
    assert Row("attribute_prompts_corrected", "prid2011", cells, 0).tags()["predicted"] == "attributes by market1501"
    assert "predicted" not in Row("clip_reid", "prid2011", cells | {"predicted": ""}, 0).tags()


def test_check_and_rows_tell_of_it_and_of_the_lenders_missing_files(raw, tmp_path, monkeypatch, check_study):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("auxreid.cli.go_to_root", lambda: None)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    config = parse_config(raw)
    write_graph(config)
    told = "prid2011: attributes predicted by market1501: attribute_prompts_corrected"
    checked = check_study()
    assert told in checked.output
    assert "datasets.market1501.folder: raw/market1501: no such folder" in str(checked.exception)
    assert any("recipes.people_attributes.attributes.weights" in fault for fault in missing_files(config)[0])
    assert told in CliRunner().invoke(app, ["rows"]).output
