"""Overlapping patches and camera embedding: against literal forwards, through checkpoints, stage 2 and the pipeline."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import open_clip
import pytest
import torch
import yaml
from params import finetune_settings, raw_params
from tiny_study import run, write_study
from torch import nn

from auxreid.clip.build import build_towers
from auxreid.clip.checkpoints import load_image_encoder, save_tower
from auxreid.clip.embed import camera_places, encode_frames
from auxreid.clip.image_towers import ViTTower
from auxreid.clip.vit_variants import adapt_vit, training_cameras, variant_of
from auxreid.clipreid.stage2 import finetune_encoder
from auxreid.clipreid.stage2_losses import Supervision
from auxreid.data.frames import Frames, FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.applicability import not_applicable
from auxreid.plumbing.settings.load import parse_config
from auxreid.plumbing.settings.recipes import InputConfig, OpenClipEncoder
from auxreid.plumbing.settings.rows import ViTConfig

SIZE = (32, 16)
INPUT = InputConfig(height=SIZE[0], width=SIZE[1], mean=(0.5,) * 3, std=(0.5,) * 3)
OLP = ViTConfig(patch_stride=6)  # of 8-pixel patches: 5 x 2 instead of 4 x 2
SIE = ViTConfig(camera_embedding=3.0)
BOTH = ViTConfig(patch_stride=6, camera_embedding=3.0)
SETTINGS = finetune_settings(
    epochs=1,
    identities=2,
    instances=2,
    lr=1e-3,
    weight_decay=0.0,
    milestones=[9],
    warmup_epochs=0,
    warmup_factor=1.0,
    w_id=1.0,
)
CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32},
    "text_cfg": {"width": 16, "heads": 2, "layers": 1},
}


def tower(size: tuple[int, int] = SIZE) -> ViTTower:
    """A tiny plain tower, always the same."""
    torch.manual_seed(0)
    visual = open_clip.transformer.VisionTransformer(
        image_size=32, patch_size=8, width=32, layers=2, heads=2, mlp_ratio=2.0, output_dim=12
    )
    return ViTTower(visual, size).eval()


def adapted(config: ViTConfig, cameras: tuple[int, ...] = ()) -> ViTTower:
    made = tower()
    torch.manual_seed(1)
    return adapt_vit(made, config, SIZE, cameras)


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def of_camera(sie: ViTTower, place: int) -> ViTTower:
    """An independent tower for one camera: its vector, weighted, is moved into the class token."""
    plain = copy.deepcopy(sie)
    plain.visual.class_embedding.data += sie.camera_weight * sie.camera_embedding.data[place]
    plain.cameras, plain.camera_embedding = (), None
    return plain


def assert_equal_features(ours, theirs) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def literal_forward(made: ViTTower, image: torch.Tensor, stride: int, vector: torch.Tensor):
    """(f1, f2, f3) of one image [3, h, w], patch by patch; `vector` [d] goes to the class token."""
    visual, tokens = made.visual, [made.visual.class_embedding + vector]
    for top in range(0, SIZE[0] - 8 + 1, stride):
        for left in range(0, SIZE[1] - 8 + 1, stride):
            patch = image[:, top : top + 8, left : left + 8]
            tokens.append((visual.conv1.weight * patch).sum((1, 2, 3)))
    x = visual.ln_pre(torch.stack(tokens) + visual.positional_embedding)[None]
    first, last = visual.transformer.resblocks
    before, after = first(x), last(first(x))
    f2 = visual.ln_post(after[0, 0])
    return before[0, 0], f2, f2 @ visual.proj


def test_the_rows_say_where_they_do_not_apply():
    raw = raw_params()
    rows = ["overlapping_patches", "camera_embedding", "camera_embedding_and_overlap"]
    raw["study"] |= {"datasets": ["market1501"], "rows": ["clip_reid", *rows]}
    reason = "changes a vision transformer, and recipes.rn50 has none"
    assert not_applicable(parse_config(raw), "market1501") == dict.fromkeys(rows, reason)
    raw["datasets"]["market1501"]["recipe"] = "vit_b_16"
    assert not_applicable(parse_config(raw), "market1501") == {}


def test_256_by_128_with_stride_12_makes_21_by_10_patches():
    visual = open_clip.transformer.VisionTransformer(
        image_size=224, patch_size=16, width=32, layers=1, heads=2, mlp_ratio=1.0, output_dim=8
    )
    made = adapt_vit(ViTTower(visual, (256, 128)), ViTConfig(patch_stride=12), (256, 128))
    assert made.visual.conv1(torch.zeros(1, 3, 256, 128)).shape[2:] == (21, 10)
    assert made.visual.positional_embedding.shape == (1 + 21 * 10, 32)
    assert made(torch.zeros(1, 3, 256, 128))[2].shape == (1, 8)


def test_a_stride_of_the_patch_size_changes_nothing():
    same = adapted(ViTConfig(patch_stride=8))
    for ours, theirs in zip(same(images()), tower()(images()), strict=True):
        assert torch.equal(ours, theirs)
    assert variant_of(same) is None


def test_patches_of_an_overlapping_tower_are_cut_every_stride_pixels():
    made = adapted(OLP)
    rows = [literal_forward(made, image, 6, torch.zeros(32)) for image in images()]
    assert_equal_features(made(images()), [torch.stack(column) for column in zip(*rows, strict=True)])


def test_positions_come_from_the_grid_that_the_tower_had():
    """4 x 2 to 5 x 2: between the rows of each of the two columns, and not across them."""
    before = tower().visual.positional_embedding.detach()
    after = adapted(OLP).visual.positional_embedding.detach()
    rows = before[1:].reshape(4, 2, 32)
    place = torch.tensor([0.0, 0.7, 1.5, 2.3, 3.0])  # (i + 1/2) 4/5 - 1/2 of the old rows, clamped
    low = place.floor().long().clamp(max=2)
    share = (place - low)[:, None, None]
    expected = (1 - share) * rows[low] + share * rows[low + 1]
    torch.testing.assert_close(after[1:].reshape(5, 2, 32), expected)
    assert torch.equal(after[0], before[0])


def test_a_stride_can_be_set_again_and_a_larger_one_than_the_patch_is_refused():
    twice = adapt_vit(adapted(OLP), OLP, SIZE)
    assert torch.equal(twice.visual.positional_embedding, adapted(OLP).visual.positional_embedding)
    with pytest.raises(ConfigError, match=r"vit.patch_stride = 9: .*allowed are 1\.\.8"):
        adapted(ViTConfig(patch_stride=9))


@pytest.mark.parametrize("config, stride", [(SIE, 8), (BOTH, 6)])
def test_the_weighted_vector_of_the_camera_goes_to_the_class_token_alone(config, stride):
    made = adapted(config, (1, 2, 5))
    vectors = 3.0 * made.camera_embedding.detach()
    places = torch.tensor([2, 0])
    rows = [literal_forward(made, image, stride, vectors[place]) for image, place in zip(images(), places, strict=True)]
    features = made(images(), places)
    assert_equal_features(features, [torch.stack(column) for column in zip(*rows, strict=True)])
    assert not torch.allclose(features[2], made(images(), torch.tensor([0, 0]))[2], atol=1e-3)


def test_the_vectors_are_drawn_with_the_references_deviation():
    vectors = adapted(SIE, tuple(range(1, 501))).camera_embedding
    assert vectors.std().item() == pytest.approx(0.02, rel=0.03)
    assert abs(vectors.mean().item()) < 0.001
    assert torch.equal(vectors, adapted(SIE, tuple(range(1, 501))).camera_embedding)


def test_weight_zero_equals_no_embedding():
    made = adapted(ViTConfig(camera_embedding=0.0), (1, 2))
    for ours, theirs in zip(made(images(), torch.tensor([0, 1])), tower()(images()), strict=True):
        assert torch.equal(ours, theirs)


def test_the_gradient_reaches_the_cameras_of_the_batch_alone():
    made = adapted(SIE, (1, 2, 3, 4))
    made(images(3), torch.tensor([3, 1, 3]))[2].square().sum().backward()
    assert made.camera_embedding.grad.norm(dim=1).gt(0).tolist() == [False, True, False, True]


def test_cameras_are_given_just_where_they_are_known():
    with pytest.raises(ValueError, match=r"cameras missing; the tower knows \(1, 2\)"):
        adapted(SIE, (1, 2))(images())
    with pytest.raises(ValueError, match="cameras given"):
        tower()(images(), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(IndexError):
        adapted(SIE, (1, 2))(images(), torch.tensor([0, 2]))


def test_a_start_with_a_camera_embedding_keeps_its_vectors():
    start = adapted(SIE, (1, 2))
    vectors = start.camera_embedding
    again = adapt_vit(start, ViTConfig(patch_stride=6, camera_embedding=1.0), SIZE, (1, 2))
    assert again.camera_embedding is vectors and again.camera_weight == 1.0
    with pytest.raises(DataError, match=r"is of cameras \(1, 2\), training sees \(1, 3\)"):
        adapt_vit(start, SIE, SIZE, (1, 3))


def frames_of(cameras: list[int], path: Path, splits: list[str] | None = None) -> Frames:
    """Noise images, two per identity, of these cameras."""
    rng = np.random.default_rng(0)
    rows = []
    for number, camera in enumerate(cameras):
        pixels = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        row = {"path": f"{number:02d}_c{camera}.png", "split": splits[number] if splits else "train", "camera": camera}
        row |= {"identity": number // 2 + 1, "width": SIZE[1], "height": SIZE[0]}
        rows.append(row | {"image": cv2.imencode(".png", pixels)[1].tobytes()})
    write_frames(path, rows, FramesMeta("noise", "market1501", "market1501", "person"))
    return open_frames(path)


def test_frames_are_encoded_with_their_own_cameras(tmp_path):
    cameras = [6, 2, 2, 3, 6, 3, 2]
    frames = frames_of(cameras, tmp_path / "frames.arrow")
    made = adapted(BOTH, training_cameras(frames))
    assert made.cameras == (2, 3, 6)
    encoded = encode_frames(made, frames, INPUT, batch_size=3)
    for row, camera in enumerate(cameras):
        alone = encode_frames(of_camera(made, (2, 3, 6).index(camera)), frames.take([row]), INPUT)
        assert_equal_features([f[row : row + 1] for f in encoded], alone)
    backwards = encode_frames(made, frames.take(np.arange(7)[::-1]), INPUT, batch_size=3)
    assert_equal_features([f.flip(0) for f in backwards], encoded)


def test_an_encoder_without_cameras_sees_the_images_alone(tmp_path):
    frames = frames_of([1, 2, 0], tmp_path / "frames.arrow")
    assert camera_places(tower(), frames) is None and camera_places(nn.Linear(1, 1), frames) is None
    together = encode_frames(tower(), frames, INPUT)
    assert_equal_features(encode_frames(tower(), frames, INPUT, batch_size=2), together)


@pytest.mark.parametrize("camera", [1, 4, 9])
def test_a_camera_that_training_did_not_see_is_named(camera, tmp_path):
    frames = frames_of([3, 5, camera], tmp_path / "frames.arrow")
    made = adapted(SIE, (3, 5))
    message = rf"noise: 1 frames .*camera {camera} of 02_c{camera}.png; it was trained on \(3, 5\)"
    with pytest.raises(DataError, match=message):
        encode_frames(made, frames, INPUT)
    with pytest.raises(DataError, match=message):
        finetune_encoder(ready(made), frames, np.array([0, 0, 1]), Supervision(), SETTINGS, 0, forget)


def test_training_frames_without_a_camera_are_named(tmp_path):
    with pytest.raises(DataError, match=r"noise: 1 training frames have no camera \(e.g. 01_c0.png\)"):
        training_cameras(frames_of([1, 0], tmp_path / "frames.arrow"))


def forget(metrics: dict[str, float], epoch: int) -> None:
    pass


def ready(made: ViTTower) -> ViTTower:
    made.input_config = INPUT
    return made


def trained(frames: Frames, config: ViTConfig, curve: list) -> ViTTower:
    made = ready(adapted(config, training_cameras(frames)))
    classes = frames.identity - 1
    finetune_encoder(
        made, frames, classes, Supervision(), SETTINGS, 0, lambda metrics, epoch: curve.append(metrics["loss"])
    )
    return made


@pytest.mark.parametrize("config", [OLP, SIE, BOTH])
def test_stage_2_trains_a_variant_and_repeats_itself(config, tmp_path):
    frames = frames_of([1, 2, 2, 3], tmp_path / "frames.arrow")
    curve: list[float] = []
    first, second = trained(frames, config, curve), trained(frames, config, curve)
    before = adapted(config, (1, 2, 3)).state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
        assert not torch.equal(tensor, before[name]), f"{name} was not trained"
    assert len(curve) == 2 and curve[0] == curve[1]
    assert not first.training


def test_a_step_moves_only_the_vectors_of_the_cameras_seen(tmp_path):
    frames = frames_of([1, 2, 2, 1], tmp_path / "frames.arrow")
    made = ready(adapted(SIE, (1, 2, 7)))
    before = made.camera_embedding.detach().clone()
    finetune_encoder(made, frames, frames.identity - 1, Supervision(), SETTINGS, 0, forget)
    assert (made.camera_embedding != before).any(dim=1).tolist() == [True, True, False]


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> Callable[[], OpenClipEncoder]:
    """An encoder section whose open_clip model is tiny, with random weights in a local file."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "ViT-tiny-8-of-tests.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(folder)
    torch.manual_seed(2)
    torch.save(open_clip.create_model("ViT-tiny-8-of-tests").state_dict(), folder / "clip.pt")
    return OpenClipEncoder(
        kind="open_clip", name="ViT-tiny-8-of-tests", pretrained=str(folder / "clip.pt"), quick_gelu=False
    )


@pytest.mark.parametrize("config", [OLP, SIE, BOTH])
def test_a_variants_checkpoint_explains_itself(registered, config, tmp_path):
    from safetensors import safe_open

    plain, _ = build_towers(registered, SIZE)
    made = adapt_vit(plain.eval(), config, SIZE, (1, 4))
    save_tower(made, tmp_path / "encoder.safetensors", registered, INPUT)
    with safe_open(tmp_path / "encoder.safetensors", framework="pt") as file:
        said = json.loads(file.metadata()["auxreid"])["vit"]
    assert said == {**config.model_dump(), "cameras": [1, 4] if config.camera_embedding else []}
    again = load_image_encoder(tmp_path / "encoder.safetensors")
    assert variant_of(again) == variant_of(made) and again.cameras == made.cameras
    places = (torch.tensor([1, 0]),) if made.cameras else ()
    for ours, theirs in zip(again(images(), *places), made(images(), *places), strict=True):
        assert torch.equal(ours, theirs)


def test_a_plain_towers_header_names_no_variant(registered, tmp_path):
    plain, _ = build_towers(registered, SIZE)
    save_tower(plain, tmp_path / "image.safetensors", registered, INPUT)
    assert variant_of(load_image_encoder(tmp_path / "image.safetensors")) is None
    assert variant_of(nn.Linear(1, 1)) is None


@pytest.fixture
def study(registered, tmp_path, monkeypatch) -> Path:
    """A project folder: clip_reid and the three rows on a market1501 of noise, with a tiny vision transformer."""
    monkeypatch.chdir(tmp_path)
    raw = raw_params()
    raw["study"] = {"datasets": ["market1501"], "seeds": [0]}
    raw["study"]["rows"] = ["clip_reid", "overlapping_patches", "camera_embedding", "camera_embedding_and_overlap"]
    raw["datasets"]["market1501"]["recipe"] = "vit_b_16"
    for row in ("overlapping_patches", "camera_embedding_and_overlap"):
        raw["ablations"][row]["vit"]["patch_stride"] = 6
    recipe = raw["recipes"]["vit_b_16"]
    recipe["input"] |= {"height": SIZE[0], "width": SIZE[1]}
    recipe["encoder"] = registered.model_dump()
    recipe["prompts"] |= {"epochs": 1, "warmup_epochs": 0}
    recipe["finetune"] |= {"epochs": 1, "identities": 2, "instances": 2, "milestones": [9], "warmup_epochs": 0}
    recipe["evaluate"]["pictures"] = 1
    write_study(raw)
    return tmp_path


def test_the_rows_run_through_the_pipeline(study):
    splits = ["train"] * 4 + ["query", "gallery"] * 2
    frames_of([1, 2, 3, 1, 3, 2, 1, 2], study / "results/ingest/market1501/frames.arrow", splits)
    run("pretrain", "market1501-0")
    run("prompts", "market1501-learned-0")
    run("protocol", "market1501")
    graph = yaml.safe_load(Path("pipeline/graph.yaml").read_text())["graph"]
    assert list(graph["prompts"]) == ["market1501-learned-0"]  # one for all of them
    for row, stride, cameras in (
        ("clip_reid", (8, 8), ()),
        ("overlapping_patches", (6, 6), ()),
        ("camera_embedding", (8, 8), (1, 2, 3)),
        ("camera_embedding_and_overlap", (6, 6), (1, 2, 3)),
    ):
        run("finetune", f"market1501-{row}-0")
        file = study / f"results/finetune/market1501-{row}-0/encoder.safetensors"
        encoder, written = load_image_encoder(file), file.read_bytes()
        assert (encoder.visual.conv1.stride, encoder.cameras) == (stride, cameras)
        run("evaluate", f"market1501-{row}-0")
        assert (study / f"results/evaluate/market1501-{row}-0/metrics.json").is_file()
        run("finetune", f"market1501-{row}-0")
        assert file.read_bytes() == written


def test_a_camera_that_only_the_test_has_stops_the_row_before_training(study):
    splits = ["train"] * 4 + ["query", "gallery"] * 2
    frames_of([1, 2, 2, 1, 1, 2, 1, 6], study / "results/ingest/market1501/frames.arrow", splits)
    run("pretrain", "market1501-0")
    run("prompts", "market1501-learned-0")
    run("finetune", "market1501-overlapping_patches-0")
    with pytest.raises(DataError, match=r"noise: 1 frames .*camera 6 of 07_c6.png; it was trained on \(1, 2\)"):
        run("finetune", "market1501-camera_embedding-0")
    assert not (study / "results/finetune/market1501-camera_embedding-0/history.csv").exists()
