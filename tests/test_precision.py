"""Towers in 16 bits: what is computed in which type, resuming, and steps for which the host waits for nothing."""

import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from host_reads import host_reads
from params import raw_params
from test_resume import ATTRIBUTES, EPOCHS, Killed, Memory, content, kill_after, labelled  # noqa: F401 (a fixture)
from tiny_study import DATASET, IDENTITIES, IMAGES, run, tiny_params, write_inputs, write_study
from torch import nn

from auxreid.attributes.train import fit
from auxreid.clip.checkpoints import load_image_encoder, load_text_tower
from auxreid.clip.embed import encode_frames
from auxreid.clip.pretrain import pretrain_clip
from auxreid.clipreid.attribute_targets import contrastive_smoothing
from auxreid.clipreid.pose_fusion import PoseFusion
from auxreid.clipreid.pose_inputs import open_pose
from auxreid.clipreid.prompt_learner import PromptLearner
from auxreid.clipreid.stage1 import text_features, train_prompts
from auxreid.clipreid.stage2 import PoseBranch, finetune_encoder
from auxreid.clipreid.stage2_losses import Stage2Losses, Supervision
from auxreid.data.frames import open_frames
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.load import load_config, parse_config
from auxreid.plumbing.stage.checkpoint_folder import CheckpointFolder
from auxreid.training.fabric import open_fabric
from auxreid.training.state import EpochLosses

MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
EVERY = ("32-true", *MIXED)
FRAMES = f"results/ingest/{DATASET}/frames.arrow"
IMAGE, TEXT = (f"results/pretrain/{DATASET}-0/{name}.safetensors" for name in ("image", "text"))
POSE = f"results/keypoints/{DATASET}/keypoints.parquet"
CLASSES = np.repeat(np.arange(IDENTITIES), IMAGES)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("inputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_inputs(write_study(study_params("32-true")))
    return root


@pytest.fixture
def workspace(inputs, tmp_path, monkeypatch) -> Path:
    shutil.copytree(inputs, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    return Path()


def study_params(precision: str) -> dict:
    params = tiny_params()
    recipe = params["recipes"][DATASET]
    recipe["precision"] = precision
    recipe["prompts"]["epochs"] = recipe["finetune"]["epochs"] = EPOCHS
    recipe["finetune"] |= {"max_epoch_factor": 1, "milestones": [2], "warmup_epochs": 1, "erasing": 0.5}
    recipe["pretrain"] |= {"epochs": EPOCHS, "batch_size": 8, "warmup_epochs": 1}
    return params


def forget(*_) -> None:
    pass


# the loops, each as (the tower whose layers are looked at, a training of `epochs` epochs)


def pretraining(config, precision, epochs, checkpoint=None):
    image, text = load_image_encoder(IMAGE), load_text_tower(TEXT)
    recipe = config.recipe(DATASET)
    settings = recipe.pretrain.model_copy(update={"epochs": epochs, "batch_size": 8, "warmup_epochs": 0})
    return image, lambda frames: pretrain_clip(
        image, text, frames, settings, recipe.input, 0, forget, checkpoint, precision
    )


def first_stage(config, precision, epochs, checkpoint=None):
    text = load_text_tower(TEXT)
    learner = PromptLearner(text, ["A photo of a X X person."] * IDENTITIES)
    settings = config.recipe(DATASET).prompts.model_copy(update={"epochs": epochs, "batch_size": 6})
    features = torch.randn(len(CLASSES), 8, generator=torch.Generator().manual_seed(0))
    share = torch.rand(IDENTITIES, IDENTITIES, generator=torch.Generator().manual_seed(1))

    def train(frames):
        rows = [frames.frame_id.tolist().index(number) for number in frames.frame_id]  # as many as there are frames
        targets = lambda batch: contrastive_smoothing(batch, share, 0.1)  # noqa: E731
        train_prompts(
            text, learner, features[rows], CLASSES[: len(rows)], targets, settings, forget, checkpoint,
            precision,
        )  # fmt: skip

    return text, train


def second_stage(config, precision, epochs, checkpoint=None, pose=True):
    encoder = load_image_encoder(IMAGE)
    row = config.ablations["keypoints_mean_norm_corrected"]
    settings = config.recipe(DATASET).finetune.model_copy(update={"epochs": epochs, "identities": 2, "erasing": 0.5})
    supervision = Supervision(torch.randn(IDENTITIES, 8, generator=torch.Generator().manual_seed(0)))

    def train(frames):
        source, joints = open_pose(POSE, frames, row.pose)
        branch = PoseBranch(source, PoseFusion(8, joints, row.pose), supervise_image=True)
        classes = CLASSES[: len(frames)]
        finetune_encoder(encoder, frames, classes, supervision, settings, 0, forget, branch, checkpoint, precision)

    return encoder, train


LOOPS = {"pretrain": pretraining, "stage 1": first_stage, "stage 2": second_stage}


# what is read


def reads_of(loop, precision: str, frames) -> Counter:
    _, train = loop(load_config(), precision, 1)
    with host_reads() as found:
        train(frames)
    assert found  # the epoch's losses, at its end
    return found


@pytest.mark.parametrize("precision", EVERY)
@pytest.mark.parametrize("name", LOOPS)
def test_the_host_reads_no_more_in_an_epoch_of_more_steps(workspace, name, precision):
    every = open_frames(FRAMES)
    few = reads_of(LOOPS[name], precision, every.take(np.arange(len(every) // 2)))
    many = reads_of(LOOPS[name], precision, every)
    assert not many - few


@pytest.mark.parametrize("precision", EVERY)
def test_nor_in_an_epoch_of_the_attributes(labelled, precision):  # noqa: F811
    settings = SimpleNamespace(**ATTRIBUTES | {"epochs": 1})
    counts = []
    for length in (8, 24):
        with host_reads() as found:
            fit(
                labelled.take([*range(length), *range(24, 36)]), settings, forget, precision=precision
            )  # and all of val
        counts.append(found)
    assert not counts[1] - counts[0]


def test_the_counter_sees_what_makes_a_host_wait():
    def waits():
        value = torch.arange(4.0)
        return [
            lambda: value.sum().item(), lambda: bool(value.sum() > 1), lambda: float(value[0]), lambda: value.tolist(),
            lambda: value.cpu(), lambda: value.numpy(), lambda: value[value > 1], lambda: value.nonzero(),
            lambda: value.unique(), lambda: torch.tensor(3.0), lambda: int(value.max()),
        ]  # fmt: skip

    for wait in waits():
        with host_reads() as found:
            wait()
        assert sum(found.values()) == 1
    with host_reads() as found:
        value = torch.arange(4.0)
        torch.where(value > 1, value, 0).sum() + value[torch.arange(2)].sum()
    assert not found


# what is computed in which type


class Types:
    """The types of what the modules of a kind are given, or give."""

    def __init__(self, monkeypatch, kind: type[nn.Module]):
        self.given, self.made = set(), set()
        forward = kind.forward

        def noting(module, first, *arguments, **options):
            made = forward(module, first, *arguments, **options)
            self.given |= {one.dtype for one in (first if isinstance(first, tuple) else (first,))}
            self.made |= {one.dtype for one in (made.values() if isinstance(made, dict) else [made])}
            return made

        monkeypatch.setattr(kind, "forward", noting)


@pytest.mark.parametrize(("precision", "short"), MIXED.items())
def test_an_encoder_computes_in_16_bits_and_what_follows_in_float32(workspace, monkeypatch, precision, short):
    convolutions, losses = Types(monkeypatch, nn.Conv2d), Types(monkeypatch, Stage2Losses)
    fusions, norms = Types(monkeypatch, PoseFusion), Types(monkeypatch, nn.BatchNorm1d)
    encoder, train = second_stage(load_config(), precision, 1)
    train(open_frames(FRAMES))
    assert convolutions.made == {short}
    assert losses.given == losses.made == fusions.given == fusions.made == norms.given == {torch.float32}
    assert {tensor.dtype for tensor in encoder.state_dict().values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize(("precision", "short"), MIXED.items())
def test_an_imported_precision_computes_the_text_tower_too_and_its_features_are_float32(workspace, precision, short):
    made = set()
    text = load_text_tower(TEXT)
    text.transformer.register_forward_hook(lambda module, given, result: made.add(result.dtype))
    text.transformer.resblocks[0].mlp[0].register_forward_hook(lambda module, given, result: made.add(result.dtype))
    learner = PromptLearner(text, ["A photo of a X X person."] * IDENTITIES)
    found = text_features(text, learner, precision=precision)
    assert short in made and found.dtype == torch.float32
    torch.testing.assert_close(found, text_features(text, learner), atol=0.03, rtol=0.03)
    assert not torch.equal(found, text_features(text, learner))


@pytest.mark.parametrize(("precision", "short"), MIXED.items())
def test_test_time_features_are_near_those_of_float32(workspace, precision, short):
    frames, encoder = open_frames(FRAMES), load_image_encoder(IMAGE)
    exact = encode_frames(encoder, frames, encoder.input_config)
    rough = encode_frames(encoder, frames, encoder.input_config, precision=precision)
    for one, other in zip(exact, rough, strict=True):
        assert other.dtype == torch.float32 and not torch.equal(one, other)
        assert torch.cosine_similarity(one, other).min() > 0.99


def test_a_gradient_that_float16_cannot_hold_reaches_the_weights():
    """1e-9 is below half of float16's smallest number, 6e-8; unscaled it would be lost on its way through a layer."""
    step = {}
    for precision in EVERY:
        torch.manual_seed(0)
        fabric, _ = open_fabric(precision)
        layer = nn.Linear(4, 1, bias=False)
        optimizer = fabric.setup_optimizers(torch.optim.SGD(layer.parameters(), lr=1e9))
        before = layer.weight.detach().clone()
        with torch.autocast("cpu", MIXED.get(precision), enabled=precision in MIXED):
            made = layer(torch.ones(1, 4))
        fabric.backward(1e-9 * made.float().sum())
        optimizer.step()
        step[precision] = before - layer.weight.detach()
    torch.testing.assert_close(step["32-true"], torch.ones(1, 4))
    torch.testing.assert_close(step["bf16-mixed"], step["32-true"], rtol=0.01, atol=0)
    torch.testing.assert_close(step["16-mixed"], step["32-true"], rtol=0.01, atol=0)


# a loss that is not finite


def test_the_first_step_that_is_not_finite_is_named():
    losses = EpochLosses("stage 9", "lower it")
    for value in (1.0, 2.0, float("inf"), float("nan")):
        losses.add({"loss": torch.tensor(value), "part": torch.tensor(0.5)})
    with pytest.raises(FloatingPointError, match=r"^stage 9: the loss is inf at epoch 7, step 2; lower it$"):
        losses.read(7)


def test_an_epoch_without_a_step_is_no_mean_of_nothing():
    with pytest.raises(DataError, match="stage 9: epoch 3 has no step: there are fewer images than a batch needs"):
        EpochLosses("stage 9", "lower it").read(3)


def test_the_losses_of_an_epoch_are_read_as_they_were():
    losses = EpochLosses("stage 9", "lower it")
    for value in (1.0, 2.5):
        losses.add({"loss": torch.tensor(value), "part": torch.tensor(value / 5)})
    read = losses.read(1)
    assert read["loss"].tolist() == [1.0, 2.5]
    torch.testing.assert_close(read["part"], torch.tensor([0.2, 0.5]))


# resuming


CASES = [("finetune", f"{DATASET}-visual_only_corrected-0"), ("prompts", f"{DATASET}-learned-0"),
         ("pretrain", f"{DATASET}-0")]  # fmt: skip
PRECISIONS = [(*case, "16-mixed") for case in CASES] + [(*CASES[1], "bf16-mixed")]  # whose state is that of float32


@pytest.mark.parametrize(("stage", "key", "precision"), PRECISIONS)
def test_a_stage_killed_after_each_epoch_gives_equal_bytes(workspace, stage, key, precision):
    write_study(study_params(precision))
    out = Path("results") / stage / key
    run(stage, key)
    expected = content(out)
    for epochs in range(1, EPOCHS + 1):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            kill_after(patch, epochs)
            run(stage, key)
        (folder,) = Path(".checkpoints").iterdir()
        scaling = CheckpointFolder(folder).load()[2]["state"]["precision"]
        assert ("scale" in scaling) == (precision == "16-mixed")
    run(stage, key)
    assert content(out) == expected


def test_the_scale_goes_on_where_it_was(labelled, tmp_path):  # noqa: F811
    """It falls when gradients overflow, which they do at the scale that a training begins with."""
    settings = SimpleNamespace(**ATTRIBUTES | {"lr": 1e-6, "label_smoothing": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.amp.GradScaler.__init__, "__defaults__", ("cuda", 2.0**40, 2.0, 0.5, 2000, True))
        expected = fit(labelled, settings, forget, precision="16-mixed")
        with pytest.raises(Killed):
            fit(labelled, settings, forget, Memory(tmp_path / "states", 2), precision="16-mixed")
        _, _, state = CheckpointFolder(tmp_path / "states").load()
        assert state["precision"]["scale"] < 2.0**40
        found = fit(labelled, settings, forget, Memory(tmp_path / "states"), precision="16-mixed")
    for name, tensor in expected.model.state_dict().items():
        assert torch.equal(tensor, found.model.state_dict()[name]), name


# the setting


def test_a_recipe_states_its_precision_where_something_has_one():
    raw = raw_params()
    raw["recipes"]["sample_people"]["precision"] = "16-true"
    with pytest.raises(ConfigError, match=r"sample_people.precision = '16-true': Input should be '32-true', 'bf16-mi"):
        parse_config(raw)
    del raw["recipes"]["sample_people"]["precision"]
    with pytest.raises(ConfigError, match="precision goes with an encoder or attributes"):
        parse_config(raw)
    raw = raw_params()
    raw["recipes"]["dogs"] = {"precision": "32-true"}
    with pytest.raises(ConfigError, match="precision goes with an encoder or attributes"):
        parse_config(raw)
