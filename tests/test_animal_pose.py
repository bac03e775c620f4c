"""HRNet on animals: AP-10K's checkpoints as mmpose saves them, from the file to the keypoints of a data set of dogs."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hrnet import make_lively
from mmengine.config import Config
from params import raw_params
from tiny_study import run, tiny_params, write_study

from auxreid.clipreid.body_coordinates import body_coordinates, trunk_ends
from auxreid.data.frames import open_frames
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.feasible import feasibility_faults
from auxreid.plumbing.settings.load import load_config, parse_config
from auxreid.plumbing.settings.recipes import PoseConfig
from auxreid.pose.architecture import PoseSpec, build, import_mmpose, model_config
from auxreid.pose.checkpoint import (
    Body,
    descriptions,
    import_checkpoint,
    load_checkpoint,
    published_body,
    save_checkpoint,
)
from auxreid.pose.joints import flip_pairs
from auxreid.pose.predict import predict_all
from auxreid.pose.table import read_keypoints
from auxreid.sample.dog import JOINTS as SAMPLE_JOINTS

CONFIG = "animal_2d_keypoint/topdown_heatmap/ap10k/td-hm_hrnet-{}_8xb64-210e_ap10k-256x256.py"
LISTS = ("num_blocks", "num_channels")
NOBODY = Body([], [])
AP10K_PAIRS = [(0, 1), (5, 8), (6, 9), (7, 10), (11, 14), (12, 15), (13, 16)]


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    sizes = ((64, 96), (80, 48), (72, 72))
    noise = [rng.integers(0, 255, (*sizes[number % 3], 3), np.uint8) for number in range(count)]
    return [cv2.GaussianBlur(image, (7, 7), 0) for image in noise]


def configured(width: str) -> Config:
    """mmpose's own configuration for AP-10K."""
    mmpose = import_mmpose()
    return Config.fromfile(Path(mmpose.__file__).parent / ".mim/configs" / CONFIG.format(width))


def mmposes_own():
    """mmpose's network of that configuration, with random weights."""
    from mmpose.apis import init_model

    torch.manual_seed(0)
    return init_model(configured("w32"), None, device="cpu")


def save_as_mmpose_does(net, path: Path, **meta: object) -> None:
    from mmengine.runner import save_checkpoint

    save_checkpoint({"state_dict": net.state_dict(), "meta": meta}, str(path))


@pytest.fixture(scope="module")
def ap10k(tmp_path_factory):
    """The network, and its checkpoint with what mmengine's runner puts beside the weights."""
    net = mmposes_own()
    with torch.no_grad():
        make_lively(net, torch.randn(2, 3, 256, 256))
    path = tmp_path_factory.mktemp("weights") / "hrnet_w32_ap10k.pth"
    net.dataset_meta = metainfo()
    save_as_mmpose_does(net, path, dataset_meta=metainfo(), cfg=net.cfg.pretty_text, epoch=210, iter=1)
    return net, path


def metainfo() -> dict:
    """mmpose's of AP-10K, with its arrays of colours and weights."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo({"from_file": str(descriptions()["ap10k"])})


def settings(path: Path, **changes: object) -> PoseConfig:
    fields = {"checkpoint": str(path), "architecture": "w32", "height": 256, "width": 256, "held_out": 0.2, "seed": 0}
    return PoseConfig(**(fields | changes))


def test_ap10k_joints_have_their_names_pairs_and_a_trunk():
    joints = published_body("ap10k").joints
    assert joints[:5] == ["L_Eye", "R_Eye", "Nose", "Neck", "Root of tail"]
    assert flip_pairs(joints) == flip_pairs(SAMPLE_JOINTS) == AP10K_PAIRS
    assert trunk_ends(joints) == trunk_ends(SAMPLE_JOINTS) == ([3], [4])
    points = np.random.default_rng(0).uniform(0, 50, (3, 17, 2))
    np.testing.assert_array_equal(body_coordinates(points, joints), body_coordinates(points, SAMPLE_JOINTS))


@pytest.mark.parametrize("width", ["w32", "w48"])
def test_the_network_is_mmpose_s_own_of_ap10k(width):
    theirs = configured(width).model
    joints = tuple(published_body("ap10k").joints)
    ours = Config(model_config(PoseSpec(width, joints, (), 256, 256, 1.25, "test")))
    for name, stage in theirs.backbone.extra.items():
        assert {key: tuple(value) if key in LISTS else value for key, value in stage.items()} == {
            key: tuple(value) if key in LISTS else value for key, value in ours.backbone.extra[name].items()
        }
    assert dict(theirs.head.decoder) == dict(ours.head.decoder)
    assert (theirs.head.in_channels, theirs.head.out_channels) == (ours.head.in_channels, ours.head.out_channels)
    assert theirs.test_cfg.items() <= ours.test_cfg.items()


def test_a_checkpoint_of_ap10k_gives_the_keypoints_that_mmpose_gives(ap10k):
    from mmpose.apis import inference_topdown

    net, path = ap10k
    ours, spec = import_checkpoint(settings(path), Body(SAMPLE_JOINTS, []))
    assert list(spec.joints) == published_body("ap10k").joints
    assert (spec.height, spec.width, spec.padding, len(spec.skeleton)) == (256, 256, 1.25, 17)
    images = pictures(3)
    for image, found in zip(images, predict_all(ours, spec, images), strict=True):
        [sample] = inference_topdown(net, np.ascontiguousarray(image[..., ::-1]))
        np.testing.assert_allclose(found[:, :2], sample.pred_instances.keypoints[0], atol=2e-3)
        np.testing.assert_allclose(found[:, 2], sample.pred_instances.keypoint_scores[0], atol=1e-4)


def test_a_file_without_names_has_those_of_the_settings(ap10k, tmp_path):
    """As mmpose 0.x wrote it, whose head was called otherwise."""
    net, _ = ap10k
    old = {name.replace("head.", "keypoint_head.", 1): tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": old, "meta": {"mmpose_version": "0.20.0"}}, tmp_path / "old.pth")
    _, spec = import_checkpoint(settings(tmp_path / "old.pth", joints="ap10k"), NOBODY)
    assert list(spec.joints) == published_body("ap10k").joints
    told = r"old.pth: has heat maps of 17 joints, the data set names 0; say whose joints it has as pose.joints, for"
    with pytest.raises(DataError, match=told):
        import_checkpoint(settings(tmp_path / "old.pth"), NOBODY)
    with pytest.raises(DataError, match=r"17 joints, pose.joints = 'animalpose' names 20"):
        import_checkpoint(settings(tmp_path / "old.pth", joints="animalpose"), NOBODY)
    with pytest.raises(ConfigError, match=r"pose.joints = 'cow': none that mmpose describes; allowed: 300w, .*, ap10k"):
        import_checkpoint(settings(tmp_path / "old.pth", joints="cow"), NOBODY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"joints": "coco"},
            r"pose.joints = 'coco': checkpoint '.*ap10k.pth' has L_Eye, R_Eye, .*; leave the key",
        ),
        ({"width": 192}, r"pose.width = 192: checkpoint '.*ap10k.pth' has 256"),
    ],
)
def test_other_joints_or_another_input_than_the_file_s_are_refused(ap10k, changes, message):
    with pytest.raises(ConfigError, match=message):
        import_checkpoint(settings(ap10k[1], **changes), NOBODY)


def test_a_file_that_names_fewer_joints_than_it_has_is_refused(ap10k, tmp_path):
    described = metainfo()
    described["keypoint_id2name"] = {number: described["keypoint_id2name"][number] for number in range(16)}
    save_as_mmpose_does(ap10k[0], tmp_path / "sixteen.pth", dataset_meta=described)
    with pytest.raises(DataError, match=r"sixteen.pth: has heat maps of 17 joints, its own list names 16"):
        import_checkpoint(settings(tmp_path / "sixteen.pth"), NOBODY)


def test_joints_are_those_of_a_given_checkpoint():
    raw = raw_params()
    raw["recipes"]["sample_dogs_reid"]["pose"]["joints"] = "ap10k"
    with pytest.raises(ConfigError, match=r"recipes.sample_dogs_reid.pose.*joints is for a given checkpoint"):
        parse_config(raw)


def test_dogs_without_keypoints_get_those_of_ap10k(ap10k, tmp_path, monkeypatch):
    """By the stages: a folder of dogs, the checkpoint's path in its recipe, and a table of keypoints."""
    monkeypatch.chdir(tmp_path)
    images = pictures(6)
    rows = [{"path": f"{n}.png", "dog_id": f"d{n // 2}", "sequence": f"{n}"} for n in range(6)]
    Path("raw/dogs").mkdir(parents=True)
    for row, image in zip(rows, images, strict=True):
        cv2.imwrite(f"raw/dogs/{row['path']}", image[..., ::-1])
        row |= {"size": "large", "split": ["train", "train", "test"][int(row["dog_id"][1])]}
    with open("raw/dogs/frames.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    raw = tiny_params()
    raw["datasets"]["dogs"] = dict(layout="dogs", folder="raw/dogs", protocol="dogs", word="dog")
    raw["datasets"]["dogs"]["recipe"] = "sample_people"
    raw["recipes"]["sample_people"]["pose"] = settings(ap10k[1]).model_dump()
    raw["study"] = {"datasets": ["dogs"], "seeds": [0], "rows": ["clip_reid", "keypoints_body"]}
    write_study(raw)
    for stage in ("ingest", "pose", "keypoints"):
        run(stage, "dogs")
    table = read_keypoints(Path("results/keypoints/dogs/keypoints.parquet"))
    assert list(table.joints) == published_body("ap10k").joints
    path = Path("results/pose/dogs/hrnet.safetensors")
    net, spec = load_checkpoint(path)
    order = [int(path[0]) for path in open_frames("results/ingest/dogs/frames.arrow").path]
    expected = predict_all(net, spec, [images[number] for number in order])
    np.testing.assert_allclose(table.keypoints, expected, atol=1e-3)
    told = "ablations.keypoints_body.pose.coordinates = 'body'"
    assert not any(told in fault for fault in feasibility_faults(load_config()))
    headless = PoseSpec("small", ("nose", "tail"), (), 32, 32, 1.25, spec.source)
    save_checkpoint(build(headless), headless, path)
    assert any(f"{told}: joints nose, tail: no trunk" in fault for fault in feasibility_faults(load_config()))
