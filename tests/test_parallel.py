"""Two gloo processes against one: batch norm, stage 2 and the attribute classifier, from equal seeds.

In float64, sums in another order differ by some 1e-15 of themselves: nothing else can hide behind the tolerance.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from params import finetune_settings
from process_pair import ProcessPair
from pydantic import TypeAdapter
from small_frames import small_frames
from torch import Tensor, nn

from auxreid.attributes.model import build_backbone
from auxreid.attributes.predict import predict
from auxreid.attributes.train import fit
from auxreid.clip.build import build_towers
from auxreid.clip.embed import encode_frames
from auxreid.clipreid.auxiliary import Context, build_auxiliary
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import DriftingHRNet
from auxreid.clipreid.stage2 import PoseBranch, finetune_encoder
from auxreid.clipreid.stage2_losses import Supervision
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig
from auxreid.plumbing.settings.recipes import InputConfig, ResNetEncoderConfig, TextConfig
from auxreid.plumbing.settings.rows import PoseFusionConfig
from auxreid.pose.architecture import PoseSpec, build
from auxreid.pose.checkpoint import save_checkpoint
from auxreid.training.batch_norm import WholeBatchNorm, share_batch_norms
from auxreid.training.environment import rank
from auxreid.training.fabric import open_fabric
from auxreid.training.share import Share

HEIGHT, WIDTH, JOINTS = 64, 32, 3
IDENTITIES, IMAGES = 4, 5
SETTINGS = finetune_settings(
    epochs=2,
    identities=3,
    instances=3,  # 9 rows: shares of 5 and 4
    lr=1e-2,
    weight_decay=5e-4,
    milestones=[2],
    warmup_epochs=0,
    warmup_factor=1.0,
    w_id=1.0,
    erasing=0.5,
)


# shares


def test_shares_are_contiguous_and_make_up_the_batch():
    for batch in range(4, 12):
        for count in range(1, 5):
            rows = [list(range(batch))[Share(one, count).rows(batch)] for one in range(count)]
            assert [row for part in rows for row in part] == list(range(batch))
            assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_a_batch_smaller_than_the_number_of_processes_is_refused():
    with pytest.raises(ConfigError, match=r"batch of 3 images cannot be shared by 4 processes.*at most 3"):
        Share(0, 4).rows(3)


def test_one_process_keeps_its_batch_norms_and_its_tensors():
    norm, rows = nn.Sequential(nn.BatchNorm1d(2)), torch.ones(3, 2)
    assert type(share_batch_norms(norm)[0]) is nn.BatchNorm1d
    assert Share().gather(rows, 3) is rows


# two processes


@pytest.fixture(scope="module")
def pair() -> Iterator[ProcessPair]:
    pair = ProcessPair()
    yield pair
    pair.close()


def norms() -> dict[str, nn.Module]:
    """Batch norms of each kind, with weights that are not those of a start."""
    from timm.layers import BatchNormAct2d

    found = {
        "1d": nn.BatchNorm1d(3),
        "2d": nn.BatchNorm2d(3),
        "cumulative": nn.BatchNorm2d(3, momentum=None),
        "no weights": nn.BatchNorm2d(3, affine=False),
        "frozen bias": nn.BatchNorm1d(3),
        "with an activation": BatchNormAct2d(3, act_layer=nn.ReLU),
        "no running statistics": nn.BatchNorm1d(3, track_running_stats=False),
        "eval": nn.BatchNorm2d(3),
    }
    found["frozen bias"].bias.requires_grad_(False)
    for number, norm in enumerate(found.values()):
        generator = torch.Generator().manual_seed(number)
        for tensor in [*norm.parameters(), *(b for b in norm.buffers() if b.is_floating_point())]:
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    found["eval"].eval()
    return found


def through_norms(dtype: torch.dtype) -> dict[str, dict[str, Tensor | None]]:
    """Two batches of 5 rows through each norm, or this process's share of them: what comes out, back, and is kept."""
    share, results = open_fabric()[1], {}
    for name, norm in norms().items():
        norm = share_batch_norms(nn.Sequential(norm))[0].to(dtype)
        shape = (5, 3) if "1d" in name or "bias" in name or "running" in name else (5, 3, 4, 2)
        generator, rows = torch.Generator().manual_seed(9), share.rows(5)
        for _ in range(2):
            x, g = (torch.randn(shape, generator=generator, dtype=torch.double).to(dtype) for _ in range(2))
            x = (100 + x)[rows].requires_grad_()  # a mean far from 0
            out = norm(x)
            norm.zero_grad()
            (out * g[rows]).sum().backward()
        kept = {f"kept {key}": value for key, value in norm.state_dict().items()}
        grads = {f"gradient of {key}": parameter.grad for key, parameter in norm.named_parameters()}
        results[name] = {"out": out.detach(), "back": x.grad} | kept | grads
    return results


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-11), (torch.float, 1e-4)])
def test_batch_norm_of_two_processes_is_that_of_the_whole_batch(pair, dtype, tolerance):
    whole = through_norms(dtype)
    first, second = pair.call(through_norms, dtype)
    for name, expected in whole.items():
        assert set(first[name]) == set(expected)
        for key, value in expected.items():
            ours, theirs = first[name][key], second[name][key]
            if key.startswith("kept"):
                assert torch.equal(ours, theirs)
            elif value is not None:  # rows of both; a weight's gradient is the sum of theirs
                ours = torch.cat([ours, theirs]) if key in ("out", "back") else ours + theirs
            torch.testing.assert_close(ours, value, rtol=tolerance, atol=tolerance, msg=f"{name}, {key}")


def test_a_batch_norm_of_an_unknown_kind_is_refused():
    class Odd(nn.BatchNorm2d):
        pass

    with pytest.raises(ConfigError, match="has a Odd, which several processes cannot share"):
        WholeBatchNorm(Odd(3))


class TowerInDouble(nn.Module):
    """A tower in float64, a vector per camera on f3, and a weight that nothing uses."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.tower, self.dims, self.cameras = tower.double(), tower.dims, (1, 2)
        self.vectors = nn.Parameter(torch.randn(2, tower.dims[2], dtype=torch.double))
        self.unused = nn.Parameter(torch.ones(3, dtype=torch.double))
        self.input_config = InputConfig(height=HEIGHT, width=WIDTH, mean=(0.5,) * 3, std=(0.5,) * 3)

    def forward(self, images: Tensor, cameras: Tensor) -> tuple[Tensor, ...]:
        f1, f2, f3 = self.tower(images.double())
        return f1, f2, f3 + self.vectors[cameras]


def resnet() -> nn.Module:
    torch.manual_seed(0)
    encoder = ResNetEncoderConfig(
        kind="resnet", width=4, layers=(1, 1, 1, 1), embed_dim=8, text=TextConfig(width=16, heads=2, layers=1)
    )
    tower = build_towers(encoder, (HEIGHT, WIDTH))[0]
    tower.input_config = InputConfig(height=HEIGHT, width=WIDTH, mean=(0.5,) * 3, std=(0.5,) * 3)
    return tower


def keypoints(rows: np.ndarray, mirrored: np.ndarray, images: Tensor) -> Tensor:
    """Made-up coordinates of each row, turned round where it is mirrored."""
    points = np.random.default_rng(0).random((IDENTITIES * IMAGES, 2 * JOINTS))[rows]
    return torch.from_numpy(np.where(mirrored[:, None], 1 - points, points)).to(torch.get_default_dtype())


keypoints.drifting = {}


def stage2(
    path: Path, changes: dict, pose: dict | None, dtype: torch.dtype, idea: dict | None = None
) -> tuple[list[dict[str, float]], dict[str, Tensor], dict[str, Tensor]]:
    """Train by stage 2 in this process or as one of two: its curve, final weights, and the last step's gradients."""
    torch.set_default_dtype(dtype)
    try:
        frames, encoder, branch = open_frames(path), resnet(), None
        encoder = TowerInDouble(encoder) if dtype is torch.double else encoder
        if pose is not None:
            config = PoseFusionConfig(source="keypoints", swap_joints=True, rank="fused", **pose)
            branch = PoseBranch(keypoints, PoseFusion(8, JOINTS, config), config.supervise == "both")
        settings, auxiliary = SETTINGS.model_copy(update=changes), None
        if idea is not None:
            context = Context(encoder, frames, frames.identity - 1, Path(), settings, 0)
            auxiliary = build_auxiliary(TypeAdapter(AuxiliaryConfig).validate_python(idea), context)
        texts, curve = torch.randn(IDENTITIES, 8, generator=torch.Generator().manual_seed(1)), []
        finetune_encoder(
            encoder,
            frames,
            frames.identity - 1,
            Supervision(texts),
            settings,
            0,
            lambda metrics, epoch: curve.append(metrics),
            branch,
            auxiliary=auxiliary,
        )
    finally:
        torch.set_default_dtype(torch.float)
    trained = {"encoder": encoder} | ({} if branch is None else {"fusion": branch.fusion})
    trained = nn.ModuleDict(trained | ({} if auxiliary is None else {"auxiliary": auxiliary}))
    gradients = {name: p.grad for name, p in trained.named_parameters() if p.grad is not None}
    return curve, dict(trained.state_dict()), gradients


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Noise of two cameras, five images of each of four people."""
    folder = tmp_path_factory.mktemp("frames")
    source = small_frames(folder / "source.arrow", np.repeat(np.arange(1, 5), IMAGES), size=(WIDTH, HEIGHT))
    with_cameras = [
        {"path": source.path[i], "split": "train", "identity": int(source.identity[i]), "camera": i % 2 + 1}
        | {"width": WIDTH, "height": HEIGHT, "image": bytes(source.image_bytes(i))}
        for i in range(len(source))
    ]
    path = folder / "frames.arrow"
    write_frames(path, with_cameras, FramesMeta("small", "market1501", "market1501", "person"))
    return path


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float, what: str) -> None:
    """Each tensor to within `tolerance` of its own largest entry, or of 1e-6 where it is 0 but for rounding."""
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        scale = max(tensor.abs().max().item(), 1e-6)
        difference = (ours[name].double() - tensor.double()).abs().max().item()
        assert difference <= tolerance * scale, f"{what} {name}: differs by {difference:.2g}, largest entry {scale:.2g}"


FUSED = {"normalisation": "mean_norm", "detach_norm": False, "supervise": "both"}
HEAD = {"kind": "second_head", "dim": 6}  # it has batch norm, and the next one a memory, of the whole batch
MEMORY = {"kind": "prototypes", "feature": "f3", "initial": "features", "temperature": 0.1, "momentum": 0.5}
MEMORY |= {"weight": 1.0, "shuffled": False}
CASES = {
    "image alone": ({}, None, None),
    "the pose's fusion": ({"epochs": 3}, FUSED, None),
    "one batch": ({"epochs": 1, "identities": 4, "instances": 5}, FUSED, None),  # its gradients are those of the start
    "a second head": ({}, None, HEAD),
    "prototypes": ({}, None, MEMORY),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_stage_2_of_two_processes_is_that_of_one(pair, path, case):
    changes, pose, idea = CASES[case]
    asked = path, changes, pose, torch.double, idea
    curve, weights, gradients = stage2(*asked)
    (first_curve, first, first_gradients), (second_curve, second, _) = pair.call(stage2, *asked)
    assert len(curve) == changes.get("epochs", SETTINGS.epochs)
    assert first_curve == second_curve
    for ours, expected in zip(first_curve, curve, strict=True):
        assert ours == pytest.approx(expected, rel=1e-9)
    assert {name for name, one in first.items() if not torch.equal(one, second[name])} == set()
    assert_same(first_gradients, gradients, 1e-8, "gradient of")
    assert_same(first, weights, 1e-8, "weight")
    assert "encoder.unused" not in gradients and "encoder.unused" not in first_gradients


@pytest.mark.slow
def test_stage_2_in_float32_gives_the_same_losses_and_features(pair, path):
    """Single weights may differ more: Adam divides each gradient by its own size, be it rounding alone."""
    curve, weights, _ = stage2(path, {"lr": 1e-3}, None, torch.float)
    (first_curve, first, _), _ = pair.call(stage2, path, {"lr": 1e-3}, None, torch.float)
    for ours, expected in zip(first_curve, curve, strict=True):
        assert ours == pytest.approx(expected, rel=1e-3)
    found = []
    for state in (first, weights):
        tower = resnet()
        tower.load_state_dict({name.removeprefix("encoder."): tensor for name, tensor in state.items()})
        found.append(torch.cat(encode_frames(tower, open_frames(path), tower.input_config), dim=1))
    assert (found[0] - found[1]).abs().max() < 1e-2 * found[1].std()


def drifting(path: Path, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The pose embedding of all images by an HRNet in training mode, from this process's share of them."""
    share, rows = open_fabric()[1], np.arange(len(images))
    pose = DriftingHRNet(path)
    own = share.rows(len(images))
    found = pose(rows[own], np.zeros(len(rows[own]), bool), images[own])
    return share.gather(found, len(images)), dict(pose.net.state_dict())


@pytest.mark.slow
def test_an_hrnet_in_training_mode_drifts_with_the_whole_batch(pair, tmp_path):
    torch.manual_seed(0)
    spec = PoseSpec("small", ("head", "left_hand", "right_hand"), (), HEIGHT, WIDTH, padding=1.0, source="test")
    save_checkpoint(build(spec), spec, tmp_path / "hrnet.safetensors")
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, HEIGHT, WIDTH, 3), np.uint8))
    expected, kept = drifting(tmp_path / "hrnet.safetensors", images)
    for ours, ours_kept in pair.call(drifting, tmp_path / "hrnet.safetensors", images):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * expected.std().item())
        assert_same(ours_kept, kept, 1e-3, "buffer")


# the attribute classifier

VOCABULARY = {"color": ["red", "blue"], "shape": ["disc", "bar", "ring"]}
ATTRIBUTES = SimpleNamespace(
    backbone="test_resnet",
    weights=None,
    height=32,
    width=32,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    epochs=2,
    batch_size=7,
    lr=1e-3,
    backbone_lr_factor=1.0,
    trained_stages=None,
    views=None,
    folds=None,
    patience=None,
    mirrored=False,
    weight_decay=0.01,
    warmup_epochs=0,
    label_smoothing=0.1,
    dropout=0.3,
    augmentation=1.0,
    mixup=None,
    balance="inverse_frequency",
    calibration="temperature",
    seed=3,
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """24 training and 8 val frames of noise; a third of the training frames lack one of their labels."""
    rng, folder, rows = np.random.default_rng(0), tmp_path_factory.mktemp("labelled"), []
    source, path = small_frames(folder / "source.arrow", range(1, 33), size=(32, 32)), folder / "frames.arrow"
    for number in range(32):
        labels = {f"attr_{name}": words[rng.integers(len(words))] for name, words in VOCABULARY.items()}
        if number < 24 and number % 3 == 0:
            labels[f"attr_{('color', 'shape')[number % 2]}"] = None
        row = {"path": f"{number}.png", "split": "train" if number < 24 else "val", "identity": number}
        rows.append(row | {"width": 32, "height": 32, "image": bytes(source.image_bytes(number))} | labels)
    write_frames(path, rows, FramesMeta("noise", "dogs", "dogs", "dog", attributes=VOCABULARY))
    return path


class BackboneInDouble(nn.Module):
    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone, self.head_hidden_size = backbone.double(), backbone.head_hidden_size

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images.double())


def attributes(path: Path, changes: dict, dtype: torch.dtype = torch.double):
    """Train the classifier in this process or as one of two: its points, best epoch, predictions and tensors."""
    frames, points, settings = open_frames(path), [], SimpleNamespace(**vars(ATTRIBUTES) | changes)
    with ExitStack() as changed:
        if dtype is torch.double:
            torch.set_default_dtype(dtype)
            changed.callback(torch.set_default_dtype, torch.float)
            double = patch("auxreid.attributes.train.build_backbone", lambda *a: BackboneInDouble(build_backbone(*a)))
            changed.enter_context(double)
        fitted = fit(frames, settings, lambda values, epoch: points.append(dict(values)))
        return points, fitted.best_epoch, predict(fitted.model, frames, settings), dict(fitted.model.state_dict())


FOLDED = {"backbone_lr_factor": 0.0, "views": 2, "folds": 3, "mixup": 1.0, "balance": "sampler"}


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"backbone_lr_factor": 0.0}, FOLDED])
def test_attributes_of_two_processes_are_those_of_one(pair, labelled, changes):
    """With dropout, missing labels, and shares of 4 and 3 images."""
    points, best, probabilities, tensors = attributes(labelled, changes)
    for ours, our_best, our_probabilities, our_tensors in pair.call(attributes, labelled, changes):
        assert len(ours) == len(points)
        for one, expected in zip(ours, points, strict=True):
            assert one == pytest.approx(expected, rel=1e-9)
        assert our_best == best
        assert_same(our_tensors, tensors, 1e-8, "tensor")
        for name, values in probabilities.items():
            np.testing.assert_allclose(our_probabilities[name], values, rtol=1e-5)


@pytest.mark.slow
def test_attributes_in_float32_with_activated_batch_norms(pair, labelled):
    changes = {"backbone": "regnetx_002", "epochs": 1}
    points, _, _, tensors = attributes(labelled, changes, torch.float)
    for ours, _, _, our_tensors in pair.call(attributes, labelled, changes, torch.float):
        assert ours[0]["train_loss"] == pytest.approx(points[0]["train_loss"], rel=1e-3)
        assert our_tensors.keys() == tensors.keys()


def ranks() -> tuple[int, int]:
    return rank(), open_fabric()[1].rank


@pytest.mark.slow
def test_the_pair_is_two_processes(pair):
    assert pair.call(ranks) == [(0, 0), (1, 1)]


@pytest.mark.slow
def test_a_batch_that_two_processes_cannot_share_is_refused_by_both(pair, labelled):
    with pytest.raises(ConfigError, match="a batch of 1 images cannot be shared by 2 processes"):
        pair.call(attributes, labelled, {"batch_size": 1})
