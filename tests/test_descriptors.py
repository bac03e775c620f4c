"""Stage `descriptors`, what `evaluate` makes of it, and the same embeddings of photographs of no data set."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
from params import raw_params
from small_frames import noise
from tiny_study import DATASET, HEIGHT, IDENTITIES, IMAGES, JOINTS, WIDTH, run, tiny_params, write_inputs, write_study

from auxreid.attributes.model import AttributeModel, save_model
from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import load_ranked_encoder, save_tower
from auxreid.clipreid.described import open_descriptors
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.stage.record import read_record
from auxreid.pose.architecture import PoseSpec, build
from auxreid.pose.checkpoint import save_checkpoint
from auxreid.pose.finder import JointFinder
from auxreid.serving.embedding import Encoder, embed_images
from auxreid.serving.onnx_export import export
from auxreid.serving.photos import open_photos

ROWS = ("global_whitened", "local_joints", "local_mean_joints", "attribute_evidence", "local_joints_camera_centred")
ENCODER = Path(f"results/finetune/{DATASET}-clip_reid-0/encoder.safetensors")
ATTRIBUTES = Path(f"results/attributes/{DATASET}/model.safetensors")
FRAMES, HRNET = Path(f"results/ingest/{DATASET}/frames.arrow"), Path(f"results/pose/{DATASET}/hrnet.safetensors")


def descriptors(row: str) -> Path:
    return Path(f"results/descriptors/{DATASET}-{row}-0/descriptors.safetensors")


def write_tower(config, path: Path, seed: int) -> Path:
    recipe = config.recipe(DATASET)
    torch.manual_seed(seed)
    image, _ = build_towers(recipe.encoder, (HEIGHT, WIDTH))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tower(image, path, recipe.encoder, recipe.input)
    return path


def write_attribute_model(config) -> None:
    """One that has learnt nothing, and is sure of it."""
    torch.manual_seed(0)
    words = {f"attribute{number}": ["no", "yes"] for number in range(8)}
    model = AttributeModel(timm.create_model("test_resnet", num_classes=0), words)
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight)
    save_model(ATTRIBUTES, model, "test_resnet", config.recipe(DATASET).input)


def write_tested() -> None:
    """The training frames, and behind them as many that are asked for and searched."""
    rows = []
    for number in range(2 * IDENTITIES * IMAGES):
        identity, tested = 1 + number // IMAGES, number >= IDENTITIES * IMAGES
        split = ("query" if number % IMAGES == 0 else "gallery") if tested else "train"
        image = cv2.imencode(".png", noise(number, WIDTH, HEIGHT))[1].tobytes()
        row = {"path": f"{number}.png", "split": split, "identity": identity, "camera": 1 + number % 2, "image": image}
        rows.append(row | {"width": WIDTH, "height": HEIGHT})
    write_frames(FRAMES, rows, FramesMeta(DATASET, "market1501", "market1501", "person"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The rows fitted and evaluated by the scripts; joints by an HRNet that has learnt nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        patch.setenv("AUXREID_LIVE", "off")
        params = tiny_params()
        params["study"]["rows"] = ["clip_reid", *ROWS]
        params["datasets"][DATASET] |= {"layout": "market1501", "protocol": "market1501"}
        params["recipes"][DATASET]["attributes"] = raw_params()["recipes"]["dogs"]["attributes"]
        for key in ("splits", "shared_identities", "min_frames", "n_splits"):
            del params["datasets"][DATASET][key]
        config = write_study(params)
        write_inputs(config)
        write_tower(config, ENCODER, 1)
        write_attribute_model(config)
        write_tested()
        run("protocol", DATASET)
        run("keypoints", DATASET)
        for row in ROWS:
            run("descriptors", f"{DATASET}-{row}-0")
            run("evaluate", f"{DATASET}-{row}-0")
        run("evaluate", f"{DATASET}-clip_reid-0")
        yield config


@pytest.fixture
def photos(study, tmp_path) -> list[Path]:
    """The photographs that are asked for and searched, as files."""
    frames = open_frames(FRAMES).where(("query", "gallery"))
    paths = [tmp_path / f"{number:02d}.png" for number in range(len(frames))]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(frames.image_bytes(number)))
    return paths


def test_the_rows_are_evaluated_as_any_other_and_by_something_else(study):
    found = {row: read_record(Path(f"results/evaluate/{DATASET}-{row}-0/record")) for row in ("clip_reid", *ROWS)}
    assert len({record.summary["mAP"] for record in found.values()}) > 1
    for row in ROWS:
        assert found[row].params["encoder"] == str(ENCODER) and "reranked_mAP" in found[row].summary
        scores = json.loads(Path(f"results/evaluate/{DATASET}-{row}-0/metrics.json").read_text())
        assert 0 < scores["mAP"] < 1


@pytest.mark.parametrize("row", ROWS)
def test_photographs_are_embedded_as_the_row_is_evaluated(study, photos, row):
    frames = open_frames(FRAMES).where(("query", "gallery"))
    table = Path(f"results/keypoints/{DATASET}/keypoints.parquet")
    ranked = *load_ranked_encoder(ENCODER), frames, table, "32-true", ATTRIBUTES
    expected = open_descriptors(descriptors(row)).embed(*ranked)
    cameras = {"hrnet": HRNET, "cameras": frames.camera}
    beside = {"local_joints": {"hrnet": HRNET}, "attribute_evidence": {"attributes": ATTRIBUTES}}
    beside = (beside | {"local_joints_camera_centred": cameras}).get(row, {})
    found = embed_images(ENCODER, photos, descriptors=descriptors(row), **beside)
    assert found.dtype == np.float32 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_joints_may_be_given_in_the_place_of_an_hrnet(study, photos):
    encoder = Encoder(ENCODER, descriptors=descriptors("local_joints"))
    with pytest.raises(DataError, match=r"the descriptors lie at joints: .* of neck, left_hip, right_hip, \[n, 3, 3\]"):
        encoder.embed(open_photos(photos[:2]))
    with pytest.raises(DataError, match=r"must be given for 2 images, not \[2, 3, 2\]"):
        encoder.embed(open_photos(photos[:2]), np.zeros((2, 3, 2)))
    joints = np.full((2, 3, 3), 8.0, np.float32)
    assert encoder.embed(open_photos(photos[:2]), joints).shape[0] == 2


def test_files_that_do_not_fit_each_other_are_told(study, photos, tmp_path):
    other = write_tower(study, tmp_path / "other.safetensors", 2)
    local, plain = descriptors("local_joints"), descriptors("global_whitened")
    with pytest.raises(DataError, match=rf"{plain}: .*fitted to another encoder"):
        Encoder(other, descriptors=plain)
    with pytest.raises(DataError, match=rf"{HRNET}: nothing takes joints"):
        Encoder(ENCODER, descriptors=plain, hrnet=HRNET)
    with pytest.raises(DataError, match=rf"{ATTRIBUTES}: goes with descriptors that take attributes, and none are giv"):
        Encoder(ENCODER, attributes=ATTRIBUTES)
    with pytest.raises(
        DataError, match=r"nowhere\.safetensors: no such file, where a file of stage `descriptors` is needed"
    ):
        Encoder(ENCODER, descriptors="nowhere.safetensors")
    with pytest.raises(
        DataError, match=rf"{ENCODER}: not a file of stage `descriptors`: its header has no entry descriptors"
    ):
        Encoder(ENCODER, descriptors=ENCODER)
    spec = PoseSpec("small", ("nose", "neck"), (), height=HEIGHT, width=WIDTH, padding=1.0, source="test")
    save_checkpoint(build(spec), spec, tmp_path / "two.safetensors")
    with pytest.raises(DataError, match=r"two\.safetensors: has the joints nose, neck; trained with neck, left_hip"):
        Encoder(ENCODER, descriptors=local, hrnet=tmp_path / "two.safetensors")
    with pytest.raises(DataError, match="is ranked by descriptors, which have no form in ONNX here"):
        export(Encoder(ENCODER, descriptors=plain), tmp_path / "x.onnx", {})


def test_a_finder_s_table_is_as_stage_keypoints_writes_it(study):
    from auxreid.pose.table import read_keypoints

    frames = open_frames(FRAMES)
    written = read_keypoints(Path(f"results/keypoints/{DATASET}/keypoints.parquet"))
    with JointFinder(HRNET).table(frames) as path:
        found = read_keypoints(path)
    assert not path.exists() and found.joints == written.joints == JOINTS
    np.testing.assert_array_equal(found.keypoints, written.keypoints)
