"""Encoders that are trained on one data set and tested on another: the graph, what is refused, and a run of it."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import config as ingest_config
from dataset_folders import dog_rows, dogs, prid_multi
from params import raw_params
from tiny_study import DATASET, run, tiny_params, write_inputs, write_study

from auxreid.data.frames import open_frames
from auxreid.data.ingest import ingest
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.applicability import applicable_rows, baselines, not_applicable
from auxreid.plumbing.graph.borrowed import prediction_lines
from auxreid.plumbing.graph.feasible import dataset_faults
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.settings.load import parse_config
from auxreid.plumbing.stage.record import read_record
from auxreid.pose.table import read_keypoints

FUSED, IMAGE_ALONE = "keypoints_raw_corrected", "keypoints_raw"  # what is ranked of a row with a pose
LOCAL = "local_joints"  # ranks the encoder of clip_reid
OTHER = "elsewhere"
FINETUNED = "results/finetune/sample_people-clip_reid-0/encoder.safetensors"


@pytest.fixture
def raw() -> dict:
    """The sample's people, and a pair of cameras of which nothing is known."""
    raw = raw_params()
    raw["study"] |= {
        "datasets": [DATASET, OTHER],
        "rows": ["clip_reid", IMAGE_ALONE, FUSED, "attribute_smoothing_both"],
    }
    plain = {"layout": "prid2011", "protocol": "prid2011_multi_shot", "word": "person", "recipe": DATASET}
    raw["datasets"][OTHER] = plain | {"folder": "raw/elsewhere", "trained_on": DATASET}
    return raw


def test_nothing_is_trained_on_it_and_its_rows_read_the_other_s_encoders(raw):
    raw["recipes"][DATASET]["attributes"] = raw["recipes"]["dogs"]["attributes"]
    graph = build_graph(parse_config(raw))
    for stage, keys in graph.items():
        there = {body["dataset"] for body in keys.values()}
        wanted = (
            OTHER in there
            if stage in ("ingest", "keypoints", "protocol", "evaluate", "compare")
            else OTHER not in there
        )
        assert wanted, stage
    rows = {body["row"]: body for body in graph["evaluate"].values() if body["dataset"] == OTHER}
    assert rows["clip_reid"]["encoder"] == FINETUNED and rows["clip_reid"]["recipe"] == DATASET
    assert rows["untrained"]["encoder"] == "results/pretrain/sample_people-0/initial.safetensors"
    assert list(rows) == ["untrained", "pretrained", *applicable_rows(parse_config(raw), DATASET)]


def test_each_seed_takes_the_encoder_of_that_seed_and_its_own_split(raw):
    raw["study"] |= {"seeds": [0, 1, 2], "rows": ["clip_reid"]}
    raw["datasets"][OTHER]["n_splits"] = 2
    found = {key: body for key, body in build_graph(parse_config(raw))["evaluate"].items() if body["dataset"] == OTHER}
    row = [found[f"{OTHER}-clip_reid-{seed}"] for seed in range(3)]
    assert [Path(body["encoder"]).parent.name for body in row] == [f"{DATASET}-clip_reid-{seed}" for seed in range(3)]
    assert [body["split"] for body in row] == [0, 1, 0]
    assert found[f"{OTHER}-pretrained-1"]["encoder"] == f"results/pretrain/{DATASET}-1/image.safetensors"


def test_keypoints_are_those_of_the_hrnet_that_the_rows_were_trained_with(raw):
    config = parse_config(raw)
    graph = build_graph(config)
    assert graph["keypoints"][OTHER]["hrnet_of"] == DATASET and list(graph["pose"]) == [DATASET]
    assert graph["evaluate"][f"{OTHER}-{FUSED}-0"]["pose"] == f"results/keypoints/{OTHER}/keypoints.parquet"
    assert graph["evaluate"][f"{OTHER}-{FUSED}-0"]["predicted"] == {"keypoints": DATASET}
    assert "predicted" not in graph["evaluate"][f"{OTHER}-{IMAGE_ALONE}-0"]


def test_descriptors_are_those_that_were_fitted_on_the_other(raw):
    raw["study"]["rows"] = ["clip_reid", LOCAL]
    graph = build_graph(parse_config(raw))
    assert list(graph["descriptors"]) == [f"{DATASET}-{LOCAL}-0"]
    row = graph["evaluate"][f"{OTHER}-{LOCAL}-0"]
    assert row["encoder"] == FINETUNED and row["pose"] == f"results/keypoints/{OTHER}/keypoints.parquet"
    assert row["descriptors"] == f"results/descriptors/{DATASET}-{LOCAL}-0/descriptors.safetensors"


def test_the_table_and_the_check_say_where_its_rows_were_trained(raw):
    config = parse_config(raw)
    said = build_graph(config)["compare"][OTHER]["predictions"]
    there = f"trained on {DATASET}"
    assert said == dict.fromkeys([*baselines(config, OTHER), *applicable_rows(config, OTHER)], there) | {
        FUSED: f"{there}; keypoints by {DATASET}"
    }
    lines = prediction_lines(config)
    assert f"{OTHER}: nothing is trained on it: its rows are those that were trained on {DATASET}" in lines
    assert f"{OTHER}: keypoints predicted by {DATASET}: {FUSED}" in lines


def test_what_the_other_was_told_by_models_is_told_here_too(raw):
    raw["recipes"]["people_attributes"] = {"precision": "32-true", "attributes": raw["recipes"]["dogs"]["attributes"]}
    raw["datasets"]["market1501"]["recipe"] = "people_attributes"
    raw["datasets"][DATASET]["attributes"] = {"predicted_by": "market1501"}
    said = build_graph(parse_config(raw))["compare"][OTHER]["predictions"]
    assert said["attribute_smoothing_both"] == f"trained on {DATASET}; captions, attributes by market1501"


def test_rows_apply_as_on_the_other_but_for_vectors_of_its_cameras(raw):
    raw["study"] |= {"rows": ["clip_reid", "overlapping_patches", "camera_embedding", "attribute_smoothing_both"]}
    raw["recipes"][DATASET] = raw["recipes"]["rn50"] | {
        "encoder": raw["recipes"]["rn50"]["encoder"] | {"name": "ViT-B-16"}
    }
    raw["datasets"][DATASET]["attributes"] = None
    config = parse_config(raw)
    assert applicable_rows(config, OTHER) == ("clip_reid", "overlapping_patches")
    lacks = "needs attributes, and datasets.sample_people.attributes names no table and no predicted_by"
    assert not_applicable(config, OTHER) == {
        "attribute_smoothing_both": f"sample_people, on which it would be trained: {lacks}",
        "camera_embedding": "its vectors are of the cameras of sample_people, on which it is trained",
    }


# what is refused


def body(**changes):
    return lambda raw: raw["datasets"][OTHER].update(changes)


REFUSED = [
    (body(trained_on="nowhere"), r"'nowhere': not in datasets \(dogs, elsewhere"),
    (body(trained_on=OTHER), r"null says that a data set trains its own rows"),
    (
        lambda raw: raw["datasets"][DATASET].update(trained_on="market1501"),
        r"'sample_people': nothing is trained on it e",
    ),
    (
        lambda raw: raw["study"].update(datasets=[OTHER]),
        r"not in study.datasets \(elsewhere\), with whose rows and seeds",
    ),
    (body(recipe=None), r"datasets.elsewhere.recipe, which is null, trains no rows of ablations"),
    (body(trained_on="sample_dogs"), r"not in study.datasets"),
    (
        body(keypoints={"file": "own.json"}),
        r"HRNet of sample_people; allowed is datasets.elsewhere.keypoints: null or \{p",
    ),
    (
        lambda raw: raw["datasets"]["market1501"].update(keypoints={"predicted_by": OTHER}),
        r"market1501.keypoints.predicted_by = 'elsewhere': nothing is trained on it: datasets.elsewhere.trained",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_cannot_be_is_refused_by_the_key(raw, change, message):
    change(raw)
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


def test_metric_rows_and_a_search_would_train_on_it(raw):
    dogs_recipe = raw["recipes"]["sample_dogs"]
    raw["recipes"][DATASET] |= {name: dogs_recipe[name] for name in ("metric", "attributes")}
    raw["study"] |= {"metric_rows": ["untouched"], "search": [OTHER]}
    with pytest.raises(ConfigError) as refused:
        parse_config(raw)
    assert "has a metric section, and metric rows would be trained on elsewhere itself" in str(refused.value)
    assert "study.search has elsewhere, and a search is fitted on" in str(refused.value)


# a run of it


def test_a_set_without_training_images_can_be_tested(tmp_path):
    rows = [row for row in dog_rows() if row["split"] == "test" and "dog_id" in row]
    for trained_on in (None, DATASET):
        given = ingest_config(dogs(tmp_path / "dogs", rows), "dogs", trained_on=trained_on)
        if trained_on is None:
            with pytest.raises(DataError, match="split train is empty"):
                ingest(given, tmp_path / "out")
        else:
            assert set(ingest(given, tmp_path / "out")["splits"]) == {"query", "gallery"}


def test_rows_are_ranked_on_another_set_and_the_table_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = tiny_params()
    params["study"]["rows"] = ["clip_reid", FUSED, LOCAL]
    params["study"]["datasets"] = [DATASET, OTHER]
    given = {"folder": "raw/elsewhere", "trained_on": DATASET, "attributes": None, "keypoints": None, "splits": None}
    params["datasets"][OTHER] = params["datasets"][DATASET] | given | {"shared_identities": 6, "min_frames": 1}
    prid_multi(tmp_path / "raw/elsewhere")
    config = write_study(params)
    write_inputs(config)
    towers = Path(f"results/pretrain/{DATASET}-0")
    shutil.copy(towers / "image.safetensors", towers / "initial.safetensors")
    run("ingest", OTHER)
    assert dataset_faults(config, OTHER) == []
    run("keypoints", OTHER)
    for stage, keys in build_graph(config).items():
        if stage in ("prompts", "finetune", "descriptors", "protocol"):
            for key in keys:
                run(stage, key)
    for key, entry in build_graph(config)["evaluate"].items():
        if entry["dataset"] == OTHER:
            run("evaluate", key)
    run("compare", OTHER)
    table = csv.DictReader(Path(f"results/compare/{OTHER}/table.csv").read_text(encoding="utf-8").splitlines())
    there = f"trained on {DATASET}"
    assert {row["row"]: row["predicted"] for row in table} == {
        **dict.fromkeys(("untrained", "pretrained", "clip_reid"), there),
        **dict.fromkeys((FUSED, LOCAL), f"{there}; keypoints by {DATASET}"),
    }
    assert read_record(Path(f"results/evaluate/{OTHER}-clip_reid-0/record")).params["encoder"] == FINETUNED
    frames, points = (
        open_frames(f"results/ingest/{OTHER}/frames.arrow"),
        read_keypoints(Path(f"results/keypoints/{OTHER}/keypoints.parquet")),
    )
    assert np.array_equal(points.frame_id, frames.frame_id)
