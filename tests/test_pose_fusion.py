"""The pose's fusion with f3: a literal computation of every row that has one, and what the losses see."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from params import finetune_settings
from small_frames import small_frames
from tiny_encoder import TinyEncoder
from torch import nn
from torch.nn import functional as F

from auxreid.clip.images import PADDING
from auxreid.clipreid import stage2
from auxreid.clipreid.losses import batch_hard_triplet, identity_cross_entropy
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.projector_figure import projector_figure
from auxreid.clipreid.stage2 import PoseBranch, finetune_encoder
from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision
from auxreid.data.frames import Frames
from auxreid.plumbing.settings.load import load_config
from auxreid.plumbing.settings.rows import PoseFusionConfig

CONFIG = load_config(Path(__file__).parent.parent / "params.yaml")
ROWS = {name: row.pose for name, row in CONFIG.ablations.items() if row.pose is not None}
JOINTS, WIDTH = 3, 4
SETTINGS = finetune_settings(
    **{"epochs": 2, "identities": 2, "instances": 2, "lr": 1e-3, "weight_decay": 0.0, "milestones": [2]},
    **{"warmup_epochs": 0, "warmup_factor": 1.0, "w_id": 0.25, "w_triplet": 0.5, "w_i2t": 2.0, "erasing": 0.0},
)
IDENTITIES = torch.tensor([0, 0, 1, 1])


def pose_config(**changes) -> PoseFusionConfig:
    return ROWS["keypoints_raw"].model_copy(update=changes)


def pose_width(config) -> int:
    return 2 * JOINTS if config.source == "keypoints" else JOINTS * 32


def batch(config, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """f3 [4, d] and the pose [4, p]"""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, WIDTH, generator=generator), torch.rand(4, pose_width(config), generator=generator)


def made(config, seed: int = 3) -> PoseFusion:
    torch.manual_seed(seed)
    return PoseFusion(WIDTH, JOINTS, config)


def literal_encoder(weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The MLP 2J-100-100-BN-d on a training batch, with relu after the first two layers."""
    for layer in ("0", "2"):
        x = np.maximum(x @ weights[f"encoder.{layer}.weight"].T + weights[f"encoder.{layer}.bias"], 0)
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * weights["encoder.4.weight"] + weights["encoder.4.bias"]
    return x @ weights["encoder.5.weight"].T + weights["encoder.5.bias"]


def literal_norm(name: str, batches: list[np.ndarray]) -> np.ndarray:
    """The last of some training batches, normalised."""
    lengths = [np.sqrt((one**2).sum(axis=1)) for one in batches]
    if name == "none":
        return batches[-1]
    if name == "unit":
        return batches[-1] / lengths[-1][:, None]
    mean = lengths[0].mean()
    for later in lengths[1:]:
        mean = 0.9 * mean + 0.1 * later.mean()
    return batches[-1] / mean


@pytest.mark.parametrize("row", ROWS)
def test_fused_feature_of_the_second_batch_equals_a_literal_computation(row):
    config = ROWS[row]
    fusion = made(config)
    weights = {name: tensor.numpy().astype(np.float64) for name, tensor in fusion.state_dict().items()}
    batches = [batch(config, seed) for seed in (0, 1)]
    found = [fusion(*one) for one in batches][-1]
    images, poses = ([part.numpy().astype(np.float64) for part in half] for half in zip(*batches, strict=True))
    if config.source == "keypoints":
        poses = [literal_encoder(weights, one) for one in poses]
    halves = [literal_norm(config.normalisation, half) for half in (images, poses)]  # each half by its own mean
    expected = np.concatenate(halves, axis=1) @ weights["projector.weight"].T + weights["projector.bias"]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_rows_of_params_yaml_are_the_experiments_of_the_thesis():
    thesis = {row: config for row, config in ROWS.items() if CONFIG.ablations[row].form == "thesis"}
    norms = {row: config.normalisation for row, config in thesis.items()}
    assert norms == {
        **{"keypoints_raw": "none", "keypoints_unit": "unit"},
        **{"keypoints_mean_norm": "mean_norm", "hrnet_mean_norm": "mean_norm"},
    }
    for row, config in thesis.items():
        assert config.source == ("hrnet_in_train_mode" if row == "hrnet_mean_norm" else "keypoints")
        assert (config.swap_joints, config.detach_norm, config.supervise, config.rank) == (
            False,
            False,
            "fused",
            "image",
        )
        corrected = ROWS[f"{row}_corrected"]
        assert corrected.normalisation == config.normalisation
        assert corrected.source == ("hrnet" if row == "hrnet_mean_norm" else "keypoints")
        assert corrected.swap_joints and corrected.detach_norm
        assert corrected.rank == "fused" or corrected.supervise == "both"  # what is ranked was supervised
    factors = {row: CONFIG.ablations[row].epoch_factor for row in thesis}
    assert factors == {"keypoints_raw": None, "keypoints_unit": 3, "keypoints_mean_norm": 4, "hrnet_mean_norm": 4}


@pytest.mark.parametrize(("source", "columns"), [("keypoints", 2048), ("hrnet", 1568), ("hrnet_in_train_mode", 1568)])
def test_widths_on_rn50_are_those_of_the_thesis(source, columns):
    fusion = PoseFusion(1024, 17, pose_config(source=source))
    assert fusion.projector.weight.shape == (1024, columns)
    layers = [tuple(layer.weight.shape) for layer in fusion.encoder.modules() if isinstance(layer, nn.Linear)]
    assert layers == ([(100, 34), (100, 100), (1024, 100)] if source == "keypoints" else [])


@pytest.mark.parametrize("detach", [False, True])
def test_gradients_of_both_halves_go_through_their_means_in_the_thesis_form_alone(detach):
    """Scaling all of a first batch scales its mean as much: the fused feature of the thesis's form does not move."""
    config = pose_config(normalisation="mean_norm", source="hrnet", detach_norm=detach)
    f3, pose = (half.requires_grad_() for half in batch(config))
    made(config)(f3, pose).square().sum().backward()
    for half in (f3, pose):
        along = (half.grad * half).sum().abs().item()
        assert (along > 1e-2) if detach else (along < 1e-5)


# --- what Figure 13 shows


def test_halves_and_what_the_model_listens_to_by_hand():
    config = pose_config(source="hrnet")
    fusion = made(config)
    with torch.no_grad():
        fusion.projector.weight[:, :WIDTH], fusion.projector.weight[:, WIDTH:] = 2.0, -0.5
    fusion(torch.full((2, WIDTH), -3.0), torch.full((2, JOINTS * 32), 8.0))
    image, pose = fusion.halves()
    assert image.shape == (WIDTH, WIDTH) and pose.shape == (WIDTH, JOINTS * 32)
    assert image.unique().tolist() == [2.0] and pose.unique().tolist() == [-0.5]
    assert fusion.listening() == pytest.approx({"image": 2 * 3, "pose": 0.5 * 8})
    fusion(torch.full((2, WIDTH), 5.0), torch.full((2, JOINTS * 32), 0.0))  # a running mean, as the norms'
    assert fusion.listening() == pytest.approx({"image": 2 * (0.9 * 3 + 0.1 * 5), "pose": 0.5 * 0.9 * 8})
    fusion.eval()(torch.full((2, WIDTH), 100.0), torch.full((2, JOINTS * 32), 0.0))
    assert fusion.listening() == pytest.approx({"image": 2 * 3.2, "pose": 3.6})


def test_the_models_inputs_are_measured_behind_the_normalisation():
    config = pose_config(source="hrnet", normalisation="unit")
    fusion = made(config)
    f3, pose = batch(config)
    fusion(f3, pose)
    expected = [F.normalize(half, dim=1).abs().mean().item() for half in (f3, pose)]
    assert fusion.input_size.tolist() == pytest.approx(expected)


def test_figure_13_shows_both_halves_on_one_scale():
    image, pose = np.array([[-0.2, 0.1], [0.1, 0.4]]), np.array([[0.01, -0.01, 0.0], [0.0, 0.02, 0.8]])
    left, right = projector_figure(image, pose, "keypoints_raw").axes
    assert left.get_xlim() == right.get_xlim()
    for axes, half, mean in ((left, image, "0.2000"), (right, pose, "0.1400")):
        heights, edges = np.histogram(half, bins=101, range=(-0.8, 0.8), density=True)
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(heights.tolist())
        assert [bar.get_x() for bar in axes.patches] == pytest.approx(edges[:-1].tolist())
        assert mean in axes.get_title()
    assert left.get_title().startswith("image half") and right.get_title().startswith("pose half")


# --- what the losses see


def literal_loss(losses: Stage2Losses, id_features, triplet_features, text_features) -> torch.Tensor:
    """The weighted sum of THESIS section 3, with a list of features for each loss."""

    def necked(f, neck):
        return (f - f.mean(0)) / (f.var(0, unbiased=False) + 1e-5).sqrt() @ neck.classifier.weight.T

    logits = [necked(f, neck) for f, neck in zip(id_features, losses.necks, strict=True)]
    ids = sum(identity_cross_entropy(one, IDENTITIES, 0.1) for one in logits)
    triplets = sum(batch_hard_triplet(f, IDENTITIES, 0.3) for f in triplet_features)
    texts = sum(identity_cross_entropy(f @ losses.texts.T, IDENTITIES, 0.1) for f in text_features)
    return 0.25 * ids + 0.5 * triplets + 2.0 * texts


@pytest.mark.parametrize("supervise", ["fused", "both"])
def test_the_fused_feature_replaces_f3_in_all_losses_or_adds_its_terms(supervise):
    config = pose_config(source="hrnet", supervise=supervise)
    fusion, both = made(config), supervise == "both"
    branch = PoseBranch(None, fusion, supervise_image=both)
    f3, pose = batch(config)
    f1, f2 = (torch.randn(4, d, generator=torch.Generator().manual_seed(d)) for d in (3, 5))
    seen = branch.features((f1, f2, f3), pose)
    texts = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(9))
    losses = Stage2Losses((3, 5, *[WIDTH] * (1 + both)), 2, Supervision(texts), SETTINGS)
    terms = losses(seen, IDENTITIES)
    fused = fusion(f3, pose)
    third = [f3, fused] if both else [fused]
    torch.testing.assert_close(terms["loss"], literal_loss(losses, [f2, *third], [f1, f2, *third], third))


def tiny_encoder() -> TinyEncoder:
    torch.manual_seed(0)
    return TinyEncoder((2, 5, WIDTH), (24, 20))


def recorded_pose(call: int, b: int) -> torch.Tensor:
    return torch.rand(b, JOINTS * 32, generator=torch.Generator().manual_seed(call))


class Recorder:
    """A pose input that notes what it was asked for."""

    drifting: ClassVar[dict] = {}

    def __init__(self):
        self.calls = []

    def __call__(self, rows, mirrored, images):
        self.calls.append((rows, mirrored, images.clone()))
        return recorded_pose(len(self.calls), len(rows))


def train(folder: Path, supervise: str, monkeypatch) -> tuple[Recorder, list, PoseBranch, Frames]:
    """A short stage 2 with a recorder as its pose, and what the losses saw step by step."""
    seen = []

    class Watched(Stage2Losses):
        def forward(self, features, identities):
            seen.append(([f.detach().clone() for f in features], identities.clone()))
            return super().forward(features, identities)

    monkeypatch.setattr(stage2, "Stage2Losses", Watched)
    frames = small_frames(folder / "frames.arrow", [1, 1, 1, 2, 2, 2, 3, 3, 3], size=(20, 24))
    encoder, recorder = tiny_encoder(), Recorder()
    branch = PoseBranch(recorder, made(pose_config(source="hrnet", supervise=supervise)), supervise == "both")
    supervision = Supervision(torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(1)))
    classes = np.arange(9) // 3
    finetune_encoder(encoder, frames, classes, supervision, SETTINGS, 0, lambda metrics, epoch: None, branch)
    return recorder, seen, branch, frames


def test_training_asks_for_the_pose_of_each_image_as_it_was_seen(tmp_path, monkeypatch):
    recorder, seen, _, frames = train(tmp_path, "fused", monkeypatch)
    assert {bool(flip) for _, mirrored, _ in recorder.calls for flip in mirrored} == {False, True}
    for (rows, mirrored, images), (_, identities) in zip(recorder.calls, seen, strict=True):
        assert identities.tolist() == (rows // 3).tolist()
        for row, flip, image in zip(rows, mirrored, images, strict=True):
            plain = frames.image(int(row))[:, ::-1] if flip else frames.image(int(row))
            padded = np.pad(plain, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (24, 20), axis=(0, 1))  # [21, 21, 3, 24, 20]
            shown = image.numpy().transpose(2, 0, 1)
            assert (windows == shown).all(axis=(2, 3, 4)).any()  # a crop of this row, mirrored as it was told


@pytest.mark.parametrize(("supervise", "widths"), [("fused", [2, 5, WIDTH]), ("both", [2, 5, WIDTH, WIDTH])])
def test_training_supervises_the_fused_feature_and_trains_its_fusion(tmp_path, monkeypatch, supervise, widths):
    recorder, seen, branch, _ = train(tmp_path, supervise, monkeypatch)
    features, _ = seen[0]
    assert [f.shape[1] for f in features] == widths
    untrained, encoder = made(pose_config(source="hrnet")), tiny_encoder()
    colour = ((recorder.calls[0][2].float() / 255 - 0.5) / 0.5).mean((1, 2))
    f3 = encoder.maps[2](colour)
    torch.testing.assert_close(features[-1], untrained(f3, recorded_pose(1, 4)), atol=1e-5, rtol=1e-5)
    if supervise == "both":
        torch.testing.assert_close(features[2], f3, atol=1e-5, rtol=1e-5)
    assert not torch.equal(branch.fusion.projector.weight, untrained.projector.weight)
    assert not branch.fusion.training  # as the encoder: ready to be used
