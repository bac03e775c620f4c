"""Attributes that another data set's model predicts: the words made of its probabilities, and who reads them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_folders import dog_rows, dogs, prid_multi
from params import raw_params
from safetensors.torch import load_file
from small_frames import small_frames
from tiny_study import DATASET, HEIGHT, WIDTH, run, tiny_params, write_study

from auxreid.attributes.label_report import label_report, report_lines
from auxreid.attributes.model import AttributeModel, build_backbone, save_model
from auxreid.attributes.predict import predict
from auxreid.clip.frame_captions import FrameCaptions
from auxreid.clipreid.identity_attributes import identity_attributes
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.data.labels import agreed_words, read_labels, write_labels
from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.feasible import feasibility_faults
from auxreid.plumbing.settings.recipes import AttributesConfig
from auxreid.plumbing.stage.record import read_record

LENDER, PLAIN = DATASET, "plain"
HAIR, HAT = ("short", "long"), ("no", "yes")


# the words


def words_of(rows) -> list[int]:
    """Of (identity, split, probability of the second word)."""
    identity, split, second = (np.array(column) for column in zip(*rows, strict=True))
    return agreed_words(np.stack([1 - second, second], axis=1), identity, split.astype(object)).tolist()


def test_an_individual_has_the_word_with_the_largest_mean_probability():
    assert words_of([(1, "train", 0.9), (1, "train", 0.4), (1, "train", 0.4)]) == [1, 1, 1]  # 1.7 of 3
    assert words_of([(1, "train", 0.6), (1, "train", 0.3), (2, "train", 0.6)]) == [0, 0, 1]  # 0.9 of 2


def test_one_frame_that_is_sure_of_the_other_word_does_not_outvote_all():
    """By log-probabilities it would: 4 log .9 + log .0001 < 4 log .1 + log .9999."""
    assert words_of([*[(1, "train", 0.9)] * 4, (1, "train", 0.0001)]) == [1] * 5


def test_frames_of_another_split_have_no_say():
    rows = [(1, "query", 0.4), (1, "gallery", 0.9), (1, "train", 0.3), (1, "train", 0.6)]
    assert words_of(rows) == [0, 1, 0, 0]


def test_what_has_one_word_for_all_or_nearly_all_is_named(tmp_path):
    frames = small_frames(tmp_path / "frames.arrow", range(1, 21))
    firsts = {"hair": 20, "hat": 19, "bag": 18}  # how many individuals have the first word
    probabilities = {name: np.eye(2)[(np.arange(20) >= count).astype(int)] for name, count in firsts.items()}
    report = label_report(frames, LENDER, dict.fromkeys(firsts, HAT), probabilities)
    assert (report["one_word"], report["nearly_one_word"]) == (["hair"], ["hat"])
    assert [line for line in report_lines(report) if "note" in line] == [
        "  note: one word for all, which tells nobody apart: hair",
        "  note: one word for 95% or more, which tells few apart: hat",
    ]


def test_frames_of_nobody_known_speak_for_themselves():
    unknown, distractor = [(-1, "gallery", 0.4), (-1, "gallery", 0.9)], [(0, "gallery", 0.2), (0, "gallery", 0.8)]
    assert words_of(unknown + distractor) == [0, 1, 0, 1]


def test_of_equal_means_the_first_word():
    assert words_of([(1, "train", 0.75), (1, "train", 0.25)]) == [0, 0]


# in the frames


def two_splits(path: Path) -> Path:
    """Four people of two frames in either camera, two of them trained on, by the split; and a frame of nobody."""
    known = {"split": "none", "width": 1, "height": 1}
    people = [(person, camera) for person in (1, 2, 3, 4) for camera in (1, 2)]
    rows = [
        {"path": f"{n}.png", "identity": who, "camera": camera, "image": b"%d" % n} | known
        for n, (who, camera) in enumerate([*people, (-1, 2)])
    ]
    splits = [{"train": [1, 2], "test": [3, 4]}, {"train": [3, 4], "test": [1, 2]}]
    write_frames(path, rows, FramesMeta("people", "prid2011", "prid2011_single_shot", "person", splits=splits))
    return path


def labels(path: Path, second: list[float]) -> Path:
    """Labels of `hair`, by the probability of its second word."""
    probabilities = np.stack([1 - np.array(second), second], axis=1)
    write_labels(path, "market", {"hair": HAIR}, np.arange(len(second)), {"hair": probabilities})
    return path


@pytest.fixture
def frames_and_labels(tmp_path) -> tuple[Path, Path]:
    #                     person 1    2         3         4         nobody
    second = [0.9, 0.2, 0.3, 0.4, 0.2, 0.9, 0.9, 0.0, 0.7]
    return two_splits(tmp_path / "frames.arrow"), labels(tmp_path / "labels.parquet", second)


def test_opened_frames_have_the_words_of_their_split(frames_and_labels):
    path, predicted = frames_and_labels
    plain, first, second = open_frames(path), open_frames(path, 0, predicted), open_frames(path, 1, predicted)
    assert (plain.meta.attributes, plain.meta.predicted_by) == ({}, "")
    assert (first.meta.attributes, first.meta.predicted_by) == ({"hair": list(HAIR)}, "market")
    # Trained on: both cameras agree on a word. Tested on: each camera, which is query or gallery, has its own.
    assert first.attribute_codes("hair").tolist() == [1, 1, 0, 0, 0, 1, 1, 0, 1]
    assert second.attribute_codes("hair").tolist() == [1, 0, 0, 0, 1, 1, 0, 0, 1]
    with pytest.raises(DataError, match="no attribute 'hat'; the data set has: hair"):
        first.attribute_codes("hat")


def test_a_selection_and_a_copy_in_another_process_keep_them(frames_and_labels):
    path, predicted = frames_and_labels
    train = open_frames(path, 1, predicted).where("train")
    for frames in (train, pickle.loads(pickle.dumps(train))):
        assert frames.attribute_codes("hair").tolist() == [1, 1, 0, 0] and frames.meta.predicted_by == "market"
    known = train.take([0, 2])
    assert identity_attributes(known, np.array([0, 1])).words_of(0) == {"hair": "long"}
    assert FrameCaptions(train).full(0) == "a photo of a person, with long hair".replace(",", "")


def test_labels_of_other_frames_and_beside_own_attributes_are_refused(frames_and_labels, tmp_path):
    path, _ = frames_and_labels
    fewer = labels(tmp_path / "fewer.parquet", [0.5] * 4)
    with pytest.raises(DataError, match=r"fewer.parquet: is of 4 frames, not of the 9 that were ingested; make"):
        open_frames(path, 0, fewer).attribute_codes("hair")
    own = small_frames(tmp_path / "own.arrow", [1, 2], vocabulary={"hat": HAT})
    with pytest.raises(DataError, match=r"own.arrow: has attributes of its own \(hat\), and .*fewer.parquet predicted"):
        open_frames(tmp_path / "own.arrow", 0, fewer)
    assert own.meta.predicted_by == ""
    with pytest.raises(DataError, match="no such file of predicted attributes"):
        read_labels(tmp_path / "none.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="no file of predicted attributes"):
        read_labels(tmp_path / "broken.parquet")


# in the study


def study(**changes) -> dict:
    """A study of a data set without attributes alone, whose attributes the sample's people lend it."""
    raw = tiny_params()
    lent = {"attributes": {"predicted_by": LENDER}, "folder": "raw/plain", "recipe": PLAIN, "keypoints": None}
    raw["datasets"][PLAIN] = raw["datasets"][LENDER] | lent | {"splits": None, "n_splits": None} | changes
    raw["recipes"][PLAIN] = json.loads(json.dumps(raw["recipes"][LENDER])) | {"pose": None}
    raw["recipes"][PLAIN]["pretrain"] |= {"epochs": 1, "warmup_epochs": 0}
    raw["recipes"][LENDER]["attributes"] = classifier()
    rows = ["attribute_prompts_corrected", "attribute_smoothing_both_corrected"]
    raw["study"] = {"datasets": [PLAIN], "seeds": [0], "rows": rows}
    return raw


def classifier() -> dict:
    taken = raw_params()["recipes"]["sample_dogs"]["attributes"]
    return taken | {"height": 32, "width": 16, "epochs": 1, "warmup_epochs": 0, "batch_size": 8}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Ingested: six people with four images each, of whom no word is known, and a model that was trained elsewhere."""
    monkeypatch.chdir(tmp_path)
    identities = sorted([*range(1, 7)] * 4)
    small_frames(Path(f"results/ingest/{PLAIN}/frames.arrow"), identities, size=(WIDTH, HEIGHT), name=PLAIN)
    torch.manual_seed(0)
    model = AttributeModel(build_backbone("test_resnet", None), PERSON_ATTRIBUTES)
    with torch.no_grad():
        for head in model.heads.values():
            head.weight.mul_(200)  # as drawn, they say the same of all noise
    model.calibration.temperatures = {name: 0.5 + place / 10 for place, name in enumerate(model.vocabulary)}
    path = Path(f"results/attributes/{LENDER}/model.safetensors")
    path.parent.mkdir(parents=True)
    settings = AttributesConfig.model_validate_json(json.dumps(classifier()))
    save_model(path, model, settings.backbone, settings)
    return tmp_path


def test_the_stage_writes_the_models_calibrated_probabilities_and_tells_how_far_to_trust_them(folder, capsys):
    from auxreid.attributes.model import load_model

    write_study(study())
    run("labels", PLAIN)
    frames = open_frames(f"results/ingest/{PLAIN}/frames.arrow")
    model, spec = load_model(f"results/attributes/{LENDER}/model.safetensors")
    wanted, found = predict(model, frames, spec), read_labels(f"results/labels/{PLAIN}/labels.parquet")
    assert found.predicted_by == LENDER and list(found.vocabulary) == list(PERSON_ATTRIBUTES)
    for name in PERSON_ATTRIBUTES:
        np.testing.assert_allclose(found.probabilities(name), wanted[name], atol=1e-6)
    report = json.loads(Path(f"results/labels/{PLAIN}/report.json").read_text())
    assert (report["frames"], report["individuals"], report["predicted_by"]) == (24, 6, LENDER)
    hair = report["attributes"]["hair"]
    assert sum(hair["individuals"].values()) == 6 and sum(hair["frames"].values()) == 24
    assert hair["mean_probability"] == pytest.approx(wanted["hair"].max(axis=1).mean(), abs=1e-4)
    one_word = [name for name, one in report["attributes"].items() if 6 in one["individuals"].values()]
    assert report["one_word"] == one_word
    said = capsys.readouterr().out
    assert "plain: 24 images of 6 individuals, attributes predicted by sample_people" in said
    assert (f"one word for all, which tells nobody apart: {', '.join(one_word)}" in said) == bool(one_word)
    record = read_record(Path(f"results/labels/{PLAIN}/record"))
    assert record.params["attributes_predicted_by"] == LENDER and record.summary["individuals"] == 6


def test_a_row_of_attributes_runs_on_them_from_captions_to_stage_2(folder):
    config = write_study(study())
    assert feasibility_faults(config) == []
    smoothed = config.ablations["attribute_smoothing_both_corrected"].prompts
    for stage, key in (
        ("labels", PLAIN),
        ("pretrain", f"{PLAIN}-0"),
        ("prompts", f"{PLAIN}-attribute_sentences-0"),
        ("finetune", f"{PLAIN}-attribute_prompts_corrected-0"),
        ("prompts", f"{PLAIN}-{smoothed}-0"),
        ("finetune", f"{PLAIN}-attribute_smoothing_both_corrected-0"),
    ):
        run(stage, key)
        told = read_record(Path(f"results/{stage}/{key}/record")).params
        wanted = {"labels": ["attributes"], "pretrain": ["captions"]}.get(stage, ["captions", "attributes"])
        predicted = {name: value for name, value in told.items() if name.endswith("_predicted_by")}
        assert predicted == {f"{what}_predicted_by": LENDER for what in wanted}, stage
    texts = load_file(f"results/prompts/{PLAIN}-attribute_sentences-0/prompts.safetensors")["texts"]
    frames = open_frames(f"results/ingest/{PLAIN}/frames.arrow", 0, f"results/labels/{PLAIN}/labels.parquet")
    codes = np.stack([frames.attribute_codes(name)[::4] for name in frames.meta.attributes], axis=1)
    apart = [(one, other) for one in range(6) for other in range(one) if (codes[one] != codes[other]).any()]
    assert len(apart) == 15 and all(not torch.equal(texts[one], texts[other]) for one, other in apart)


def test_without_the_labels_a_row_stops_with_the_file_that_is_missing(folder):
    write_study(study())
    with pytest.raises(DataError, match=r"results/labels/plain/labels.parquet: no such file of predicted attributes"):
        run("pretrain", f"{PLAIN}-0")


def test_what_the_lender_lacks_is_told_before_it_is_trained(folder):
    small_frames(Path(f"results/ingest/{LENDER}/frames.arrow"), [1, 2], name=LENDER)
    raw = study(keypoints={"predicted_by": LENDER})
    raw["study"]["rows"].append("keypoints_raw")
    told = feasibility_faults(write_study(raw))
    assert told[:2] == [
        "datasets.plain.attributes.predicted_by = 'sample_people': none of its images has an attribute",
        "datasets.plain.keypoints.predicted_by = 'sample_people': none of its images has keypoints",
    ]


def test_a_batch_of_captions_counts_all_training_images_which_get_labels(folder):
    raw = study()
    raw["recipes"][PLAIN]["pretrain"]["batch_size"] = 25
    assert "24 training images of plain have a caption" in feasibility_faults(write_study(raw))[0]


# the ingest


def test_an_ingest_reads_no_labels_of_a_data_set_that_gets_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prid_multi(tmp_path / "raw/plain")
    write_study(study(shared_identities=6, min_frames=1, keypoints={"predicted_by": LENDER}))
    run("ingest", PLAIN)
    frames = open_frames(f"results/ingest/{PLAIN}/frames.arrow")
    assert (frames.meta.attributes, frames.meta.joints) == ({}, [])


def test_a_table_s_own_attributes_are_not_read_where_they_are_to_be_predicted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dogs(tmp_path / "raw/dogs", dog_rows())
    raw = raw_params()
    raw["study"] |= {"datasets": ["dogs"], "rows": ["clip_reid"]}
    raw["datasets"]["dogs"] |= {"attributes": {"predicted_by": "sample_dogs"}, "recipe": None}
    write_study(raw)
    run("ingest", "dogs")
    told = "the table's attributes (color, coat) are not read: sample_dogs's model predicts them"
    assert f"note: {told}" in capsys.readouterr().out
    assert open_frames("results/ingest/dogs/frames.arrow").meta.attributes == {}
