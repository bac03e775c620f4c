"""Pose: joint lists, export, fitting, inference against mmpose's own, checkpoints."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import torch
from hrnet import make_lively
from hypothesis import given
from hypothesis import strategies as st

from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.pose.architecture import STRIDE, PoseSpec, build, import_mmpose, model_config
from auxreid.pose.checkpoint import (
    PUBLISHED,
    Body,
    import_checkpoint,
    load_checkpoint,
    pairs,
    published_body,
    save_checkpoint,
)
from auxreid.pose.coco_export import export_coco
from auxreid.pose.fit import choose_frames, fit, training_pipeline
from auxreid.pose.heatmaps import asked_runtime, folded
from auxreid.pose.joints import flip_indices, flip_pairs, mirrored_name, mmpose_metainfo
from auxreid.pose.overlay import draw_pose, write_overlay
from auxreid.pose.pck import pck
from auxreid.pose.predict import Poses, heatmap_maxima, pose_embedding, predict, predict_all, view_pipeline
from auxreid.pose.table import read_keypoints, write_keypoints

JOINTS = ("head", "left_hand", "right_hand", "foot")
SKELETON = ((0, 1), (0, 2), (0, 3))
COCO_PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
MARKET_JOINTS = [
    *("head_top", "neck_right", "right_shoulder", "right_elbow", "right_wrist", "right_hip", "right_knee"),
    *("right_ankle", "left_ankle", "left_knee", "left_hip", "left_wrist", "left_elbow", "left_shoulder", "neck_left"),
]


def tiny_spec(**changes: object) -> PoseSpec:
    fields = {"architecture": "small", "joints": JOINTS, "skeleton": SKELETON, "height": 64, "width": 32}
    return PoseSpec(**(fields | {"padding": 1.0, "source": "test"} | changes))


@pytest.fixture(scope="module")
def tiny() -> tuple[torch.nn.Module, PoseSpec]:
    """A randomly initialised network whose heat maps differ from joint to joint and place to place, and reach 1."""
    torch.manual_seed(0)
    net = build(tiny_spec())
    make_lively(net, torch.randn(4, 3, 64, 32))
    return net, tiny_spec()


def random_images(count: int, sizes: tuple[tuple[int, int], ...] = ((64, 32),)) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    noise = [rng.integers(0, 255, (*sizes[number % len(sizes)], 3), np.uint8) for number in range(count)]
    return [cv2.GaussianBlur(image, (7, 7), 0) for image in noise]


def drawn_body(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A dark image with one coloured disc per joint, and the joints [4, 3]."""
    image = rng.integers(0, 40, (64, 32, 3)).astype(np.uint8)
    low, high = np.array([[12, 5], [2, 22], [20, 22], [10, 50]]), np.array([[20, 12], [10, 36], [29, 36], [22, 60]])
    points = rng.integers(low, high).astype(np.float32)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    for (x, y), colour in zip(points.astype(int).tolist(), colours, strict=True):
        cv2.circle(image, (x, y), 3, colour, -1)
    return image, np.concatenate([points, np.full((4, 1), 2, np.float32)], axis=1)


def make_frames(path: Path, count: int = 24, split=lambda identity: "train", annotated=lambda row: True):
    """Frames of drawn bodies, four images an identity."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(count):
        image, points = drawn_body(rng)
        data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
        identity = number // 4 + 1
        row = {"path": f"{number}.png", "split": split(identity), "identity": identity, "width": 32, "height": 64}
        keypoints = points.reshape(-1).tolist() if annotated(number) else None
        rows.append(row | {"image": data, "keypoints": keypoints})
    meta = FramesMeta("bodies", "dogs", "dogs", "dog", list(JOINTS), [list(pair) for pair in SKELETON])
    write_frames(path, rows, meta)
    return open_frames(path)


# --- joint lists


def test_flip_pairs_of_coco_are_the_known_ones():
    assert flip_pairs(published_body("coco").joints) == COCO_PAIRS


def test_flip_pairs_of_ap10k_are_those_of_mmpose():
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    described = parse_pose_metainfo({"from_file": "configs/_base_/datasets/ap10k.py"})
    assert flip_indices(published_body("ap10k").joints) == described["flip_indices"]


def test_sides_may_stand_behind():
    assert mirrored_name("neck_right") == "neck_left"
    assert (1, 14) in flip_pairs(MARKET_JOINTS)
    assert flip_indices(MARKET_JOINTS)[0] == 0
    assert len(flip_pairs(MARKET_JOINTS)) == 7


@pytest.mark.parametrize("name", ["leftover", "bright", "l", "tail_l", "Root of tail", "copyright"])
def test_names_that_only_resemble_a_side_stay(name):
    assert mirrored_name(name) == name


def test_joint_without_counterpart_is_named():
    with pytest.raises(DataError, match=r"left_eye \(needs right_eye\)"):
        flip_indices(["nose", "left_eye"])


def test_metainfo_says_the_same_to_mmpose():
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    parsed = parse_pose_metainfo(mmpose_metainfo(JOINTS, SKELETON))
    assert parsed["flip_indices"] == [0, 2, 1, 3]
    assert [tuple(link) for link in parsed["skeleton_links"]] == list(SKELETON)


# --- PCK


def test_pck_on_worked_numbers():
    # The labelled joints span 40 x 100, so 0.1 allows 10 pixels: distances 0, 10, 10.5 and one joint unlabelled.
    truth = np.array([[[0, 0, 2], [40, 0, 1], [0, 100, 2], [500, 500, 0]]], np.float32)
    predicted = np.array([[[0, 0], [46, 8], [10.5, 100], [500, 500]]], np.float32)
    score = pck(predicted, truth)
    assert score.overall == pytest.approx(2 / 3)
    np.testing.assert_array_equal(score.per_joint, [1, 1, 0, np.nan])


@given(scale=st.floats(0.5, 4), shift=st.floats(-50, 50), seed=st.integers(0, 100))
def test_pck_does_not_depend_on_place_or_size(scale, shift, seed):
    rng = np.random.default_rng(seed)
    truth = np.concatenate([rng.uniform(0, 100, (5, 6, 2)), rng.integers(0, 3, (5, 6, 1))], axis=2)
    truth[:, :2, 2] = 2
    predicted = truth[..., :2] + rng.normal(0, 8, (5, 6, 2))
    moved = truth.copy()
    moved[..., :2] = truth[..., :2] * scale + shift
    assert pck(predicted * scale + shift, moved).overall == pytest.approx(pck(predicted, truth).overall, abs=0.04)


def test_pck_needs_labelled_joints():
    with pytest.raises(DataError, match="labelled joint"):
        pck(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))


# --- export and choice of frames


def test_mmpose_reads_back_the_exported_coordinates(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 6)
    export_coco(frames, tmp_path / "coco")
    from mmpose.datasets import CocoDataset

    dataset = CocoDataset(
        ann_file=str(tmp_path / "coco" / "annotations.json"),
        data_prefix={"img": str(tmp_path / "coco" / "images") + "/"},
        metainfo=mmpose_metainfo(JOINTS),
    )
    truth, _ = frames.keypoints()
    assert len(dataset) == 6
    for index in range(6):
        info = dataset.get_data_info(index)
        np.testing.assert_array_equal(info["keypoints"][0], truth[index, :, :2])
        assert Path(info["img_path"]).read_bytes() == bytes(frames.image_bytes(index))


def test_export_refuses_a_frame_without_keypoints(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 4, annotated=lambda row: row != 2)
    with pytest.raises(DataError, match=r"2\.png"):
        export_coco(frames, tmp_path / "coco")


def test_held_out_people_come_from_outside_the_train_split(tmp_path):
    roles = {1: "none", 2: "none", **dict.fromkeys(range(3, 7), "train")}
    frames = make_frames(tmp_path / "frames.arrow", 48, split=lambda identity: roles.get(identity, "query"))
    training, held_out = choose_frames(frames, held_out=0.2, max_images=None, seed=0)
    assert set(training.split) == {"train", "none"} and len(training) == 24
    assert set(held_out.split) == {"query"} and len(held_out) == 12  # whole people, until 0.2 of 48 are reached


def test_held_out_people_are_not_fitted_on(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 48, annotated=lambda row: row % 3 != 0)
    training, held_out = choose_frames(frames, held_out=0.25, max_images=20, seed=1)
    assert len(training) == 20
    assert len(held_out) >= 5
    assert not set(training.identity) & set(held_out.identity)
    again = choose_frames(frames, held_out=0.25, max_images=20, seed=1)
    np.testing.assert_array_equal(again[0].frame_id, training.frame_id)


def test_one_individual_cannot_be_split(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 4)
    with pytest.raises(DataError, match="at least two individuals"):
        choose_frames(frames, held_out=0.5, max_images=None, seed=0)


# --- inference


def test_predictions_equal_those_of_inference_topdown(tiny):
    from mmengine.config import Config
    from mmpose.apis import inference_topdown
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    net, spec = tiny
    spec = tiny_spec(padding=1.25)
    images = random_images(5, sizes=((64, 32), (90, 40), (50, 70)))
    ours = predict_all(net, spec, images)
    net.cfg = Config({"test_dataloader": {"dataset": {"pipeline": view_pipeline(spec)}}})
    net.dataset_meta = parse_pose_metainfo(mmpose_metainfo(JOINTS))
    for image, found in zip(images, ours, strict=True):
        [theirs] = inference_topdown(net, np.ascontiguousarray(image[..., ::-1]))
        np.testing.assert_allclose(found[:, :2], theirs.pred_instances.keypoints[0], atol=1e-3)
        np.testing.assert_allclose(found[:, 2], theirs.pred_instances.keypoint_scores[0], atol=1e-4)


def test_decoding_is_the_maximum_and_a_quarter_cell(tiny):
    """Decoded here by hand, for a view that is the image itself: 4 pixels a cell."""
    net, spec = tiny
    [image] = random_images(1)
    [found] = predict_all(net, spec, [image])
    with torch.no_grad():
        normal = net.data_preprocessor({"inputs": [torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)]})
        plain = net(normal["inputs"], None, mode="tensor")[0]  # [J, 16, 8]
        mirror = net(normal["inputs"].flip(3), None, mode="tensor")[0].flip(2)[flip_indices(spec.joints)]
        mirror[..., 1:] = mirror[..., :-1].clone()  # a mirrored image lies one cell off (Sun et al.'s code, as mmpose)
        heatmaps = ((plain + mirror) / 2).numpy()
    for joint, heatmap in enumerate(heatmaps):
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        assert found[joint, 2] == pytest.approx(heatmap.max(), abs=1e-4)
        if 1 < x < 7 and 1 < y < 15:
            x_offset = 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
            y_offset = 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
            np.testing.assert_allclose(found[joint, :2], [4 * (x + x_offset), 4 * (y + y_offset)], atol=1e-4)


def test_the_decoding_of_a_batch_is_that_of_mmpose(tiny):
    """Maxima in the corners, at the edges and one cell inside, equal neighbours, and a map without a positive value."""
    net, _ = tiny
    rng = np.random.default_rng(0)
    heatmaps = rng.random((40, 4, 16, 8), np.float32)
    places = [(y, x) for y in (0, 1, 2, 7, 13, 14, 15) for x in (0, 1, 2, 5, 6, 7)]
    for number, (y, x) in enumerate(places):
        heatmaps[number // 4, number % 4, y, x] = 2
    heatmaps[20] = np.round(heatmaps[20])  # many equal values
    heatmaps[21] = -heatmaps[21]
    points, maxima = heatmap_maxima(torch.from_numpy(heatmaps))
    for sample in range(40):
        expected, scores = net.head.decoder.decode(heatmaps[sample])
        np.testing.assert_array_equal(4 * points[sample].numpy(), expected[0])
        np.testing.assert_array_equal(maxima[sample].numpy(), scores[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_runtime_gives_the_same_poses(tiny, monkeypatch):
    net, spec = tiny
    images = random_images(5, sizes=((64, 32), (90, 40), (50, 70)))
    [ours] = predict(net, spec, images)
    [other] = predict(net, spec, images, runtime="onnx")
    np.testing.assert_allclose(other.keypoints, ours.keypoints, atol=1e-4)
    np.testing.assert_allclose(other.embedding, ours.embedding, atol=1e-4)
    assert not np.array_equal(other.embedding, ours.embedding)  # it is another runtime
    monkeypatch.setenv("AUXREID_POSE_RUNTIME", "onnx")
    assert asked_runtime() == "onnx"
    monkeypatch.setenv("AUXREID_POSE_RUNTIME", "tensorrt")
    with pytest.raises(ConfigError, match="AUXREID_POSE_RUNTIME = 'tensorrt': allowed are torch and onnx"):
        asked_runtime()


def test_the_folded_network_has_no_batch_norm_and_the_network_keeps_its_own(tiny):
    net, _ = tiny
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    images = torch.randn(2, 3, 64, 32)
    small = folded(net)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in small.modules())
    with torch.no_grad():
        torch.testing.assert_close(small(images), net(images, None, mode="tensor"), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_running_twice_gives_equal_bytes_and_changes_no_buffer(tiny):
    net, spec = tiny
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    first, second = ([poses for poses in predict(net, spec, random_images(7), batch_size=3)] for _ in range(2))
    assert [len(poses.keypoints) for poses in first] == [3, 3, 1]
    for one, two in zip(first, second, strict=True):
        assert one.keypoints.tobytes() == two.keypoints.tobytes()
        assert one.embedding.tobytes() == two.embedding.tobytes()
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


def test_training_mode_is_refused(tiny):
    net, spec = tiny
    net.train()
    try:
        with pytest.raises(RuntimeError, match="eval mode"):
            next(predict(net, spec, random_images(1)))
    finally:
        net.eval()


def test_embedding_is_the_mean_of_each_grid_cell():
    heatmaps = torch.rand(2, 3, 32, 16)
    embedding = pose_embedding(heatmaps)
    assert embedding.shape == (2, 96)
    cell = embedding.reshape(2, 3, 8, 4)[1, 2, 5, 3]
    assert cell == pytest.approx(heatmaps[1, 2, 20:24, 12:16].mean().item())


# --- fitting


@pytest.mark.parametrize(("height", "width"), [(96, 96), (96, 64), (128, 64), (160, 128), (256, 192), (384, 288)])
def test_what_a_fit_is_taught_lies_where_the_joint_is_seen(height, width):
    """A bright spot at the joint, through the training's own views: its place and that of the target's maximum."""
    import_mmpose()
    from mmengine.dataset import Compose

    import auxreid.pose.transforms  # noqa: F401

    spec = PoseSpec("small", ("left_eye", "right_eye"), (), height, width, 1.0, "test")
    steps = [step for step in training_pipeline(spec) if step["type"] != "PhotometricDistortion"]
    view, rng, apart = Compose(steps), np.random.default_rng(0), []
    np.random.seed(0)  # mmpose's
    rows, columns = np.mgrid[:height, :width]
    for _ in range(40):
        x, y = rng.uniform(0.35, 0.65, 2) * (width, height)
        spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
        joints = np.full((1, 2, 2), (x, y), np.float32)
        seen = view(
            {
                "img": np.repeat(spot[..., None], 3, axis=2).astype(np.uint8),
                "img_shape": (height, width),
                "bbox": np.array([[0, 0, width, height]], np.float32),
                "bbox_score": np.ones(1, np.float32),
                "keypoints": joints,
                "keypoints_visible": np.ones((1, 2), np.float32),
                "flip_indices": [1, 0],
            }
        )
        picture = seen["inputs"].numpy().mean(axis=0)
        target = seen["data_samples"].gt_fields.heatmaps.numpy()[0]
        if target.max() < 1:
            continue  # turned out of the view
        place = np.array(np.unravel_index(picture.argmax(), picture.shape))
        apart.append(STRIDE * np.array(np.unravel_index(target.argmax(), target.shape)) - place)
    assert len(apart) > 30
    assert np.abs(np.mean(apart, axis=0)).max() < 1.0  # pixels: a cell is 4, and rounding goes both ways


def test_a_fit_lowers_the_loss_and_repeats_itself(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 20)
    training, held_out = choose_frames(frames, held_out=0.2, max_images=None, seed=0)
    settings = SimpleNamespace(epochs=2, batch_size=4, lr=5e-3, seed=0)
    runs = []
    for _ in range(2):
        epochs = []
        net = fit(tiny_spec(), training, held_out, settings, epochs.append)
        runs.append((epochs, {name: tensor.clone() for name, tensor in net.state_dict().items()}))
    (epochs, weights), (again, same_weights) = runs
    assert [epoch.number for epoch in epochs] == [1, 2]
    assert epochs[-1].loss < epochs[0].loss
    assert 0 <= epochs[-1].pck <= 1
    assert not net.training
    assert epochs == again
    assert all(torch.equal(tensor, same_weights[name]) for name, tensor in weights.items())


# --- checkpoints


def settings_for(checkpoint: str, **changes: object) -> SimpleNamespace:
    fields = {"checkpoint": checkpoint, "joints": None, "architecture": "small", "height": 64, "width": 32}
    return SimpleNamespace(**(fields | changes))


def test_checkpoint_round_trip(tiny, tmp_path):
    net, spec = tiny
    save_checkpoint(net, spec, tmp_path / "hrnet.safetensors")
    loaded, same_spec = load_checkpoint(tmp_path / "hrnet.safetensors")
    assert same_spec == spec
    assert not loaded.training
    np.testing.assert_array_equal(predict_all(loaded, spec, random_images(2)), predict_all(net, spec, random_images(2)))


@pytest.mark.parametrize("content", [b"", b"no tensors here", None])
def test_broken_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "hrnet.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"hrnet\.safetensors"):
        load_checkpoint(path)


@pytest.mark.parametrize("head", ["head", "keypoint_head"])  # mmpose 1.x and, as AP-10K's file has it, 0.x
def test_plain_mmpose_state_dict_is_imported(tiny, tmp_path, head):
    net, spec = tiny
    weights = {name.replace("head.", f"{head}.", 1): tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": weights, "meta": {"epoch": 210}}, tmp_path / "net.pth")
    loaded, imported = import_checkpoint(settings_for(str(tmp_path / "net.pth")), Body(JOINTS, SKELETON))
    assert imported == tiny_spec(padding=1.25, source=str(tmp_path / "net.pth"))
    np.testing.assert_array_equal(predict_all(loaded, spec, random_images(2)), predict_all(net, spec, random_images(2)))


def test_arrays_and_logged_numbers_beside_the_weights_are_read(tiny, tmp_path):
    from mmengine.logging import HistoryBuffer
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    history = HistoryBuffer([0.5], [1])
    meta = {"dataset_meta": parse_pose_metainfo(mmpose_metainfo(("a", "left_b", "right_b", "c"), ((0, 3),)))}
    content = {"state_dict": tiny[0].state_dict(), "meta": meta, "message_hub": {"log_scalars": {"loss": history}}}
    torch.save(content, tmp_path / "net.pth")
    _, spec = import_checkpoint(settings_for(str(tmp_path / "net.pth")), Body(JOINTS, SKELETON))
    assert callable(HistoryBuffer._statistics_methods["mean"])  # the file has not overwritten mmengine's
    assert spec.joints == ("a", "left_b", "right_b", "c")  # the file's own names, not the data set's
    assert spec.skeleton == pairs([(0, 3)])


class Payload:
    def __reduce__(self):
        return (Path("/nowhere").touch, ())


def test_a_pickle_with_code_is_refused(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"state_dict": {}, "meta": Payload()}, path)
    with pytest.raises(DataError, match=r"net\.pth: holds more than tensors"):
        import_checkpoint(settings_for(str(path)), Body(JOINTS, SKELETON))
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(DataError, match=r"net\.pth"):
        import_checkpoint(settings_for(str(path)), Body(JOINTS, SKELETON))


def test_weights_of_another_width_or_joint_count_are_refused(tiny, tmp_path):
    torch.save(tiny[0].state_dict(), tmp_path / "net.pth")
    named = str(tmp_path / "net.pth")
    with pytest.raises(DataError, match="joints, the data set names 1"):
        import_checkpoint(settings_for(named), Body(("head",), ()))
    with pytest.raises(DataError, match="do not fit an HRNet 'w32'"):
        import_checkpoint(settings_for(named, architecture="w32"), Body(JOINTS, SKELETON))


def test_missing_file_lists_what_is_allowed():
    with pytest.raises(DataError, match=r"coco_w48, coco_w32, ap10k_w32"):
        import_checkpoint(settings_for("coco_w64"), Body(JOINTS, SKELETON))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_without_a_network_there_is_one_clear_error(monkeypatch, name):
    def offline(url, **options):
        assert options["weights_only"] is True
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    settings = settings_for(name, architecture=PUBLISHED[name].architecture, height=256, width=192)
    with pytest.raises(DataError, match=r"download\.openmmlab\.com.*could not be downloaded.*give the file's path"):
        import_checkpoint(settings, Body(JOINTS, SKELETON))


def test_published_weights_are_imported_with_their_own_joints(monkeypatch):
    donor = build(tiny_spec(architecture="w32", joints=tuple(published_body("ap10k").joints), skeleton=()))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: {"state_dict": donor.state_dict()})
    settings = settings_for("ap10k_w32", architecture="w32", height=256, width=256)
    _, spec = import_checkpoint(settings, Body(JOINTS, SKELETON))
    assert spec.joints[:3] == ("L_Eye", "R_Eye", "Nose")
    assert (0, 1) in spec.skeleton
    assert spec.padding == 1.25


def test_published_weights_of_another_architecture_are_refused():
    with pytest.raises(ConfigError, match=r"pose.architecture = 'small': checkpoint 'coco_w48' has 'w48'"):
        import_checkpoint(settings_for("coco_w48"), Body(JOINTS, SKELETON))


# --- architecture


def test_wide_networks_are_configured_as_in_mmpose():
    import mmpose
    from mmengine.config import Config
    from mmpose.utils import setup_env  # noqa: F401  (registers nothing, proves the import path)

    configs = Path(mmpose.__file__).parent / ".mim" / "configs" / "body_2d_keypoint" / "topdown_heatmap" / "coco"
    theirs = Config.fromfile(configs / "td-hm_hrnet-w48_8xb32-210e_coco-256x192.py").model
    ours = Config(model_config(tiny_spec(architecture="w48", joints=tuple("abcdefghijklmnopq"), height=256, width=192)))
    for name, stage in theirs.backbone.extra.items():
        assert {key: list(value) if isinstance(value, tuple) else value for key, value in stage.items()} == {
            key: list(value) if isinstance(value, tuple) else value for key, value in ours.backbone.extra[name].items()
        }
    assert dict(theirs.head.decoder) == dict(ours.head.decoder)
    assert theirs.head.in_channels == ours.head.in_channels
    assert ours.neck is None
    assert theirs.test_cfg.items() <= ours.test_cfg.items()
    assert theirs.data_preprocessor == ours.data_preprocessor


def test_small_network_is_small_and_its_head_reads_all_branches():
    net = build(tiny_spec(joints=tuple("abcdefghijklmnopq"), skeleton=()))
    assert sum(parameter.numel() for parameter in net.parameters()) < 300_000
    assert net.head.conv_layers[0].in_channels == 8 + 16 + 32 + 64


@pytest.mark.parametrize("changes", [{"height": 100}, {"width": 0}, {"architecture": "w18"}])
def test_impossible_networks_are_refused(changes):
    with pytest.raises(ConfigError, match=f"pose.{next(iter(changes))}"):
        tiny_spec(**changes)


# --- table and pictures


def test_keypoint_table_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    batches = [
        (np.arange(start, start + 3), Poses(rng.random((3, 4, 3), np.float32), rng.random((3, 128), np.float32)))
        for start in (10, 13)
    ]
    path = tmp_path / "keypoints.parquet"
    write_keypoints(path, JOINTS, batches)
    table = read_keypoints(path)
    assert table.joints == JOINTS
    np.testing.assert_array_equal(table.frame_id, np.arange(10, 16))
    np.testing.assert_array_equal(table.keypoints, np.concatenate([poses.keypoints for _, poses in batches]))
    np.testing.assert_array_equal(table.embedding, np.concatenate([poses.embedding for _, poses in batches]))
    assert [file.name for file in tmp_path.iterdir()] == ["keypoints.parquet"]


def test_other_parquet_files_are_refused(tmp_path):
    import pandas as pd

    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match="names no joints"):
        read_keypoints(tmp_path / "other.parquet")


def test_a_drawn_joint_is_where_it_was_predicted():
    keypoints = np.array([[16, 8, 1], [4, 30, 1], [28, 30, 1], [16, 56, 1]], np.float32)
    drawn = draw_pose(np.zeros((64, 32, 3), np.uint8), keypoints, tiny_spec())
    assert drawn.shape == (320, 160, 3)
    blue, orange = drawn[round(30.5 * 5), round(4.5 * 5)], drawn[round(30.5 * 5), round(28.5 * 5)]
    assert blue[2] > 200 > blue[0] and orange[0] > 200 > orange[2]


def test_overlay_is_a_picture_of_all_frames(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 10)
    truth, _ = frames.keypoints()
    write_overlay(tmp_path / "overlay.png", frames, truth, tiny_spec(), ["x"] * 10, truth)
    assert cv2.imread(str(tmp_path / "overlay.png")).shape == (2 * (320 + 22 + 6), 8 * 166, 3)
