"""States on disk: the last two, never a broken one, and found only by the training that they belong to."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.sources import describe
from auxreid.plumbing.stage.checkpoint_folder import CheckpointFolder
from auxreid.plumbing.stage.fingerprint import fingerprint
from auxreid.training.state import check_finite, continue_from, save_epoch


@pytest.fixture
def states(tmp_path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "states")


def test_nothing_was_saved(states):
    assert states.load() is None and not states.folder.exists()


def test_the_last_two_are_kept_and_the_last_one_is_read(states):
    for epochs in (1, 2, 9, 10, 100):
        states.save(epochs, {"w": torch.full((3,), float(epochs)), "curve": [{"loss": 0.1}], "best": -float("inf")})
    assert [path.name.split("-")[1] for path in states.files()] == ["000100", "000010"]
    path, epochs, state = states.load()
    assert (path, epochs, state["best"]) == (states.files()[0], 100, -float("inf"))
    assert torch.equal(state["w"], torch.full((3,), 100.0)) and state["curve"] == [{"loss": 0.1}]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # inside the tensor, where torch.load itself sees no difference
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, empty, flip])
def test_a_broken_file_is_set_aside_with_a_line_and_the_one_before_it_is_used(states, capsys, damage):
    for epochs in (1, 2):
        states.save(epochs, {"w": torch.arange(10_000.0) + epochs})
    last = states.files()[0]
    damage(last)
    _, epochs, state = states.load()
    assert epochs == 1 and torch.equal(state["w"], torch.arange(10_000.0) + 1)
    assert f"{last}: broken and set aside, the one before it is used" in capsys.readouterr().err
    assert sorted(path.suffix for path in states.folder.iterdir()) == [".broken", ".pt"]
    damage(states.files()[0])
    assert states.load() is None  # and training starts anew


def test_a_pickle_is_not_opened(states, tmp_path, capsys):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    import hashlib

    content = pickle.dumps(Runs())
    states.folder.mkdir()
    name = f"epoch-000007-{hashlib.sha256(content).hexdigest()[:16]}.pt"
    (states.folder / name).write_bytes(content)
    assert states.load() is None
    assert "broken and set aside" in capsys.readouterr().err and not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("moment", ["write_bytes", "replace", "unlink"])
def test_a_kill_at_any_moment_of_saving_leaves_a_good_state(states, monkeypatch, moment):
    """While the file is written, before it gets its name, and before the one before last goes."""
    for epochs in (1, 2):
        states.save(epochs, {"w": torch.full((1000,), float(epochs))})
    child = os.fork()
    if not child:
        if moment == "write_bytes":
            whole = Path.write_bytes
            monkeypatch.setattr(Path, "write_bytes", lambda path, text: (whole(path, text[:500]), os._exit(0)))
        elif moment == "replace":
            monkeypatch.setattr(os, "replace", lambda *paths: os._exit(0))
        else:
            monkeypatch.setattr(Path, "unlink", lambda path, **options: os._exit(0))
        states.save(3, {"w": torch.full((1000,), 3.0)})
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    _, epochs, state = states.load()
    assert epochs == (3 if moment == "unlink" else 2) and torch.equal(state["w"], torch.full((1000,), float(epochs)))
    states.save(epochs + 1, {"w": torch.zeros(1)})
    assert len(states.files()) == 2 and len(list(states.folder.iterdir())) <= 3


def test_a_state_that_is_not_finite_is_not_saved(states):
    class Saved:
        def save(self, epochs, state):
            states.save(epochs, state)

        def load(self):
            found = states.load()
            return None if found is None else found[1:]

    network = torch.nn.Linear(2, 1)
    save_epoch(Saved(), 1, {"trained": network})
    good = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        network.weight[0, 1] = torch.nan
    with pytest.raises(FloatingPointError, match=r"trained\.weight is not finite after epoch 2"):
        save_epoch(Saved(), 2, {"trained": network})
    assert continue_from(Saved(), {"trained": network}) == 1
    assert all(torch.equal(good[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite(loss):
    check_finite(1e30, "stage 1", 2, 7, "lower it")
    with pytest.raises(FloatingPointError, match=f"stage 1: the loss is {loss} at epoch 2, step 7; lower it"):
        check_finite(loss, "stage 1", 2, 7, "lower it")


# the name of a training


@pytest.fixture
def repository(tmp_path) -> Path:
    """A script that imports one of two modules."""
    for name, text in {
        "dvc.yaml": "stages: {sources: {cmd: x}, stage: {cmd: x}}\n",
        "requirements.lock": "torch==2.14.1\nrequests==2.0\n",
        "pipeline/stage.py": "import torch\nfrom auxreid import used\n",
        "src/auxreid/__init__.py": "",
        "src/auxreid/used.py": "A = 1\n",
        "src/auxreid/unused.py": "B = 1\n",
        "input": "frames",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def name_of(root: Path, **settings) -> str:
    code = describe("stage", root)["code"]
    return fingerprint(code, [root / "input"], {"lr": 0.1} | settings)


@pytest.mark.parametrize(
    ("changed", "added", "is_another"),
    [
        ("pipeline/stage.py", "B = 2\n", True),
        ("pipeline/stage.py", "# edited\n", False),
        ("src/auxreid/used.py", "B = 2\n", True),
        ("src/auxreid/used.py", "# edited\n", False),
        ("src/auxreid/unused.py", "C = 1\n", False),
        ("input", "# edited\n", True),
    ],
)
def test_code_and_inputs_count_by_content(repository, changed, added, is_another):
    before, path = name_of(repository), repository / changed
    os.utime(path, (1, 1))
    assert name_of(repository) == before
    path.write_text(path.read_text() + added)
    assert (name_of(repository) != before) == is_another


@pytest.mark.parametrize(("pin", "is_another"), [("torch==2.14.1", True), ("requests==2.0", False)])
def test_versions_count_of_what_is_imported(repository, pin, is_another):
    before, path = name_of(repository), repository / "requirements.lock"
    path.write_text(path.read_text().replace(pin, f"{pin}.1"))
    assert (name_of(repository) != before) == is_another


def test_settings_count_and_a_missing_input_is_named(repository):
    assert name_of(repository) == name_of(repository) != name_of(repository, seed=1)
    (repository / "input").unlink()
    with pytest.raises(DataError, match=r"input: cannot be read \(No such file"):
        name_of(repository)
