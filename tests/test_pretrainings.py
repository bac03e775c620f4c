"""Pre-trainings beside the plain one: what the graph makes of a row that starts from one, and the stage itself."""

import os
from pathlib import Path

import numpy as np
import pretrain_branch
import pytest
import torch
from params import ROOT, new_row, one_seed, raw_params
from safetensors.torch import load_file
from tiny_study import DATASET, IDENTITIES, IMAGES, run, tiny_params, write_inputs, write_study

from auxreid.clip.checkpoints import load_image_encoder, load_text_tower
from auxreid.clipreid.identity_attributes import identity_attributes
from auxreid.data.frames import open_frames
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.graph.applicability import why_not
from auxreid.plumbing.graph.borrowed import row_predictions
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.settings.load import parse_config
from auxreid.plumbing.stage.instance import open_stage
from auxreid.pose.table import read_keypoints

POSE, ATTRIBUTES = "clip_reid_pose_pretrained", "clip_reid_attributes_pretrained"
KEYPOINTS, NO_POSE = f"results/keypoints/{DATASET}/keypoints.parquet", "pipeline/nothing/pose.txt"


@pytest.fixture
def raw() -> dict:
    """A study of three starts on the sample's people, one seed each."""
    raw = raw_params()
    one_seed(raw, ["clip_reid", POSE, ATTRIBUTES])
    raw["study"]["datasets"] = [DATASET]
    return raw


def test_rows_of_one_study_differ_by_their_start(raw):
    raw["study"]["seeds"] = [0, 11]  # the second split of ten
    graph = build_graph(parse_config(raw))
    assert list(graph["pretrain"]) == [f"{DATASET}-0", f"{DATASET}-1"]
    assert sorted(graph["pretrain_branch"]) == [
        f"{DATASET}-{split}-{name}" for split in (0, 1) for name in ("with_attributes", "with_pose")
    ]
    plain = graph["pretrain"][f"{DATASET}-1"]
    for name, pose in (("with_pose", KEYPOINTS), ("with_attributes", NO_POSE)):
        assert graph["pretrain_branch"][f"{DATASET}-1-{name}"] == plain | {"pretraining": name, "pose": pose}
    assert list(graph["keypoints"]) == [DATASET]
    for row, folder in (
        ("clip_reid", f"results/pretrain/{DATASET}-1"),
        (POSE, f"results/pretrain_branch/{DATASET}-1-with_pose"),
        (ATTRIBUTES, f"results/pretrain_branch/{DATASET}-1-with_attributes"),
    ):
        tuned = graph["finetune"][f"{DATASET}-{row}-11"]
        assert tuned["start"] == f"{folder}/image.safetensors" and tuned["pose"] == NO_POSE
        prompts = graph["prompts"][Path(tuned["prompts"]).parent.name]
        assert (prompts["image"], prompts["text"]) == (f"{folder}/image.safetensors", f"{folder}/text.safetensors")


def test_a_row_that_starts_from_such_a_row_reads_its_text_tower(raw):
    raw["prompts"]["again"] = raw["prompts"]["learned"] | {"encoder": POSE}
    raw["ablations"]["twice"] = new_row(prompts="again", start=POSE)
    raw["study"]["rows"] = [POSE, "twice"]
    graph = build_graph(parse_config(raw))
    again = graph["prompts"][f"{DATASET}-again-0"]
    assert again["image"] == f"results/finetune/{DATASET}-{POSE}-0/encoder.safetensors"
    assert again["text"] == f"results/pretrain_branch/{DATASET}-0-with_pose/text.safetensors"
    assert list(graph["pretrain_branch"]) == [f"{DATASET}-0-with_pose"]


def test_without_such_a_row_there_is_no_such_stage(raw):
    raw["study"]["rows"] = ["clip_reid"]
    graph = build_graph(parse_config(raw))
    assert graph["pretrain_branch"] == graph["keypoints"] == {}


@pytest.mark.parametrize(
    ("section", "name", "body", "message"),
    [
        ("pretrainings", "clip_reid", {}, "pretrainings.clip_reid: the name is taken by a row"),
        (
            "pretrainings",
            "pretrained",
            {},
            "pretrained: the name is taken by a row of ablations, or a base",
        ),
        ("pretrainings", "with_pose", {"branch": "text"}, "with_pose.branch = 'text': Input should be 'pose' or 'attr"),
        (
            "ablations",
            POSE,
            {"start": "gone"},
            r"start = 'gone': .*\), nor with_pose or .* or untrained or ",
        ),
        (
            "prompts",
            "learned_with_pose",
            {"encoder": "gone"},
            r"encoder = 'gone': .*\), nor with_pose or with_pose_",
        ),
    ],
)
def test_names_that_clash_or_point_nowhere(raw, section, name, body, message):
    raw[section][name] = raw[section].get(name, raw["pretrainings"]["with_pose"]) | body
    if section == "pretrainings" and not body:
        raw[section][name] = raw["pretrainings"]["with_pose"]
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


def test_a_data_set_without_a_pre_training_or_its_pose_is_told_why(raw):
    body = raw["datasets"]["market1501"] | {"recipe": "vit_b_16", "keypoints": None}
    raw["datasets"]["market1501"] = body
    brings = "starts from with_pose: recipes.vit_b_16.encoder brings its CLIP, which is not pre-trained here"
    assert why_not(parse_config(raw), "market1501", POSE) == brings
    body["recipe"] = "lite0"
    config = parse_config(raw)
    assert "starts from with_pose: needs a pose, and " in why_not(config, "market1501", POSE)
    assert why_not(config, "market1501", ATTRIBUTES) is None
    raw["recipes"]["lite0"]["pretrain"]["captions_from"] = DATASET
    assert why_not(parse_config(raw), "market1501", POSE) is None  # it sees the poses of those whose captions it sees
    raw["datasets"][DATASET]["keypoints"] = None
    told = f"starts from with_pose: needs the pose of {DATASET}'s images, whose captions it sees, and "
    assert why_not(parse_config(raw), "market1501", POSE).startswith(told)
    raw["recipes"]["lite0"]["pretrain"] = None
    raw["prompts"]["learned_with_pose"] = {"kind": "centroids"}
    assert "recipes.lite0.pretrain is null" in why_not(parse_config(raw), "market1501", POSE)


def test_a_pose_that_another_hrnet_found_is_noted(raw):
    raw["datasets"]["market1501"] |= {"recipe": "lite0", "keypoints": {"predicted_by": DATASET}}
    raw["study"]["datasets"] = ["market1501"]
    config = parse_config(raw)
    assert row_predictions(config, "market1501", POSE) == {"keypoints": DATASET}
    assert row_predictions(config, "market1501", ATTRIBUTES) == {}
    graph = build_graph(config)
    assert graph["pretrain_branch"]["market1501-0-with_pose"]["predicted"] == {"keypoints": DATASET}
    assert "predicted" not in graph["pretrain_branch"]["market1501-0-with_attributes"]


def test_poses_of_the_data_set_whose_captions_are_seen(raw):
    """It need not be in the study: its HRNet is fitted and run over its images, and over nobody else's."""
    raw["datasets"]["market1501"] |= {"recipe": "lite0", "keypoints": None}
    raw["recipes"]["lite0"]["pretrain"]["captions_from"] = DATASET
    raw["study"]["datasets"] = ["market1501"]
    graph = build_graph(parse_config(raw))
    assert graph["pretrain_branch"]["market1501-0-with_pose"]["pose"] == KEYPOINTS
    assert graph["pretrain_branch"]["market1501-0-with_pose"]["captions_of"] == DATASET
    assert list(graph["keypoints"]) == list(graph["pose"]) == [DATASET]
    assert graph["compare"]["market1501"]["keypoints"] == NO_POSE
    raw["study"]["rows"] = ["clip_reid", ATTRIBUTES]
    assert build_graph(parse_config(raw))["keypoints"] == {}
    raw["study"]["rows"] = ["clip_reid", POSE]
    raw["datasets"][DATASET]["keypoints"] = {"predicted_by": "market1501"}
    raw["datasets"]["market1501"]["keypoints"] = {"file": "keypoints.json", "images": "bounding_box_train"}
    graph = build_graph(parse_config(raw))
    assert graph["keypoints"] == {
        DATASET: {"dataset": DATASET, "hrnet_of": "market1501", "predicted": {"keypoints": "market1501"}}
    }
    assert graph["pretrain_branch"]["market1501-0-with_pose"]["predicted"] == {"keypoints": "market1501"}


# --- the stage itself


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A tiny study with every pre-training, and those whose third tower reaches nobody, in the current folder."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("pretrainings"))
    try:
        raw = tiny_params()
        raw["recipes"][DATASET]["pretrain"] |= {"epochs": 2, "warmup_epochs": 1}
        for name in list(raw["pretrainings"]):
            raw["pretrainings"][f"{name}_off"] = raw["pretrainings"][name] | {"weight": 0.0}
            raw["ablations"][f"{name}_off"[5:]] = new_row(prompts=None, start=f"{name}_off")
        config = write_study(raw)
        write_inputs(config)
        yield config
    finally:
        os.chdir(before)


def trained(stage: str, key: str) -> dict[str, torch.Tensor]:
    """The tensors of both towers that a stage has left, which runs once."""
    folder = Path(f"results/{stage}/{key}")
    if not (folder / "history.csv").is_file():
        run(stage, key)
    towers = {part: load_file(folder / f"{part}.safetensors") for part in ("image", "text")}
    return {f"{part}.{name}": tensor for part, tower in towers.items() for name, tensor in tower.items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_third_tower_of_no_weight_leaves_the_plain_towers(study):
    plain = trained("pretrain", f"{DATASET}-0")
    for name in ("with_pose_off", "with_attributes_off"):
        assert equal(trained("pretrain_branch", f"{DATASET}-0-{name}"), plain), name


def test_a_third_tower_leaves_two_others_and_itself_behind(study):
    names = [f"with_{branch}{control}" for branch in ("pose", "attributes") for control in ("", "_shuffled")]
    found = [trained("pretrain", f"{DATASET}-0")]
    found += [trained("pretrain_branch", f"{DATASET}-0-{name}") for name in names]
    assert all(not equal(one, other) for place, one in enumerate(found) for other in found[:place])
    assert all(one.keys() == found[0].keys() for one in found)
    folder = Path(f"results/pretrain_branch/{DATASET}-0-with_pose")
    load_image_encoder(folder / "image.safetensors"), load_text_tower(folder / "text.safetensors")
    head = (folder / "history.csv").read_text().splitlines()[0]
    assert head == "epoch,loss,image_text,image_branch,text_branch,logit_scale"


def test_run_twice_it_gives_equal_bytes(study):
    key = f"{DATASET}-0-with_pose"
    trained("pretrain_branch", key)
    path = Path(f"results/pretrain_branch/{key}/image.safetensors")
    before = path.read_bytes()
    torch.manual_seed(77)  # what ran before does not matter
    run("pretrain_branch", key)
    assert path.read_bytes() == before


def third(name: str, frames) -> pretrain_branch.Branch:
    return pretrain_branch.build_branch(open_stage("pretrain_branch", f"{DATASET}-0-{name}", ROOT), 8, frames)


def test_the_third_tower_sees_the_pose_of_the_image_or_of_another(study):
    frames = open_frames(f"results/ingest/{DATASET}/frames.arrow")
    shares = read_keypoints(Path(KEYPOINTS)).keypoints[..., :2] / frames.size[:, None]
    np.testing.assert_allclose(third("with_pose", frames).known.places[..., :2], shares, atol=1e-6)
    other = third("with_pose_shuffled", frames).known.places[..., :2]
    assert (np.abs(other - shares).max(axis=(1, 2)) > 1e-3).all()


def test_it_sees_the_words_of_the_individual_or_of_another_individual(study):
    frames = open_frames(f"results/ingest/{DATASET}/frames.arrow")
    codes = identity_attributes(frames, np.repeat(np.arange(IDENTITIES), IMAGES)).codes
    counts = np.array([len(words) for words in frames.meta.attributes.values()])
    words = codes + np.cumsum(counts) - counts  # [k, A]
    assert np.array_equal(third("with_attributes", frames).known.words, words.repeat(IMAGES, axis=0))
    shuffled = third("with_attributes_shuffled", frames).known.words.numpy().reshape(IDENTITIES, IMAGES, -1)
    assert (shuffled == shuffled[:, :1]).all()  # one individual's, of one other
    assert sorted(shuffled[:, 0].tolist()) == sorted(words.tolist())
    assert (shuffled[2:, 0] != words[2:]).any(axis=1).all()  # the first two have the same words
