"""Rows that rank another row's encoder: what params.yaml may say of them, their stages, and what they need."""

from pathlib import Path

import pytest
from params import ROOT, new_row, raw_params

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.dvc.stages import read_stages
from auxreid.plumbing.fanout.plan import group
from auxreid.plumbing.graph.applicability import makes_keypoints, not_applicable
from auxreid.plumbing.graph.borrowed import row_predictions
from auxreid.plumbing.graph.pets import pets_study
from auxreid.plumbing.graph.sources import describe
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.graph.trained import trained_encoder
from auxreid.plumbing.settings.load import parse_config

DATASET = "sample_people"
TABLE, NOTHING = f"results/keypoints/{DATASET}/keypoints.parquet", "pipeline/nothing"
AT_JOINTS = {"pools": "joints", "maps": ["middle"], "sigma": 0.1, "whiten_global": True, "mirror": False}
STRIPES = {"pools": "stripes", "maps": ["middle", "late"], "count": 8, "whiten_global": False, "mirror": False}
WHITENED = {"pools": "global", "maps": [], "whiten_global": True, "mirror": False}
EVIDENCE = WHITENED | {"whiten_global": False, "evidence": {"share": 0.1, "shuffled": False}}


def ranked(rank: dict, encoder_of: str = "clip_reid", **more) -> dict:
    return {"form": "added", "prompts": None, "encoder_of": encoder_of, "rank": rank} | more


@pytest.fixture
def raw() -> dict:
    """params.yaml with a row that is trained and one that ranks it."""
    found = raw_params()
    found["ablations"] |= {"local": ranked(AT_JOINTS), "bands": ranked(STRIPES), "white": ranked(WHITENED)}
    found["study"] |= {"datasets": [DATASET], "rows": ["clip_reid", "local", "bands", "white"]}
    return found


# settings


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (ranked(AT_JOINTS, prompts="learned"), "a row with encoder_of and rank trains nothing; leave prompts empty"),
        (ranked(AT_JOINTS, epoch_factor=2, finetune={"lr": 0.1}), "leave epoch_factor, finetune empty"),
        (new_row(encoder_of="clip_reid"), "encoder_of and rank go together: whose encoder is ranked, and how"),
        (new_row(rank=WHITENED), "encoder_of and rank go together"),
        (ranked(AT_JOINTS, "gone"), "local.encoder_of = 'gone': not in ablations ("),
        (ranked(AT_JOINTS, "gone"), ", nor untrained or image_weights or pretrained"),
        (ranked(AT_JOINTS, "bands"), "encoder_of = 'bands': trains no encoder, it ranks that of clip_reid; name clip_"),
        (ranked(AT_JOINTS, "visual_only"), "study.rows: 'local' ranks the encoder of visual_only, which must be among"),
        (ranked(AT_JOINTS | {"count": 8}), "count goes with pools stripes and global, and only with them; pools is jo"),
        (ranked(AT_JOINTS | {"sigma": None}), "sigma goes with pools joints, mean_joints, other_joints, and only with"),
        (
            ranked(STRIPES | {"sigma": 0.1}),
            "sigma goes with pools joints, mean_joints, other_joints, and only with the",
        ),
        (ranked(STRIPES | {"count": None}), "count goes with pools stripes and global"),
        (ranked(STRIPES | {"maps": ["late", "late"]}), "maps late, late: a map stands there twice"),
        (ranked(STRIPES | {"maps": ["top"]}), "local.rank.maps.0 = 'top': Input should be"),
        (ranked(WHITENED | {"count": 8}), "pools must be global; count, sigma, doubt null"),
        (ranked(AT_JOINTS | {"pools": "mean_joints", "doubt": 0.1}), "doubt goes with pools joints, other_joints"),
        (ranked(WHITENED | {"pools": "joints"}), "pools must be global; count, sigma, doubt null"),
        (ranked(WHITENED | {"whiten_global": False, "mirror": False}), "it ranks as the encoder's own row"),
        (ranked(WHITENED | {"centre": "camera"}), "local.rank.centre = 'camera': Input should be 'mean', 'cameras' or"),
        (ranked(EVIDENCE | {"evidence": {"share": 0, "shuffled": False}}), "rank.evidence.share = 0: Input should be "),
        (ranked(EVIDENCE | {"evidence": {"share": 0.1}}), "rank.evidence.shuffled: Field required"),
    ],
)
def test_a_fault_of_such_a_row_is_told_in_a_line(raw, row, told):
    raw["ablations"]["local"] = row
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    assert told in str(caught.value)


def test_no_row_starts_from_one_that_trains_nothing(raw):
    raw["ablations"]["later"] = new_row(start="local")
    raw["prompts"]["of_local"] = raw["prompts"]["learned"] | {"encoder": "local"}
    raw["registry"] = {"rows": ["local"]}
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    for key in ("ablations.later.start", "prompts.of_local.encoder", "registry.rows"):
        assert f"{key} = 'local': trains no encoder, it ranks that of clip_reid" in str(caught.value)


def test_it_runs_with_seeds_of_the_row_that_it_ranks(raw):
    raw["study"]["row_seeds"] = {"local": [0, 1]}
    with pytest.raises(ConfigError, match=r"'local' runs with seeds \[0, 1\] and ranks the encoder of 'clip_reid', wh"):
        parse_config(raw)


# the table of runs


def test_its_stages_are_the_fit_and_the_evaluation_of_another_row_s_encoder(raw):
    raw["study"] |= {"seeds": [0, 1]}
    graph = build_graph(parse_config(raw))
    assert sorted(graph["finetune"]) == [f"{DATASET}-clip_reid-{seed}" for seed in (0, 1)]
    assert len(graph["descriptors"]) == 6 and len(graph["prompts"]) == 2
    encoder = f"results/finetune/{DATASET}-clip_reid-1/encoder.safetensors"
    fitted, evaluated = (graph[stage][f"{DATASET}-local-1"] for stage in ("descriptors", "evaluate"))
    assert fitted["encoder"] == evaluated["encoder"] == encoder
    assert fitted["pose"] == evaluated["pose"] == TABLE
    assert evaluated["descriptors"] == f"results/descriptors/{DATASET}-local-1/descriptors.safetensors"
    assert evaluated["describing"] == "results/sources/descriptors.json"
    plain = graph["evaluate"][f"{DATASET}-clip_reid-1"]
    assert (plain["descriptors"], plain["describing"]) == (f"{NOTHING}/descriptors.txt", f"{NOTHING}/describing.txt")


@pytest.mark.parametrize(
    ("pools", "fitted", "ranked_with"),
    [
        ("joints", TABLE, TABLE),
        ("other_joints", TABLE, TABLE),
        ("mean_joints", TABLE, f"{NOTHING}/pose.txt"),
        ("stripes", f"{NOTHING}/pose.txt", f"{NOTHING}/pose.txt"),
    ],
)
def test_joints_are_read_where_the_pools_need_them(raw, pools, fitted, ranked_with):
    raw["ablations"]["local"] = ranked(STRIPES if pools == "stripes" else AT_JOINTS | {"pools": pools})
    graph = build_graph(parse_config(raw))
    assert graph["descriptors"][f"{DATASET}-local-0"]["pose"] == fitted
    assert graph["evaluate"][f"{DATASET}-local-0"]["pose"] == ranked_with
    assert (DATASET in graph["keypoints"]) == (pools != "stripes")


def test_an_encoder_that_ranks_a_pose_or_an_idea_keeps_it(raw):
    raw["ablations"]["local"] = ranked(STRIPES, "keypoints_raw_corrected")
    raw["study"]["rows"] = ["keypoints_raw_corrected", "local"]
    graph = build_graph(parse_config(raw))
    for stage in ("descriptors", "evaluate"):
        entry = graph[stage][f"{DATASET}-local-0"]
        assert entry["pose"] == TABLE and entry["idea"] == f"{NOTHING}/idea.txt"
    raw["ablations"]["local"] = ranked(STRIPES, "attribute_heads")
    raw["study"]["rows"] = ["attribute_heads", "local"]
    graph = build_graph(parse_config(raw))
    for stage in ("descriptors", "evaluate"):
        assert graph[stage][f"{DATASET}-local-0"]["idea"] == "results/sources/ideas/attribute_heads.json"


def test_a_baseline_can_be_ranked_where_the_data_set_has_it(raw):
    raw["ablations"]["local"] = ranked(STRIPES, "pretrained")
    raw["study"]["rows"] = ["local"]
    graph = build_graph(parse_config(raw))
    assert graph["finetune"] == {} and graph["prompts"] == {}
    assert graph["evaluate"][f"{DATASET}-local-0"]["encoder"] == f"results/pretrain/{DATASET}-0/image.safetensors"
    raw["ablations"]["local"] = ranked(STRIPES, "image_weights")
    told = "ranks the encoder of image_weights, and the encoders of recipes.sample_people before stage 2 are: untrained"
    assert not_applicable(parse_config(raw), DATASET)["local"].startswith(told)


def test_it_needs_a_pose_for_joints_and_what_its_encoder_s_row_needs(raw):
    raw["recipes"][DATASET]["pose"] = None
    config = parse_config(raw)
    assert not_applicable(config, DATASET) == {"local": "needs a pose, and recipes.sample_people has no pose section"}
    assert f"{DATASET}-local-0" not in build_graph(config)["descriptors"] and not makes_keypoints(config, DATASET)
    raw["ablations"]["bands"] = ranked(STRIPES, "attribute_prompts_corrected")
    raw["study"]["rows"].append("attribute_prompts_corrected")
    raw["datasets"][DATASET]["attributes"] = None
    reason = not_applicable(parse_config(raw), DATASET)["bands"]
    assert reason.startswith("ranks the encoder of attribute_prompts_corrected: needs attributes, and ")


def test_what_models_of_other_data_sets_told_it_is_known(raw):
    raw["study"]["datasets"] = ["prid2011"]
    raw["datasets"]["prid2011"] |= {"keypoints": {"predicted_by": DATASET}, "recipe": DATASET}
    config = parse_config(raw)
    assert row_predictions(config, "prid2011", "local") == {"keypoints": DATASET}
    assert row_predictions(config, "prid2011", "bands") == {}
    raw["ablations"]["bands"] = ranked(STRIPES, "keypoints_raw_corrected")
    raw["study"]["rows"].append("keypoints_raw_corrected")
    assert row_predictions(parse_config(raw), "prid2011", "bands") == {"keypoints": DATASET}


def test_on_a_cluster_it_is_a_task_that_waits_for_the_row_that_it_ranks():
    stages = {
        "finetune@people-clip_reid-0": set(),
        "descriptors@people-local-0": {"finetune@people-clip_reid-0"},
        "evaluate@people-local-0": {"descriptors@people-local-0", "finetune@people-clip_reid-0"},
    }
    unit = group(stages)["people-local-0"]
    assert unit.stages == ("descriptors@people-local-0", "evaluate@people-local-0")
    assert unit.needs == {"people-clip_reid-0"}


# with attribute evidence


MODEL = f"results/attributes/{DATASET}/model.safetensors"
PREDICTING = "results/sources/labels.json"


@pytest.fixture
def told(raw) -> dict:
    """The same of a data set with an attribute model, where one row takes its predictions."""
    raw["ablations"]["told"] = ranked(EVIDENCE)
    raw["study"]["rows"] = ["clip_reid", "told", "white"]
    raw["recipes"][DATASET]["attributes"] = raw["recipes"]["dogs"]["attributes"]
    raw["datasets"][DATASET]["n_splits"] = None
    return raw


def test_its_stages_read_the_attribute_model_and_others_do_not(told):
    graph = build_graph(parse_config(told))
    assert DATASET in graph["attributes"]
    for stage in ("descriptors", "evaluate"):
        entry, plain = (graph[stage][f"{DATASET}-{row}-0"] for row in ("told", "white"))
        assert (entry["attributes"], entry["predicting"]) == (MODEL, PREDICTING)
        assert (plain["attributes"], plain["predicting"]) == (f"{NOTHING}/attributes.txt", f"{NOTHING}/predicting.txt")
        assert set(read_stages(ROOT)[stage]["deps"]) >= {"${item.attributes}", "${item.predicting}"}
    assert graph["evaluate"][f"{DATASET}-clip_reid-0"]["attributes"] == f"{NOTHING}/attributes.txt"
    for file in (plain["attributes"], plain["predicting"]):
        assert (ROOT / file).is_file()


def test_what_predicts_attributes_is_in_the_code_of_rows_with_evidence_alone():
    predicting = {"src/auxreid/attributes/model.py", "src/auxreid/attributes/predict.py"}
    assert predicting <= set(describe("labels", ROOT)["files"])
    for stage in ("descriptors", "evaluate"):
        assert not any("/attributes/" in file for file in describe(stage, ROOT)["files"])


def test_it_applies_where_a_model_that_saw_no_tested_individual_predicts_attributes(told):
    assert not_applicable(parse_config(told), DATASET) == {}
    told["datasets"][DATASET]["n_splits"] = 10
    reason = not_applicable(parse_config(told), DATASET)["told"]
    assert reason.startswith(f"ranks by predicted attributes, and the model of {DATASET} is trained on split 0 of 10: ")
    told["recipes"][DATASET]["attributes"] = told["datasets"][DATASET]["n_splits"] = None
    lacks = "recipes.sample_people has no attributes section, hence no model that could predict"
    config = parse_config(told)
    assert not_applicable(config, DATASET) == {"told": f"ranks by predicted attributes, and {lacks}"}
    assert f"{DATASET}-told-0" not in build_graph(config)["descriptors"]
    told["datasets"][DATASET]["attributes"] = None
    lacks = f"datasets.{DATASET}.attributes names no table and no predicted_by"
    assert not_applicable(parse_config(told), DATASET)["told"] == f"needs attributes, and {lacks}"


def test_another_data_set_s_model_serves_it_and_is_told_of(told):
    told["datasets"]["prid2011"] |= {"attributes": {"predicted_by": DATASET}, "recipe": DATASET}
    told["datasets"]["elsewhere"] = told["datasets"]["prid2011"] | {"attributes": None, "trained_on": "prid2011"}
    told["study"]["datasets"] = ["prid2011", "elsewhere"]
    config = parse_config(told)
    graph = build_graph(config)
    assert list(graph["attributes"]) == [DATASET]
    found = [graph["evaluate"][f"{name}-told-0"] for name in ("prid2011", "elsewhere")]
    found.append(graph["descriptors"]["prid2011-told-0"])
    assert {entry["attributes"] for entry in found} == {MODEL}
    assert {entry["predicted"]["attributes"] for entry in found} == {DATASET}
    assert "attributes" not in graph["evaluate"]["prid2011-white-0"]["predicted"]


@pytest.mark.parametrize("centre", ["cameras", "other_cameras"])
def test_it_takes_no_part_where_the_protocol_knows_no_cameras(raw, centre):
    raw["ablations"]["white"]["rank"] = WHITENED | {"centre": centre}
    raw["study"] |= {"datasets": [DATASET, "sample_dogs"], "rows": ["visual_only_corrected", "clip_reid", "white"]}
    raw["datasets"]["sample_dogs"]["recipe"] = "sample_dogs_reid"
    config = parse_config(raw)
    assert not_applicable(config, DATASET) == {}
    assert not_applicable(config, "sample_dogs")["white"] == "ranks by cameras, and protocol dogs has none"
    raw["datasets"]["elsewhere"] = raw["datasets"]["sample_dogs"] | {"trained_on": DATASET, "keypoints": None}
    raw["study"]["datasets"].append("elsewhere")
    assert not_applicable(parse_config(raw), "elsewhere")["white"] == "ranks by cameras, and protocol dogs has none"
    raw["ablations"]["white"]["rank"] = WHITENED | {"centre": "mean"}
    assert not_applicable(parse_config(raw), "elsewhere") == {}


def test_a_search_takes_no_row_with_cameras(raw):
    raw["ablations"]["white"]["rank"] = WHITENED | {"centre": "cameras"}
    as_search(raw, "white")
    with pytest.raises(ConfigError, match=r"embedding.row = 'white': the row ranks images by their cameras, and"):
        parse_config(raw)


def as_search(raw: dict, row: str) -> None:
    """A study of the dogs, whose search ranks by a row."""
    raw["study"] |= {"datasets": ["sample_dogs"], "search": ["sample_dogs"]}
    recipe = raw["recipes"]["sample_dogs_reid"]
    recipe |= {name: raw["recipes"]["sample_dogs"][name] for name in ("attributes", "search")}
    recipe["search"] = recipe["search"] | {"embedding": {"kind": "row", "row": row}}
    raw["datasets"]["sample_dogs"]["recipe"] = "sample_dogs_reid"


def test_a_search_takes_no_row_with_attributes(told):
    as_search(told, "told")
    refused = r"embedding.row = 'told': the row ranks images with attributes, which a search weighs itself"
    with pytest.raises(ConfigError, match=refused):
        parse_config(told)


def test_its_attribute_model_is_found_by_its_name(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = parse_config(told)
    for kind in (f"finetune/{DATASET}-clip_reid-0/encoder", f"descriptors/{DATASET}-told-0/descriptors"):
        file = Path(f"results/{kind}.safetensors")
        file.parent.mkdir(parents=True)
        file.touch()
    with pytest.raises(DataError, match=f"{MODEL}: not here yet; make it with: dvc repro attributes@{DATASET}"):
        trained_encoder(config, "told")
    Path(MODEL).parent.mkdir(parents=True)
    Path(MODEL).touch()
    assert trained_encoder(config, "told").attributes == Path(MODEL)
    assert trained_encoder(config, "clip_reid").attributes is None


# what uses it


def test_its_files_are_found_by_its_name(raw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = parse_config(raw)
    files = [
        Path(f"results/finetune/{DATASET}-clip_reid-0/encoder.safetensors"),
        Path(f"results/descriptors/{DATASET}-local-0/descriptors.safetensors"),
    ]
    for file, stage in zip(
        files, ("finetune@sample_people-clip_reid-0", "descriptors@sample_people-local-0"), strict=True
    ):
        with pytest.raises(DataError, match=f"{file}: not here yet; make it with: dvc repro {stage}"):
            trained_encoder(config, "local")
        file.parent.mkdir(parents=True)
        file.touch()
    found = trained_encoder(config, "local")
    assert [found.path, found.descriptors] == files and found.name == "local-0 of sample_people"
    assert found.hrnet == Path(f"results/pose/{DATASET}/hrnet.safetensors")
    assert trained_encoder(config, "clip_reid").descriptors is None


def test_a_search_may_name_it_and_is_not_compared_with_texts(raw):
    as_search(raw, "local")
    config = parse_config(raw)
    entry = build_graph(config)["index"]["sample_dogs-0"]
    assert entry["embedding"] == "results/finetune/sample_dogs-clip_reid-0/encoder.safetensors"
    assert entry["descriptors"] == "results/descriptors/sample_dogs-local-0/descriptors.safetensors"
    assert entry["hrnet"] == "results/pose/sample_dogs/hrnet.safetensors"
    assert entry["text"] == f"{NOTHING}/text.txt"
    assert pets_study(config)["rows"] == ["clip_reid", "local"]
    raw["ablations"]["local"] = ranked(AT_JOINTS | {"pools": "other_joints"})
    with pytest.raises(
        ConfigError, match=r"embedding.row = 'local': a control that ranks with the joints of other images"
    ):
        parse_config(raw)
