"""Stages `index` and `search`: the table of runs, what params.yaml may not say, the scripts on a small set of dogs."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml
from params import ROOT, raw_params
from pets_client import pets
from search_study import DATASET, VOCABULARY, search_params, write_inputs
from tiny_study import run, run_study, write_study

from auxreid.data.frames import open_frames
from auxreid.lostpets.command import answer_of
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.indexing.home import open_home_base
from auxreid.lostpets.looker import Looker
from auxreid.lostpets.memory import MemoryBase
from auxreid.lostpets.query import Facts, Query, Stated
from auxreid.lostpets.service.looking import SharedLooker
from auxreid.lostpets.study import open_made
from auxreid.metric.scores import read_metric_scores
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.study_files import missing_files
from auxreid.plumbing.graph.table import build_graph, remove_stale_scores
from auxreid.plumbing.settings.load import load_config, parse_config
from auxreid.plumbing.stage.record import read_record
from auxreid.search.fusion import Fusion
from auxreid.search.networks import Files, Networks
from auxreid.search.rows import read_rows, rows_file
from auxreid.serving.metric_encoder import MetricEncoder
from auxreid.serving.photos import open_photos

RESULTS = Path("results")
SIZE = {"height": 32, "width": 32, "mean": [0.5] * 3, "std": [0.5] * 3}


# the table of runs


def test_the_project_s_study_builds_no_search_and_a_named_data_set_s_for_every_seed():
    raw = raw_params()
    assert build_graph(parse_config(raw))["index"] == {}
    raw["study"] |= {"metric_rows": ["untouched"], "search": [DATASET]}
    graph = build_graph(parse_config(raw))
    assert list(graph["index"]) == [f"{DATASET}-{seed}" for seed in raw["study"]["seeds"]]
    entry = graph["index"][f"{DATASET}-0"]
    assert entry["embedding"] == f"results/metric/{DATASET}-untouched-0/model.safetensors"
    assert entry["attributes"] == f"results/attributes/{DATASET}/model.safetensors"
    assert entry["on_attributes"] and entry["backbone"].startswith("pipeline/nothing/")
    assert graph["search"][DATASET]["seeds"] == raw["study"]["seeds"]


def test_a_trained_row_brings_its_held_out_embeddings_and_a_chain_s_row_its_encoder():
    entry = build_graph(parse_config(search_params("whitening")))["index"][f"{DATASET}-0"]
    assert entry["held_out"] == f"results/metric_scores/{DATASET}/whitening-0.safetensors"
    raw = raw_params()
    raw["study"] |= {"rows": ["clip_reid"], "search": [DATASET]}
    raw["datasets"][DATASET]["recipe"] = "sample_dogs_reid"
    recipe = raw["recipes"]["sample_dogs_reid"]
    recipe["attributes"] = raw["recipes"][DATASET]["attributes"]
    recipe["search"] = raw["recipes"][DATASET]["search"] | {"embedding": {"kind": "row", "row": "clip_reid"}}
    entry = build_graph(parse_config(raw))["index"][f"{DATASET}-0"]
    assert entry["embedding"] == f"results/finetune/{DATASET}-clip_reid-0/encoder.safetensors"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("study.search", ["sample_people"], "study.search: 'sample_people' is no data set of the study whose recipe"),
        ("recipes.sample_dogs.search", None, "these have: none is defined"),
        ("recipes.sample_dogs.search.embedding.row", "arcface", "row = 'arcface': not among study.metric_rows"),
        ("recipes.sample_dogs.search.embedding.kind", "row", "search.embedding is of kind row, and the recipe has no"),
        ("recipes.sample_dogs.search.places", {"park": {"latitude": 91.0, "longitude": 0.0}}, "latitude = 91.0: Input"),
        ("recipes.sample_dogs.attributes", None, "'sample_dogs': a search needs an attribute model"),
    ],
)
def test_a_fault_is_told_in_a_line(path, value, told):
    raw = search_params()
    if path.endswith("attributes"):
        raw["recipes"][DATASET]["metric"]["features"]["backbone"] = {"kind": "timm", "name": "test_resnet"} | SIZE
    *above, last = path.split(".")
    block = raw
    for name in above:
        block = block[name]
    block[last] = value
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    assert [line for line in str(caught.value).splitlines() if told in line], caught.value


def test_rows_of_a_seed_that_left_the_study_are_removed_and_those_of_a_search_beside_it_stay(tmp_path):
    raw = search_params()
    files = [tmp_path / f"index_rows/{name}.parquet" for name in (f"{DATASET}/0", f"{DATASET}/7", "others/7")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert remove_stale_scores(parse_config(raw), tmp_path) == [files[1]]
    assert [path.exists() for path in files] == [True, False, True]


# the scripts


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a study whose search is built."""
    stages = ("metric_features", "metric", "index", "search")
    return run_study(tmp_path_factory.mktemp("study"), search_params(), write_inputs, stages)


@pytest.fixture
def there(finished, monkeypatch):
    monkeypatch.chdir(finished)
    return finished


def test_every_output_of_dvc_yaml_is_written(there):
    text = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in ("index", "search"):
        body = text[stage]["do"]
        for key, entry in build_graph(parse_config(search_params()))[stage].items():
            for out in [*body["outs"], *body.get("metrics", ())]:
                for name, value in entry.items():
                    out = out.replace(f"${{item.{name}}}", str(value))
                assert Path(out.replace("${key}", key)).exists(), out


def test_the_rows_hold_every_frame_with_what_is_known_of_it(there):
    rows = read_rows(rows_file(RESULTS, DATASET, 0))
    frames = open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow")
    assert len(rows) == len(frames) == 73 and len(set(rows.frame)) == 73  # one file is there twice
    assert rows.header.vocabulary == VOCABULARY and rows.held_out is None
    assert rows.dog[0] == "dog_1" and rows.dog[-1].startswith("unknown ")
    assert rows.date[0] == "2024-05-01" and list(rows.place[:3]) == ["park", "elsewhere", ""]
    assert np.isfinite(rows.latitude[0]) and np.isnan(rows.latitude[1:3]).all()
    np.testing.assert_allclose(np.linalg.norm(rows.looks.embedding, axis=1), 1, atol=1e-5)
    assert all(content[:2] == b"\xff\xd8" for content in rows.thumbnail)


def test_a_photograph_is_looked_at_as_its_frame_was_with_one_backbone_for_both_networks(there):
    made = open_made()
    frames = open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow")
    photos = [bytes(frames.image_bytes(place)) for place in range(4)]
    looker = Looker(made.files)
    looks = looker.look(photos)
    assert looker.networks.shares_backbone and looker.model == made.fusion.model
    np.testing.assert_allclose(looks.embedding, made.rows.looks.embedding[:4], atol=1e-5)
    for name in VOCABULARY:
        np.testing.assert_allclose(looks.probabilities[name], made.rows.looks.probabilities[name][:4], atol=1e-5)
    alone = MetricEncoder(made.files.embedding, made.files.backbone).embed(open_photos(photos))
    np.testing.assert_allclose(looks.embedding, alone, atol=1e-5)
    half = looker.look(photos[:1], [(0.0, 0.0, 0.5, 0.5)])
    assert not np.allclose(half.embedding, looks.embedding[:1], atol=1e-3)


@pytest.mark.parametrize("crop", [(0.5, 0.5, 0.6, 0.1), (-0.1, 0, 0.5, 0.5), (0, 0, 0, 1), (0.2, 0.2, float("nan"), 1)])
def test_a_crop_outside_of_the_photograph_is_refused(there, crop):
    frames = open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow")
    with pytest.raises(DataError, match=r"photograph 0: crop .* must be shares"):
        Looker(open_made().files).look([bytes(frames.image_bytes(0))], [crop])


def test_the_fusion_is_of_the_first_seed_s_networks_and_weighs_what_photographs_say(there):
    fusion = Fusion.from_json((RESULTS / f"search/{DATASET}/fusion.json").read_text())
    assert fusion.model == read_rows(rows_file(RESULTS, DATASET, 0)).header.model
    record = read_record(RESULTS / f"search/{DATASET}/record")
    assert record.summary == json.loads((RESULTS / f"search/{DATASET}/metrics.json").read_text())
    assert 0 < record.summary["visual_only.mAP"] <= 1 and "fusion_1_stated.mAP" in record.summary
    assert "fusion, 1 stated" in (RESULTS / f"search/{DATASET}/table.md").read_text()
    assert (RESULTS / f"search/{DATASET}/record/figures/strangers.png").is_file()
    made = open_made()
    engine = Engine(Looker(made.files), MemoryBase(made.rows), made.fusion)
    frames = open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow")
    answer = engine.search(Query((bytes(frames.image_bytes(40)),), facts=Facts(until=date(2024, 5, 20))))
    assert answer.dogs[0].dog == "dog_14" and answer.searched == 61
    assert len(answer.dogs[0].terms) == 3


def test_a_description_alone_needs_no_network(there, capsys):
    answer_of(Query(text="a small dog", stated={"ears": Stated(("drop",))}), [], None, None, False, "en")
    told = capsys.readouterr().out
    assert '"small": size: small' in told and "searched: 73 photographs of 25 dogs" in told


def test_a_picture_of_the_answer_is_drawn_and_json_is_the_whole_of_it(there, capsys, tmp_path):
    photo = tmp_path / "mine.png"
    photo.write_bytes(bytes(open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow").image_bytes(3)))
    answer_of(Query(dogs=3), [photo], DATASET, tmp_path / "ranked.png", True, "ru")
    assert json.loads(capsys.readouterr().out)["dogs"][0]["dog"] == "dog_2"
    assert (tmp_path / "ranked.png").read_bytes()[:4] == b"\x89PNG"


def test_other_networks_than_the_search_s_are_refused(there, monkeypatch):
    monkeypatch.setattr(Files, "hash", lambda self: "f" * 64)
    with pytest.raises(DataError, match="the networks are others than those of the search; run `dvc repro`"):
        open_made()


def test_without_a_search_the_way_to_one_is_told(tmp_path):
    with pytest.raises(ConfigError, match="no data set has a search yet: `auxreid pets`"):
        open_made(root=tmp_path)


def test_a_trained_row_is_calibrated_by_embeddings_of_networks_that_do_not_know_the_dog(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUXREID_LIVE", "off")
    monkeypatch.syspath_prepend(str(ROOT / "pipeline"))
    config = write_study(search_params("whitening"))
    write_inputs()
    for stage in ("metric_features", "metric", "index", "search"):
        for key in build_graph(config)[stage]:
            run(stage, key)
    held_out = read_metric_scores(RESULTS, DATASET, "whitening", 0).held_out
    rows = read_rows(rows_file(RESULTS, DATASET, 0))
    np.testing.assert_array_equal(rows.fold >= 0, rows.split == "val")
    np.testing.assert_array_equal(rows.held_out[held_out.frame_id], held_out.embeddings)
    dogs_of_fold = [set(rows.dog[rows.fold == fold]) for fold in (0, 1)]
    assert not dogs_of_fold[0] & dogs_of_fold[1]
    assert read_metric_scores(RESULTS, DATASET, "untouched", 0).held_out is None
    assert Networks(open_made().files).shares_backbone


def test_what_people_said_at_the_page_is_learnt_from_by_the_next_run_of_the_stage(there, tmp_path):
    made, frames = open_made(), open_frames(RESULTS / f"ingest/{DATASET}/frames.arrow")
    engine = Engine(SharedLooker(Looker(made.files)), open_home_base(tmp_path, made.rows), made.fusion)
    with pets(tmp_path, engine) as service:
        asked = service.search(bytes(frames.image_bytes(0)), dogs=30).json()
        dogs = [dog["dog"] for dog in asked["answer"]["dogs"]]
        for dog in ("dog_1", "dog_2", "dog_13"):
            assert dog in dogs
            said = {"search": asked["search"], "dog": dog, "verdict": "same" if dog == "dog_1" else "different"}
            assert service.ask("POST", "/api/feedback", said=said).status_code == 204
    params = search_params()
    params["recipes"][DATASET]["search"]["feedback"] = str(tmp_path / "feedback.jsonl")
    try:
        write_study(params)
        run("search", DATASET)
        after = Fusion.from_json((RESULTS / f"search/{DATASET}/fusion.json").read_text())
        assert read_record(RESULTS / f"search/{DATASET}/record").summary["pairs_from_feedback"] == 2  # dog_13 is tested
        assert after.about["pairs_from_feedback"] == 2 and after.weights != made.fusion.weights
        (tmp_path / "feedback.jsonl").unlink()
        with pytest.raises(DataError, match=r"feedback.jsonl: no such log of feedback"):
            run("search", DATASET)
        assert missing_files(load_config())[0][0].endswith("feedback.jsonl': no such file")
    finally:
        write_study(search_params())
        run("search", DATASET)
