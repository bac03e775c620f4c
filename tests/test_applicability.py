"""Which rows a data set can run, why it cannot run the others, and that these leave no stage in the graph."""

import pytest
from ideas import HEADS, Posed, with_idea
from params import new_row, raw_params

from auxreid.clipreid.row_settings import remark, row_settings
from auxreid.plumbing.graph.applicability import (
    applicable_rows,
    exclusions,
    not_applicable,
    why_no_pose,
    why_not,
)
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.load import parse_config

ATTRIBUTE_ROWS = {
    *("attribute_prompts", "attribute_prompts_corrected", "attribute_tokens"),
    *("attribute_smoothing_stage1", "attribute_smoothing_stage1_corrected"),
    *("attribute_smoothing_both", "attribute_smoothing_both_corrected"),
}
POSE_ROWS = {
    f"{row}{form}"
    for row in ("keypoints_raw", "keypoints_unit", "keypoints_mean_norm", "hrnet_mean_norm")
    for form in ("", "_corrected")
}
PLAIN_ROWS = {"visual_only", "visual_only_corrected", "clip_reid", "clip_reid_twice", "centroids"}
ROWS = PLAIN_ROWS | ATTRIBUTE_ROWS | POSE_ROWS


@pytest.fixture
def raw() -> dict:
    """params.yaml with the rows of Table 2 and those that every network can run beside them."""
    raw = raw_params()
    raw["study"] |= {"datasets": ["prid2011"], "rows": sorted(ROWS), "row_seeds": {}}
    return raw


def as_dogs(raw: dict) -> None:
    """A study of the chain on dogs."""
    raw["recipes"]["dogs"] = raw["recipes"]["sample_people"] | {"attributes": raw["recipes"]["dogs"]["attributes"]}
    raw["study"]["datasets"] = ["dogs"]


def stages_of(config: Config, rows: set[str]) -> list[str]:
    """Stages of these rows, and of variants of stage 1 that no other row names."""
    graph = build_graph(config)
    others = {config.ablations[row].prompts for row in config.rows if row not in rows}
    found = [key for key, body in graph["finetune"].items() if body["row"] in rows]
    found += [key for key, body in graph["evaluate"].items() if body["row"] in rows]
    return found + [key for key, body in graph["prompts"].items() if body["variant"] not in others]


def test_prid2011_has_no_attributes_and_lists_their_rows_with_the_reason(raw):
    config = parse_config(raw)
    reason = "needs attributes, and datasets.prid2011.attributes names no table and no predicted_by"
    assert not_applicable(config, "prid2011") == dict.fromkeys(ATTRIBUTE_ROWS, reason)
    assert set(applicable_rows(config, "prid2011")) == ROWS - ATTRIBUTE_ROWS
    assert stages_of(config, ATTRIBUTE_ROWS) == []
    assert {body["row"] for body in build_graph(config)["finetune"].values()} == ROWS - ATTRIBUTE_ROWS


def test_rows_stand_in_the_order_of_params_yaml(raw):
    order = [row for row in raw["ablations"] if row in ROWS]
    config = parse_config(raw)
    assert list(applicable_rows(config, "prid2011")) == [row for row in order if row not in ATTRIBUTE_ROWS]
    assert list(not_applicable(config, "prid2011")) == [row for row in order if row in ATTRIBUTE_ROWS]


def test_market1501_and_the_sample_run_all_of_table_2(raw):
    raw["study"]["datasets"] = ["market1501", "sample_people"]
    config = parse_config(raw)
    for dataset in ("market1501", "sample_people"):
        assert not_applicable(config, dataset) == {}


def test_a_recipe_without_a_pose_lists_the_rows_with_one(raw):
    raw["recipes"]["rn50"] = raw["recipes"]["rn50"] | {"pose": None}
    config = parse_config(raw)
    found = {row: why_not(config, "prid2011", row) for row in POSE_ROWS}
    assert set(found.values()) == {"needs a pose, and recipes.rn50 has no pose section"}
    assert stages_of(config, POSE_ROWS | ATTRIBUTE_ROWS) == []
    assert build_graph(config)["pose"] == {}


def test_an_hrnet_to_be_fitted_needs_a_keypoint_file(raw):
    raw["study"]["datasets"] = ["market1501"]
    raw["datasets"]["market1501"]["recipe"] = "lite0"  # fits its HRNet
    config = parse_config(raw)
    reason = "recipes.lite0.pose fits HRNet, and datasets.market1501.keypoints names no file to fit it on"
    assert why_no_pose(config, "market1501") == reason
    assert not_applicable(config, "market1501") == dict.fromkeys(POSE_ROWS, f"needs a pose, and {reason}")
    assert build_graph(config)["pose"] == {} and stages_of(config, POSE_ROWS) == []
    raw["datasets"]["market1501"]["keypoints"] = {"file": "keypoints.json"}
    config = parse_config(raw)
    assert why_no_pose(config, "market1501") is None and not_applicable(config, "market1501") == {}
    assert list(build_graph(config)["pose"]) == ["market1501"]


def test_a_given_hrnet_needs_no_keypoint_file(raw):
    config = parse_config(raw)
    assert config.recipe("prid2011").pose.checkpoint == "coco_w48"
    assert why_no_pose(config, "prid2011") is None and list(build_graph(config)["pose"]) == ["prid2011"]


def test_the_authors_sentence_is_not_made_for_dogs_and_the_other_attribute_rows_are(raw):
    as_dogs(raw)
    raw["study"]["rows"] = sorted(PLAIN_ROWS | ATTRIBUTE_ROWS)
    config = parse_config(raw)
    assert not_applicable(config, "dogs") == {"attribute_prompts": "the author's sentence describes people"}
    assert stages_of(config, {"attribute_prompts"}) == []


def test_of_several_reasons_the_first_is_told(raw):
    raw["ablations"]["attribute_prompts"]["pose"] = raw["ablations"]["keypoints_raw"]["pose"]
    raw["recipes"]["rn50"] = raw["recipes"]["rn50"] | {"pose": None}
    config = parse_config(raw)
    assert why_not(config, "prid2011", "attribute_prompts").startswith("needs attributes")
    assert why_not(config, "market1501", "attribute_prompts").startswith("needs a pose")


@pytest.mark.parametrize("way", ["start", "prompts"])
def test_a_row_that_starts_from_one_that_does_not_apply_does_not_either(raw, way):
    """attribute_smoothing_both needs attributes; later starts from it, and last from later."""
    raw["study"]["rows"] = None
    raw["ablations"]["later"] = new_row()
    raw["ablations"]["last"] = new_row(prompts=None, start="later")
    if way == "start":
        raw["ablations"]["later"]["start"] = "attribute_smoothing_both"
    else:
        raw["prompts"]["later"] = raw["prompts"]["learned"] | {"encoder": "attribute_smoothing_both"}
        raw["ablations"]["later"]["prompts"] = "later"
    config = parse_config(raw)
    reason = "starts from attribute_smoothing_both: needs attributes, and datasets.prid2011.attributes names no table"
    reason += " and no predicted_by"
    listed = not_applicable(config, "prid2011")
    assert listed["later"] == reason and listed["last"] == f"starts from later: {reason}"
    assert stages_of(config, set(listed)) == []
    assert not {"later", "last"} & set(not_applicable(config, "market1501"))


def test_attributes_are_needed_for_targets_and_positives_alone_too(raw):
    for changes in (
        {"id_targets": "attribute_smoothing", "epsilon": 0.1},
        {"text_targets": "attribute_share"},
        {"positives": "equal_attributes"},
    ):
        raw["ablations"]["clip_reid"] = new_row(**changes)
        assert "needs attributes" in why_not(parse_config(raw), "prid2011", "clip_reid")
    raw["ablations"]["clip_reid"] = new_row(text_targets="equal_text")
    assert why_not(parse_config(raw), "prid2011", "clip_reid") is None


def test_an_idea_that_reads_attributes_needs_them(raw):
    raw["ablations"]["heads"] = new_row(prompts=None, auxiliary=HEADS)
    assert why_not(parse_config(raw), "prid2011", "heads").startswith("needs attributes, and datasets.prid2011")
    raw["datasets"]["prid2011"]["attributes"] = {"predicted_by": "market1501"}
    raw["recipes"]["people_attributes"] = {"precision": "32-true", "attributes": raw["recipes"]["dogs"]["attributes"]}
    raw["datasets"]["market1501"]["recipe"] = "people_attributes"
    raw["study"]["rows"] = ["heads"]
    config = parse_config(raw)
    assert why_not(config, "prid2011", "heads") is None
    labels = build_graph(config)["finetune"]["prid2011-heads-0"]["labels"]
    assert labels == "results/labels/prid2011/labels.parquet"


def test_an_idea_that_reads_words_of_images_needs_predicted_ones(raw):
    raw["study"]["datasets"] = ["market1501", "prid2011"]
    raw["ablations"]["heads"] = new_row(auxiliary=HEADS | {"level": "image"})
    raw["study"]["rows"] = ["heads"]
    reason = "needs words of each image, and those of datasets.market1501.attributes are not predicted (predicted_by)"
    assert not_applicable(parse_config(raw), "market1501") == {"heads": reason}
    raw["datasets"]["prid2011"]["attributes"] = {"predicted_by": "market1501"}
    raw["recipes"]["rn50"]["attributes"] = raw["recipes"]["people_attributes"]["attributes"]
    assert applicable_rows(parse_config(raw), "prid2011") == ("heads",)


def test_an_idea_that_reads_a_pose_needs_one(raw):
    raw["recipes"]["rn50"] = raw["recipes"]["rn50"] | {"pose": None}
    config = parse_config(raw)
    reason = "needs a pose, and recipes.rn50 has no pose section"
    assert why_not(with_idea(config, "clip_reid", Posed()), "prid2011", "clip_reid") == reason
    assert why_not(with_idea(config, "clip_reid", Posed(pose=False)), "prid2011", "clip_reid") is None


def test_a_row_starts_before_the_pre_training_where_there_is_such_an_encoder(raw):
    raw["ablations"]["early"] = new_row(prompts=None, start="image_weights")
    raw["study"]["datasets"] = ["market1501"]
    raw["datasets"]["market1501"]["recipe"] = "lite0"
    config = parse_config(raw)
    assert why_not(config, "market1501", "early") is None
    told = "starts from image_weights, and the encoders of recipes.{} before stage 2 are: {}"
    assert why_not(config, "prid2011", "early") == told.format("rn50", "pretrained")
    assert why_not(config, "sample_people", "early") == told.format("sample_people", "untrained, pretrained")
    raw["ablations"]["early"]["start"] = "untrained"
    assert why_not(parse_config(raw), "sample_people", "early") is None
    assert "starts from untrained" in why_not(parse_config(raw), "market1501", "early")


@pytest.mark.parametrize("vit", [{"patch_stride": 12}, {"camera_embedding": 3.0}])
def test_rows_of_a_vision_transformer_need_one(raw, vit):
    raw["ablations"]["vit_row"] = new_row(vit=vit)
    config = parse_config(raw)
    assert why_not(config, "prid2011", "vit_row") == "changes a vision transformer, and recipes.rn50 has none"
    raw["datasets"]["prid2011"]["recipe"] = "vit_b_16"
    assert why_not(parse_config(raw), "prid2011", "vit_row") is None


def test_dogs_have_no_cameras_to_embed(raw):
    as_dogs(raw)
    raw["study"]["rows"] = ["clip_reid"]
    raw["recipes"]["dogs"] |= {"encoder": raw["recipes"]["vit_b_16"]["encoder"], "pretrain": None}
    raw["ablations"]["cameras"] = new_row(vit={"camera_embedding": 3.0})
    assert why_not(parse_config(raw), "dogs", "cameras") == "needs cameras, and protocol dogs has none"


def test_rows_that_cannot_run_are_listed_with_the_reason_for_every_data_set(raw):
    raw["study"] |= {
        "datasets": ["sample_people", "prid2011"],
        "rows": ["clip_reid", "attribute_tokens", "overlapping_patches"],
    }
    assert exclusions(parse_config(raw)) == [
        "sample_people: row overlapping_patches is not applicable: "
        "changes a vision transformer, and recipes.sample_people has none",
        "prid2011: row attribute_tokens is not applicable: "
        "needs attributes, and datasets.prid2011.attributes names no table and no predicted_by",
        "prid2011: row overlapping_patches is not applicable: changes a vision transformer, and recipes.rn50 has none",
    ]


# --- rows that run otherwise than they ask


def remarks(raw: dict) -> dict[str, str]:
    """Of the rows on PRID2011 that have one."""
    config = parse_config(raw)
    recipe, rows = config.recipe("prid2011").finetune, config.ablations
    return {row: text for row in ROWS if (text := remark(recipe, rows[row]))}


def test_rows_that_run_with_a_smaller_epoch_factor_say_so(raw):
    assert remarks(raw) == {}
    raw["recipes"]["rn50"]["finetune"]["max_epoch_factor"] = 3
    fours = {row for row in POSE_ROWS if "mean_norm" in row}
    assert remarks(raw) == dict.fromkeys(fours, "epoch factor 4 run at 3")
    raw["recipes"]["rn50"]["finetune"]["max_epoch_factor"] = 1
    expected = dict.fromkeys(fours, "epoch factor 4 run at 1")
    expected |= dict.fromkeys(("keypoints_unit", "keypoints_unit_corrected"), "epoch factor 3 run at 1")
    assert remarks(raw) == expected
    config = parse_config(raw)
    recipe = config.recipe("prid2011").finetune
    for row in expected:
        assert row_settings(recipe, config.ablations[row]).epochs == recipe.epochs
