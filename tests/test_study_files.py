"""Files and models that the study names and that are not there: an error of `auxreid check`, with near names."""

from pathlib import Path

import pytest
import torch
import yaml
from params import raw_params

from auxreid.clip.model_names import open_clip_fault, tag_fault, timm_fault
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.study_files import missing_files
from auxreid.plumbing.settings.config import Config
from auxreid.plumbing.settings.load import parse_config

ENCODER, DOGS = "recipes.lite0.encoder", "recipes.dogs.attributes"


@pytest.fixture
def raw(tmp_path, monkeypatch) -> dict:
    """A study of Market-1501 with lite0 and of dogs, all of whose files are there (and empty)."""
    monkeypatch.chdir(tmp_path)
    raw = raw_params()
    raw["study"]["datasets"] = ["market1501", "dogs"]
    raw["datasets"]["market1501"] |= {"recipe": "lite0", "keypoints": {"file": "points.json", "images": "pictures"}}
    for name in ("raw/market1501/market_attribute.mat", "raw/market1501/points.json", "raw/dogs/frames.csv"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("raw/market1501/pictures").mkdir()
    Path("weights").mkdir()
    Path("weights/tf_efficientnet_lite0.safetensors").touch()
    return raw


def faults(raw: dict) -> list[str]:
    found, remarks = missing_files(parse_config(raw))
    assert remarks == []
    return found


def test_a_study_whose_files_are_all_there(raw):
    assert faults(raw) == []


def test_a_folder_that_is_not_there_is_named_with_one_that_is_near(raw):
    raw["datasets"]["market1501"]["folder"] = "raw/market_1501"
    assert faults(raw) == [
        "datasets.market1501.folder: raw/market_1501: no such folder; near to it: market1501; without it, "
        "ingest@market1501 and what follows cannot run"
    ]
    raw["datasets"]["market1501"]["folder"] = "rwa/market1501"
    assert "no such folder; near to it: raw;" in faults(raw)[0]
    raw["datasets"]["market1501"]["folder"] = "raw/dogs/frames.csv"
    assert "frames.csv: is no folder; without it" in faults(raw)[0]


def test_files_of_a_data_set(raw):
    raw["datasets"]["market1501"]["attributes"] = "market_attributes.mat"
    raw["datasets"]["market1501"]["keypoints"] = {"file": "keypoints.json", "images": "images"}
    assert faults(raw) == [
        "datasets.market1501.attributes: raw/market1501/market_attributes.mat: no such file; near to it: "
        "market_attribute.mat",
        "datasets.market1501.keypoints.file: raw/market1501/keypoints.json: no such file; near to it: points.json",
        "datasets.market1501.keypoints.images: raw/market1501/images: no such file",
    ]
    raw["study"]["datasets"] = ["prid2011"]
    raw["datasets"]["prid2011"] |= {"recipe": None, "splits": "splits_prid2011.json"}
    Path("raw/prid2011").mkdir()
    assert faults(raw) == ["datasets.prid2011.splits: raw/prid2011/splits_prid2011.json: no such file"]


@pytest.mark.parametrize(
    ("recipe", "changes", "fault"),
    [
        (
            "lite0",
            {"encoder": {"checkpoint": "weights/tf_efficientnet_lite.safetensors"}},
            f"{ENCODER}.checkpoint = 'weights/tf_efficientnet_lite.safetensors': no such file; near to it: "
            "tf_efficientnet_lite0.safetensors",
        ),
        (
            "lite0",
            {"encoder": {"name": "tf_eficientnet_lite0"}},
            f"{ENCODER}.name = 'tf_eficientnet_lite0': not a timm model; near to it: tf_efficientnet_lite0, ",
        ),
        (
            "lite0",
            {"pose": {"checkpoint": "coco_w46", "epochs": None, "batch_size": None, "lr": None}},
            "recipes.lite0.pose.checkpoint = 'coco_w46': no such file; allowed: fit, coco_w48, coco_w32, ap10k_w32, ",
        ),
        (
            "lite0",
            {"pose": {"checkpoint": "coco_w48", "joints": "ap11k", "epochs": None, "batch_size": None, "lr": None}},
            "recipes.lite0.pose.joints = 'ap11k': none that mmpose describes; near to it: ap10k",
        ),
        (
            "dogs",
            {"attributes": {"weights": "weights/none.safetensors"}},
            f"{DOGS}.weights = 'weights/none.safetensors': no such file",
        ),
        (
            "dogs",
            {"attributes": {"weights": "weights"}},
            f"{DOGS}.weights = 'weights': is no file; allowed: null, timm,",
        ),
        (
            "dogs",
            {"attributes": {"backbone": "resnet_18"}},
            f"{DOGS}.backbone = 'resnet_18': not a timm model; near to it: resnet18",
        ),
    ],
)
def test_weights_and_models_of_a_recipe(raw, recipe, changes, fault):
    for section, values in changes.items():
        raw["recipes"][recipe][section] |= values
    (found,) = faults(raw)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("encoder", "fault"),
    [
        ({"name": "RN50", "pretrained": "openai"}, None),
        ({"name": "RN50", "pretrained": "yfcc15m"}, None),
        ({"name": "RN5O", "pretrained": "openai"}, "name = 'RN5O': not an open_clip model; near to it: RN50"),
        ({"name": "RN50", "pretrained": "open_ai"}, "pretrained = 'open_ai': neither a file nor open_clip's tag of"),
        ({"name": "RN50", "pretrained": "weights/RN50.pt"}, "pretrained = 'weights/RN50.pt': no such file"),
        (
            {"name": "RN50", "pretrained": "weights/clip.pt"},
            "pretrained = 'weights/clip.pt': the file does not tell its",
        ),
        ({"name": "RN50", "pretrained": "weights/clip.pt", "quick_gelu": False}, None),
        (
            {"name": "RN50", "pretrained": "raw/dogs/frames.csv"},
            "pretrained = 'raw/dogs/frames.csv': not a readable sa",
        ),
    ],
)
def test_models_of_open_clip(raw, encoder, fault):
    raw["datasets"]["market1501"]["recipe"] = "rn50"
    raw["recipes"]["rn50"]["encoder"] |= encoder
    torch.save({"visual.proj": torch.zeros(1)}, "weights/clip.pt")
    found = faults(raw)
    assert found == [] if fault is None else found[0].startswith(f"recipes.rn50.encoder.{fault}")


def test_what_the_study_does_not_use_need_not_be_there(raw):
    raw["study"]["datasets"] = ["dogs"]
    raw["datasets"]["market1501"]["folder"] = "nowhere"
    raw["recipes"]["lite0"]["encoder"]["name"] = "nothing"
    assert faults(raw) == []


def test_the_data_set_that_lends_its_captions_is_used(raw):
    raw["study"]["datasets"] = ["prid2011"]
    raw["datasets"]["prid2011"] |= {"recipe": "lite0", "splits": None}
    raw["recipes"]["lite0"]["pretrain"]["captions_from"] = "market1501"
    Path("raw/prid2011").mkdir()
    Path("raw/market1501/market_attribute.mat").unlink()
    (found,) = faults(raw)
    assert found.startswith("datasets.market1501.attributes: raw/market1501/market_attribute.mat: no such file")


def test_names_that_timm_and_open_clip_know_are_not_doubted():
    import open_clip
    import timm

    assert not [name for name in timm.list_models()[::7] if timm_fault(name)]
    assert not [name for name in open_clip.list_models() if open_clip_fault(name)]
    assert not [pair for pair in open_clip.list_pretrained()[::5] if tag_fault(*pair)]
    assert timm_fault("tf_efficientnet_lite0.in1k") is None


# in the study


def lock(*stages: str) -> None:
    entry = {"cmd": "run", "outs": [{"path": "a", "hash": "md5", "md5": "0" * 32, "size": 1}]}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": dict.fromkeys(stages, entry)}))


def test_raw_data_whose_results_can_be_pulled_are_no_fault(raw):
    raw["study"]["datasets"] = ["market1501"]
    raw["datasets"]["market1501"]["folder"] = "nowhere"
    config: Config = parse_config(raw)
    for others in (("ingest@dogs",), ("ingest@dogs", "ingest@market1501")):
        lock(*others)
        told = missing_files(config)
        assert [len(part) for part in told] == ([0, 1] if "ingest@market1501" in others else [1, 0])


def test_check_fails_and_names_all_of_them(raw, check_study):
    from auxreid.plumbing.graph.table import write_graph

    raw["datasets"]["market1501"]["attributes"] = "none.mat"
    raw["recipes"]["dogs"]["attributes"]["backbone"] = "resnet_18"
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    write_graph(parse_config(raw))
    checked = check_study()
    assert isinstance(checked.exception, DataError)
    head, *lines = str(checked.exception).splitlines()
    assert head == "the study cannot run:" and len(lines) == 2
    assert "none.mat" in lines[0] and "resnet_18" in lines[1]
