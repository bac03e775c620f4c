"""A data set without attributes: rows without texts run from image weights, the others on a borrowed text tower."""

from pathlib import Path

import pytest
import torch
from params import raw_params
from safetensors.torch import load_file
from small_frames import small_frames
from tiny_study import HEIGHT, WIDTH, person, run, tiny_params, write_study

from auxreid.clip.checkpoints import load_image_encoder, load_text_tower
from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.applicability import applicable_rows, exclusions, not_applicable
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.settings.load import parse_config

PLAIN, CAPTIONED = "plain", "sample_people"
WHY = (
    "needs a text tower, and datasets.plain.attributes names no table to pre-train one on; "
    "recipes.sample_people.pretrain.captions_from may name a data set with attributes, or its encoder be of kind "
    "open_clip, whose weights bring a text tower"
)


def params(**pretrain) -> dict:
    """A study of a data set without attributes alone, in PRID2011's layout, whose recipe takes a second."""
    raw = tiny_params()
    raw["datasets"][PLAIN] = raw["datasets"][CAPTIONED] | {"attributes": None, "folder": "raw/plain", "n_splits": 3}
    raw["study"] = {"datasets": [PLAIN], "seeds": [0, 1], "rows": ["visual_only_corrected", "clip_reid", "centroids"]}
    raw["recipes"][CAPTIONED]["pretrain"] |= {"epochs": 2, "batch_size": 8, "warmup_epochs": 0} | pretrain
    return raw


def with_rows(raw: dict, *rows: str) -> dict:
    raw["study"]["rows"] = list(rows)
    return raw


def frames(name: str, captions: bool, seed: int) -> None:
    """Six people with four images each: of these alone, or with words for each person."""
    words = {number: person(number + seed) for number in range(1, 7)} if captions else None
    vocabulary = PERSON_ATTRIBUTES if captions else None
    path = Path(f"results/ingest/{name}/frames.arrow")
    small_frames(path, sorted([*range(1, 7)] * 4), size=(WIDTH, HEIGHT), vocabulary=vocabulary, words=words, name=name)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frames(PLAIN, captions=False, seed=0)
    frames(CAPTIONED, captions=True, seed=7)
    return tmp_path


def test_rows_that_read_texts_are_listed_with_what_is_missing_and_what_could_stand_in():
    config = parse_config(params())
    assert applicable_rows(config, PLAIN) == ("visual_only_corrected", "centroids")
    assert exclusions(config) == [f"plain: row clip_reid is not applicable: {WHY}"]
    graph = build_graph(config)
    assert {body["variant"] for body in graph["prompts"].values()} == {"centroids"}
    assert list(graph["ingest"]) == [PLAIN] and graph["compare"][PLAIN]["not_applicable"] == {"clip_reid": WHY}


def test_random_prompts_are_texts_too_and_a_row_of_attributes_needs_these_first():
    config = parse_config(with_rows(params(), "visual_only", "attribute_tokens"))
    listed = not_applicable(config, PLAIN)
    assert listed["visual_only"] == WHY
    missing = "datasets.plain.attributes names no table and no predicted_by"
    assert listed["attribute_tokens"] == f"needs attributes, and {missing}"


def test_pretrain_null_asks_for_no_text_tower():
    raw = params()
    raw["recipes"][CAPTIONED]["pretrain"] = None
    raw["study"]["datasets"] = [CAPTIONED]
    config = parse_config(raw)
    assert not_applicable(config, CAPTIONED)["clip_reid"].startswith(
        "needs a text tower, and recipes.sample_people.pretrain is null"
    )
    assert applicable_rows(config, CAPTIONED) == ("visual_only_corrected", "centroids")


def test_captions_from_puts_the_other_data_sets_ingest_into_the_graph_and_no_other_stage_of_it():
    graph = build_graph(parse_config(with_rows(params(captions_from=CAPTIONED), "clip_reid", "attribute_tokens")))
    assert list(graph["ingest"]) == [PLAIN, CAPTIONED]
    own = {"folder": "data/sample/people", "vocabulary": f"datasets.{CAPTIONED}"}
    assert graph["ingest"][CAPTIONED] == {"dataset": CAPTIONED} | own
    rest = [body for stage, keys in graph.items() if stage != "ingest" for body in keys.values()]
    assert {body["dataset"] for body in rest} == {PLAIN}
    # Neither seed's split of the data set itself is seen, so that one start serves both.
    [(key, start)] = graph["pretrain"].items()
    assert key == "plain-0" and start["captions"] == "results/ingest/sample_people/frames.arrow"
    text = "results/pretrain/plain-0/text.safetensors"
    assert {body["text"] for body in graph["prompts"].values()} == {text} and len(graph["prompts"]) == 2
    assert list(graph["compare"][PLAIN]["not_applicable"]) == ["attribute_tokens"]  # its own people have none


def test_a_data_set_that_its_own_recipe_names_is_trained_as_if_nothing_was_named():
    raw = params(captions_from=CAPTIONED)
    raw["study"]["datasets"] = [PLAIN, CAPTIONED]
    named = build_graph(parse_config(raw))["pretrain"]
    raw["recipes"][CAPTIONED]["pretrain"]["captions_from"] = None
    assert {key: named[key] for key in named if key.startswith(CAPTIONED)} == {
        key: body for key, body in build_graph(parse_config(raw))["pretrain"].items() if key.startswith(CAPTIONED)
    }
    assert sorted(named) == ["plain-0", "sample_people-0", "sample_people-1"]  # a start per split of its own images


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("market", r"captions_from = 'market': not in datasets \(plain, sample_people\)"),
        ("plain", r"captions_from = 'plain': datasets.plain.attributes names no table .*allowed: sample_people"),
    ],
)
def test_captions_that_are_not_there_are_named(source, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(params(captions_from=source))


def test_baselines_are_called_by_their_weights():
    def rows(**encoder) -> list[str]:
        raw = raw_params()
        raw["study"]["datasets"], raw["study"]["rows"] = ["market1501"], ["clip_reid"]
        raw["datasets"]["market1501"] |= {"recipe": encoder.pop("recipe"), **encoder}
        return [row for row in build_graph(parse_config(raw))["compare"]["market1501"]["rows"] if row != "clip_reid"]

    assert rows(recipe="sample_people") == ["untrained", "pretrained"]
    assert rows(recipe="lite0") == ["image_weights", "pretrained"]
    assert rows(recipe="rn50") == ["pretrained"]  # OpenAI's, which nothing is trained before
    assert rows(recipe="lite0", attributes=None) == ["image_weights"]


def test_without_captions_the_start_is_the_image_weights_and_rows_without_texts_train_from_them(folder):
    write_study(params())
    run("pretrain", f"{PLAIN}-0")
    start = Path(f"results/pretrain/{PLAIN}-0")
    assert (start / "image.safetensors").read_bytes() == (start / "initial.safetensors").read_bytes()
    assert load_image_encoder(start / "image.safetensors").remark == "image weights as initialised, no captions"
    with pytest.raises(DataError, match=r"text.safetensors: there is no text tower: plain has no captions"):
        load_text_tower(start / "text.safetensors")
    run("finetune", f"{PLAIN}-visual_only_corrected-0")
    run("prompts", f"{PLAIN}-centroids-0")
    run("finetune", f"{PLAIN}-centroids-0")
    for row in ("visual_only_corrected", "centroids"):
        tuned = load_file(f"results/finetune/{PLAIN}-{row}-0/encoder.safetensors")
        first = load_file(start / "image.safetensors")
        assert any(not torch.equal(tuned[name], first[name]) for name in first)


def test_with_captions_from_another_data_set_both_stages_run_on_what_that_one_alone_would_give(folder):
    """The towers are those of the captioned data set's own pre-training, to the bit."""
    config = params(captions_from=CAPTIONED)
    config["study"]["datasets"] = [PLAIN, CAPTIONED]
    write_study(config)
    for dataset in (PLAIN, CAPTIONED):
        run("pretrain", f"{dataset}-0")
    for part in ("initial", "image", "text"):
        ours, theirs = (load_file(f"results/pretrain/{name}-0/{part}.safetensors") for name in (PLAIN, CAPTIONED))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs) and ours.keys() == theirs.keys()
    borrowed = load_image_encoder(f"results/pretrain/{PLAIN}-0/image.safetensors")
    assert borrowed.remark == "pre-trained on captions of sample_people"
    run("prompts", f"{PLAIN}-learned-0")
    run("finetune", f"{PLAIN}-clip_reid-0")
    assert Path(f"results/finetune/{PLAIN}-clip_reid-0/encoder.safetensors").is_file()
