"""A training that was killed after any epoch ends with the bytes of one that was not."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch
from params import CONFIG
from small_frames import noise
from test_pose import make_frames, tiny_spec
from tiny_study import DATASET, run, tiny_params, write_inputs, write_study

from auxreid.attributes.train import fit
from auxreid.data.frames import Frames, FramesMeta, open_frames, write_frames
from auxreid.plumbing.stage.checkpoint_folder import CheckpointFolder
from auxreid.plumbing.stage.record import read_history, read_record
from auxreid.pose.fit import choose_frames
from auxreid.pose.fit import fit as fit_pose

EPOCHS = 3
ROWS = ("visual_only_corrected", "attribute_smoothing_both", "keypoints_mean_norm_corrected", "hrnet_mean_norm")
VARIANTS = ("learned", "attribute_tokens")


class Killed(BaseException):
    """Nothing in a stage catches it, as nothing catches a kill."""


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A folder with what the training stages read."""
    root = tmp_path_factory.mktemp("ready")
    params = tiny_params()
    recipe = params["recipes"][DATASET]
    recipe["prompts"]["epochs"] = recipe["finetune"]["epochs"] = EPOCHS
    recipe["finetune"] |= {"max_epoch_factor": 1, "milestones": [2], "warmup_epochs": 1, "erasing": 0.5}
    recipe["pretrain"] |= {"epochs": EPOCHS, "batch_size": 8, "warmup_epochs": 1}
    recipe["pose"] |= {"epochs": EPOCHS, "height": 64, "width": 32, "batch_size": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_inputs(write_study(params))
        for row in ROWS:
            variant = CONFIG.ablations[row].prompts
            if variant is not None and not Path(f"results/prompts/{DATASET}-{variant}-0").exists():
                run("prompts", f"{DATASET}-{variant}-0")
    return root


@pytest.fixture
def workspace(ready, tmp_path, monkeypatch) -> Path:
    shutil.copytree(ready, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    return Path()


def kill_after(monkeypatch, epochs: int | None) -> None:
    """The save of so many epochs, or the first one, is the last thing that a stage does."""
    save = CheckpointFolder.save

    def saved_and_killed(self, done, state):
        path = save(self, done, state)
        if epochs in (None, done):
            raise Killed
        return path

    monkeypatch.setattr(CheckpointFolder, "save", saved_and_killed)


def content(out: Path) -> dict:
    """The outputs' bytes, and the curves and figures of the record."""
    record = read_record(out / "record")
    assert record.status == "finished"
    files = [path for path in out.iterdir() if path.is_file() and path.name != ".lock"]
    assert files
    return {path.name: path.read_bytes() for path in files} | {
        "history": [(point.name, point.step, point.value) for point in read_history(out / "record")],
        "summary": record.summary,
    }


CASES = [
    *[("finetune", f"{DATASET}-{row}-0") for row in ROWS],
    *[("prompts", f"{DATASET}-{variant}-0") for variant in VARIANTS],
    ("pretrain", f"{DATASET}-0"),
    ("pose", DATASET),
]


@pytest.mark.parametrize(("stage", "key"), CASES)
def test_a_stage_killed_after_each_epoch_gives_equal_bytes(workspace, stage, key, capsys):
    out = Path("results") / stage / key
    if stage == "pose":  # the other stages' frames have no joints
        make_frames(Path(f"results/ingest/{DATASET}/frames.arrow"), 20)
    run(stage, key)
    expected = content(out)
    assert not any(Path(".checkpoints").iterdir())  # by hand there is no DVC that could want them
    for epochs in range(1, EPOCHS + 1):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            kill_after(patch, epochs)
            run(stage, key)
        assert read_record(out / "record").failure.startswith("Killed")
    torch.manual_seed(99)  # what is drawn outside does not matter
    capsys.readouterr()
    run(stage, key)
    assert content(out) == expected
    assert read_record(out / "record").resumed_from_epoch == EPOCHS
    assert f"  {EPOCHS} epochs are done, from .checkpoints/{stage}-{key}-" in capsys.readouterr().out


def test_points_keep_their_times_and_the_record_says_where_it_went_on(workspace, monkeypatch):
    key = f"{DATASET}-{ROWS[0]}-0"
    out = Path("results/finetune") / key
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 2)
        run("finetune", key)
    before = list(read_history(out / "record"))
    run("finetune", key)
    after = list(read_history(out / "record"))
    assert after[: len(before)] == before and {point.step for point in after[len(before) :]} == {EPOCHS}
    assert read_record(out / "record").resumed_from_epoch == 2
    run("finetune", key)
    assert read_record(out / "record").resumed_from_epoch is None


def test_another_parameter_input_or_source_is_another_training(workspace):
    def killed() -> set[str]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            kill_after(patch, None)
            run("finetune", f"{DATASET}-keypoints_mean_norm_corrected-0")
        return {path.name for path in Path(".checkpoints").iterdir()}

    seen = killed()
    params = Path("params.yaml").read_text()
    for change in (
        lambda: Path("params.yaml").write_text(params.replace("weight_decay: 0.0005", "weight_decay: 0.0006")),
        lambda: append(Path(f"results/pretrain/{DATASET}-0/text.safetensors")),  # not an input of this stage
        lambda: another_start(Path(f"results/pretrain/{DATASET}-0/image.safetensors")),
    ):
        change()
        before, seen = seen, killed()
        unread = change.__code__.co_names[0] == "append"
        assert len(seen - before) == (0 if unread else 1)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def another_start(path: Path) -> None:
    """The encoder with one weight changed by hand."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    next(iter(tensors.values())).flatten()[0] += 1
    save_file(tensors, path, metadata)


# attributes: the loop alone, with a validation split that chooses the epoch

VOCABULARY = {"color": ["red", "blue"], "size": ["small", "large"]}
ATTRIBUTES = {
    "backbone": "test_resnet",
    "weights": None,
    "height": 32,
    "width": 32,
    "mean": (0.5,) * 3,
    "std": (0.5,) * 3,
    "epochs": 4,
    "batch_size": 8,
    "lr": 3e-3,
    "backbone_lr_factor": 1.0,
    "trained_stages": None,
    "views": None,
    "folds": None,
    "patience": None,
    "weight_decay": 0.01,
    "warmup_epochs": 1,
    "label_smoothing": 0.0,
    "dropout": 0.5,  # draws from the global generator, across epochs
    "augmentation": 1.0,
    "mixup": None,
    "balance": "none",
    "calibration": "frequencies",
    "mirrored": False,
    "seed": 3,
}


class Memory:
    """A checkpoint in files of its own, without a stage."""

    def __init__(self, folder: Path, killed_after: int | None = None):
        self.files, self.killed_after = CheckpointFolder(folder), killed_after

    def load(self):
        found = self.files.load()
        return None if found is None else found[1:]

    def save(self, epochs, state):
        self.files.save(epochs, state)
        if epochs == self.killed_after:
            raise Killed


@pytest.fixture
def labelled(tmp_path) -> Frames:
    rows = []
    for number in range(36):
        row = {"path": f"{number}.png", "split": "train" if number < 24 else "val", "identity": number + 1}
        row |= {"attr_color": VOCABULARY["color"][number % 2], "attr_size": VOCABULARY["size"][number % 3 == 0]}
        pixels = noise(number, 32, 32) // (1 + number % 2)
        rows.append(row | {"width": 32, "height": 32, "image": cv2.imencode(".png", pixels)[1].tobytes()})
    write_frames(tmp_path / "frames.arrow", rows, FramesMeta("dots", "dogs", "dogs", "dog", attributes=VOCABULARY))
    return open_frames(tmp_path / "frames.arrow")


FROZEN = {"backbone_lr_factor": 0.0, "views": 2, "mirrored": True}
FOLDED = FROZEN | {"folds": 3, "mixup": 1.0, "balance": "sampler"}


@pytest.mark.parametrize(("workers", "changes"), [(0, {}), (2, {}), (0, FROZEN), (0, FOLDED), (0, {"patience": 1})])
def test_attributes_killed_after_each_epoch_give_equal_weights(labelled, tmp_path, workers, changes, monkeypatch):
    monkeypatch.setenv("AUXREID_WORKERS", str(workers))
    settings, points = SimpleNamespace(**ATTRIBUTES | changes), []

    def train(checkpoint=None):
        return fit(labelled, settings, lambda values, epoch: points.append((epoch, dict(values))), checkpoint)

    expected, curve = train(), tuple(points)
    points.clear()
    for epochs, _ in curve:
        with pytest.raises(Killed):
            train(Memory(tmp_path / "states", epochs))
    torch.manual_seed(99)
    found = train(Memory(tmp_path / "states"))
    assert tuple(points) == curve
    assert (found.best_epoch, found.chosen_by) == (expected.best_epoch, expected.chosen_by)
    assert found.model.calibration == expected.model.calibration
    for name, tensor in expected.model.state_dict().items():
        assert torch.equal(tensor, found.model.state_dict()[name]), name


def test_a_pose_fit_killed_after_each_epoch_gives_equal_weights(tmp_path):
    frames = make_frames(tmp_path / "frames.arrow", 20)
    training, held_out = choose_frames(frames, held_out=0.2, max_images=None, seed=0)
    settings, curve, points = SimpleNamespace(epochs=4, batch_size=4, lr=5e-3, seed=0), [], []
    expected = fit_pose(tiny_spec(), training, held_out, settings, curve.append).state_dict()
    for epochs in range(1, settings.epochs + 1):
        with pytest.raises(Killed):
            fit_pose(tiny_spec(), training, held_out, settings, points.append, Memory(tmp_path / "states", epochs))
        torch.manual_seed(99)
    found = fit_pose(tiny_spec(), training, held_out, settings, points.append, Memory(tmp_path / "states"))
    assert points == curve
    for name, tensor in expected.items():
        assert torch.equal(tensor, found.state_dict()[name]), name


# what is kept, and for how long


def test_a_finished_stage_under_dvc_is_not_trained_again_until_dvc_has_committed_it(workspace, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "finetune")
    key = f"{DATASET}-{ROWS[0]}-0"
    out = Path("results/finetune") / key
    run("finetune", key)
    (folder,) = Path(".checkpoints").iterdir()
    assert len(list(folder.glob("epoch-*.pt"))) == 1
    first = content(out)
    (out / "encoder.safetensors").unlink()  # as DVC does before it starts a stage
    run("finetune", key)
    assert content(out) == first and read_record(out / "record").resumed_from_epoch == EPOCHS

    commit(out)
    run("prompts", f"{DATASET}-learned-0")  # whichever comes next
    assert [path.name.rpartition("-")[0] for path in Path(".checkpoints").iterdir()] == [f"prompts-{DATASET}-learned-0"]
    run("finetune", key)  # a forced run
    assert content(out) == first and read_record(out / "record").resumed_from_epoch is None


def commit(out: Path) -> None:
    """What DVC writes when a stage has ended well."""
    from dvc.repo import Repo

    root = out.resolve().parents[2]
    repo = Repo.init(str(root), no_scm=True)
    repo.stage.add(name="finetune", cmd="python pipeline/finetune.py", outs=[str(out / "record")])
    repo.commit(force=True)
    assert json.dumps(str(out / "record")).strip('"') in (root / "dvc.lock").read_text()


@pytest.mark.parametrize(("days", "kept"), [(13, True), (15, False)])
def test_a_training_that_nobody_comes_back_to_is_removed(workspace, days, kept):
    import os
    import time

    from auxreid.plumbing.stage.checkpoint import remove_old

    states = CheckpointFolder(Path(".checkpoints/finetune-a-0123"))
    path = states.save(1, {"w": torch.zeros(2)})
    for one in (path, states.folder):
        os.utime(one, (time.time() - days * 86400,) * 2)
    remove_old(Path())
    assert states.folder.exists() == kept
