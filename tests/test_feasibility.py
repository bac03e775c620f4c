"""What a data set makes impossible is told before any training, by name and with the remedy."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from dataset_folders import prid_multi
from params import CONFIG
from small_frames import small_frames
from tiny_study import DATASET, run, tiny_params, write_study

from auxreid.clipreid.feasibility import Study, study_faults
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.feasible import feasibility_faults
from auxreid.plumbing.stage.record import read_record

Row = tuple[str, int, int, str]  # split, identity, camera, sequence
TRAIN = [("train", person, camera, "") for person in range(1, 17) for camera in (1, 2)]
TEST = [("query", 20, 1, ""), ("gallery", 20, 2, ""), ("gallery", 21, 1, "")]
FITS = dict(layout="market1501", protocol="market1501")
SPLIT = [("a", "train"), ("b", "train"), ("c", "test"), ("d", "test")]
DOGS = dict(layout="dogs", protocol="dogs", word="dog")


def ingested(path: Path, rows: Sequence[Row], *, word: str = "person", splits=(), **meta) -> Path:
    """A frames file that no image need be read of."""
    columns = ("split", "identity", "camera", "sequence")
    full = [
        {"path": f"{n}.png", "width": 1, "height": 1, "image": b"%d" % n, **dict(zip(columns, row, strict=True))}
        for n, row in enumerate(rows)
    ]
    write_frames(path, full, FramesMeta("people", word=word, splits=list(splits), **(FITS | meta)))
    return path


@pytest.fixture
def faults(tmp_path):
    """The faults of a data set of these rows with the recipe rn50: 16 individuals in a batch, and no captions."""

    def found(rows: Sequence[Row], *names: str, split: int = 0, ablations=None, **meta) -> list[str]:
        path = ingested(tmp_path / "frames.arrow", rows, **meta)
        known = {name: CONFIG.ablations[name] for name in names or ("clip_reid",)} | (ablations or {})
        study = Study("rn50", CONFIG.recipes["rn50"], known, None, joints=tuple(meta.get("joints", ())))
        return list(study_faults(open_frames(path, split), study))

    return found


def test_a_data_set_that_is_enough_has_no_fault(faults):
    assert faults(TRAIN + TEST) == []


def test_fewer_people_than_a_batch_has(faults):
    key = "people: recipes.rn50.finetune.identities = 16 individuals in a batch, and split train has"
    assert faults(TRAIN[:30] + TEST) == [f"{key} 15; lower it to 15 at most"]
    assert faults(TRAIN[:1] + TEST) == [f"{key} 1; a second one is needed"]
    junk = [("train", -1, 1, "")] * 40
    assert faults(junk + TRAIN[:30] + TEST) == [f"{key} 15; lower it to 15 at most"]


def test_a_row_with_a_batch_of_its_own_is_named_by_its_own_key(faults):
    own = CONFIG.ablations["clip_reid"].model_copy(update={"finetune": {"identities": 20}})
    key = "people: ablations.own.finetune.identities = 20 individuals in a batch, and split train has 16"
    assert faults(TRAIN + TEST, ablations={"own": own}) == [f"{key}; lower it to 16 at most"]


def test_one_image_of_each_person_can_be_sampled(faults):
    assert faults(TRAIN[::2] + TEST) == []


def test_training_images_of_nobody(faults):
    nobody = [("train", -1, 1, "")] * 5
    told = "recipes.rn50.finetune learns to tell individuals apart, and none of 5 training images says whom it shows"
    assert faults(nobody + TEST) == [f"people: {told}; name them, or take a recipe that trains no chain"]
    found = faults([*nobody, ("test", -1, 0, "a"), ("test", -1, 0, "b")], **DOGS)
    column = "see the column dog_id of frames.csv"
    assert found == [
        f"people: {told}; {column}; name them, or take a recipe that trains no chain",
        "people: protocol dogs: no query and no gallery images: none of 2 test images says whom it shows; " + column,
    ]


def test_equal_cameras_are_why_no_query_has_a_true_match(faults):
    one_camera = [("query", 20, 3, ""), ("query", 21, 3, ""), ("gallery", 20, 3, ""), ("gallery", 21, 3, "")]
    start = "people: protocol market1501: no query has a true match in the gallery: "
    assert faults(TRAIN + one_camera) == [
        f"{start}2 individuals are in both, but all are of one camera, and a match must be of another; "
        "see c<camera> of the file names"
    ]
    own = [("query", 20, 1, ""), ("query", 21, 2, ""), ("gallery", 20, 1, ""), ("gallery", 21, 2, "")]
    assert faults(TRAIN + own) == [
        f"{start}2 individuals are in both, but each is there in the query's own camera alone, and a match must be of "
        "another; see c<camera> of the file names"
    ]


def test_other_people_in_query_and_gallery(faults):
    apart = [("query", 20, 1, ""), ("gallery", 21, 2, ""), ("gallery", 0, 2, ""), ("query", 0, 1, "")]
    assert faults(TRAIN + apart)[0].endswith("true match in the gallery: no individual of the query is in the gallery")


def test_a_body_that_no_joint_measures_is_told_before_an_hrnet_is_fitted(faults):
    found = faults(TRAIN + TEST, "keypoints_body", joints=["nose", "left_hip", "right_hip"])
    assert len(found) == 1 and found[0].startswith(
        "people: ablations.keypoints_body.pose.coordinates = 'body': joints nose, left_hip, right_hip: no trunk"
    )
    assert faults(TRAIN + TEST, "keypoints_body", joints=["neck", "left_hip", "right_hip"]) == []


def test_dogs_match_in_another_sequence(faults):
    train = [("train", dog, 0, f"{dog}") for dog in range(1, 17)]
    assert faults([*train, ("query", 20, 0, "a"), ("gallery", 20, 0, "b")], **DOGS) == []
    found = faults([*train, ("query", 20, 0, "a"), ("gallery", 20, 0, "a")], **DOGS)
    assert found == [
        "people: protocol dogs: no query has a true match in the gallery: 1 individual is in both, but all are of "
        "one sequence, and a match must be of another; see the column sequence of frames.csv"
    ]
    assert "no test dog has two sequences" in faults([*train, ("gallery", 20, 0, "a")], **DOGS)[0]


def test_each_split_of_the_study_is_looked_at(faults):
    people = [("none", person, camera, "") for person in range(1, 19) for camera in (1, 2)]
    splits = [{"train": [*range(1, 17)], "test": [17, 18]}, {"train": [1, 2], "test": [*range(3, 19)]}]
    prid = dict(layout="prid2011", protocol="prid2011_multi_shot", splits=splits)
    assert faults(people, split=0, **prid) == []
    assert "split train has 2;" in faults(people, split=1, **prid)[0]


def test_several_images_under_the_single_shot_protocol(faults):
    prid = dict(layout="prid2011", protocol="prid2011_single_shot")
    assert "the single-shot protocol takes one" in faults(TRAIN + TEST + TEST, **prid)[0]


# in the study


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A study of the sample's people: six of them, with words, in 24 training images."""
    monkeypatch.chdir(tmp_path)
    small_frames(
        Path(f"results/ingest/{DATASET}/frames.arrow"),
        sorted([*range(1, 7)] * 4),
        size=(32, 64),
        vocabulary={"hair": ["long", "short"]},
        words={person: {"hair": "long"} for person in range(1, 7)},
        name=DATASET,
    )
    return tmp_path


def params(pretrain: int = 8, identities: int = 4) -> dict:
    raw = tiny_params()
    raw["study"]["rows"] = ["clip_reid"]
    raw["recipes"][DATASET]["pretrain"]["batch_size"] = pretrain
    raw["recipes"][DATASET]["finetune"]["identities"] = identities
    return raw


FEW_PEOPLE = (
    "sample_people: recipes.sample_people.finetune.identities = 9 individuals in a batch, and split train has 6; "
    "lower it to 6 at most"
)
AFTER_A_CHANGE = "if the data were changed since: `dvc repro ingest`"
FEW_CAPTIONS = (
    "sample_people: recipes.sample_people.pretrain.batch_size = 25, and 24 training images of sample_people have a "
    "caption: not one batch; lower it to 24 at most"
)


def test_a_batch_of_captions_that_is_not_there_was_a_loss_of_nan(study):
    assert feasibility_faults(write_study(params(pretrain=24))) == []
    assert feasibility_faults(write_study(params(pretrain=25))) == [FEW_CAPTIONS, AFTER_A_CHANGE]


@pytest.mark.parametrize("stage", ["pretrain", "prompts", "finetune"])
def test_no_stage_of_the_chain_starts_to_train(study, stage):
    """Pre-training too tells of what would have stopped stage 2 after it."""
    write_study(params(identities=9))
    key = {"pretrain": f"{DATASET}-0", "prompts": f"{DATASET}-learned-0", "finetune": f"{DATASET}-clip_reid-0"}[stage]
    with pytest.raises(DataError) as caught:
        run(stage, key)
    assert str(caught.value) == FEW_PEOPLE
    folder = Path(f"results/{stage}/{key}")
    assert read_record(folder / "record").status == "failed" and not list(folder.glob("*.safetensors"))


def test_check_ends_with_all_of_it_and_tells_nothing_of_what_is_not_ingested(study, check_study):
    write_study(params(pretrain=25, identities=9))
    checked = check_study()
    assert isinstance(checked.exception, DataError)
    told = str(checked.exception).splitlines()
    assert told == ["the study cannot run:", FEW_CAPTIONS, FEW_PEOPLE, AFTER_A_CHANGE]
    Path(f"results/ingest/{DATASET}/frames.arrow").unlink()
    assert check_study().exception is None


def test_an_ingest_ends_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    raw = params(identities=9)
    changes = {"folder": "raw", "attributes": None, "keypoints": None, "shared_identities": 6, "min_frames": 1}
    raw["datasets"][DATASET] |= changes | {"splits": None}
    raw["study"]["rows"] = ["visual_only_corrected"]
    write_study(raw)
    prid_multi(tmp_path / "raw")
    run("ingest", DATASET)
    said = capsys.readouterr().out
    assert f"note: cannot be trained: {FEW_PEOPLE.replace('has 6', 'has 3').replace('to 6', 'to 3')}" in said
    assert read_record(Path(f"results/ingest/{DATASET}/record")).status == "finished"
