"""What goes wrong outside the code ends in one line that says what to do, and nothing is lost."""

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from params import ROOT
from small_disk import small_disk
from tiny_study import DATASET, run, tiny_params, write_inputs, write_study

from auxreid.data.frames import open_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.stage.instance import Stage, _instead
from auxreid.plumbing.stage.launch import run_stage
from auxreid.plumbing.stage.record import read_history, read_record
from auxreid.plumbing.stage.run import stage_run
from auxreid.plumbing.stage.script import run_script

ROW, EPOCHS = "visual_only_corrected", 5
KEY = f"{DATASET}-{ROW}-0"
OUT = Path("results/finetune") / KEY
SCRIPTS = sorted(path.stem for path in (ROOT / "pipeline").glob("*.py") if "run_s" in path.read_text())
FRAMES = Path(f"results/ingest/{DATASET}/frames.arrow")


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ready")
    params = tiny_params()
    params["study"]["rows"] = [ROW]
    params["recipes"][DATASET]["finetune"] |= {"epochs": EPOCHS, "milestones": [4]}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_inputs(write_study(params))
    return root


@pytest.fixture
def workspace(ready, tmp_path, monkeypatch) -> Path:
    shutil.copytree(ready, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path / "workspace")
    return Path()


def finetune() -> None:
    run("finetune", KEY)


def failure(monkeypatch, capsys, stage: str, key: str) -> str:
    """The one line with which a script fails."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", [str(ROOT / f"pipeline/{stage}.py"), key])
    with pytest.raises(SystemExit) as ended:
        run_script(importlib.import_module(stage).main)
    assert ended.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("  ")]  # "  " is progress
    return line


def result() -> dict:
    return {
        "encoder": (OUT / "encoder.safetensors").read_bytes(),
        "history.csv": (OUT / "history.csv").read_bytes(),
        "points": [(point.name, point.step, point.value) for point in read_history(OUT / "record")],
    }


# a full disk


def test_a_disk_that_is_full_at_an_epoch_stops_the_stage_which_goes_on_when_there_is_room(
    workspace, monkeypatch, capsys
):
    finetune()
    expected = result()
    with small_disk(Path(".checkpoints"), 64 * 2**20) as disk:
        monkeypatch.setenv("DVC_STAGE", "by hand")  # keep what is saved, to know its size
        finetune()
        (saved,) = disk.path.glob("*/epoch-*.pt")
        size = saved.stat().st_size
        shutil.rmtree(saved.parent)
        monkeypatch.delenv("DVC_STAGE")
        disk.resize(int(2.5 * size))  # two states, but no third beside them

        line = failure(monkeypatch, capsys, "finetune", KEY)
        assert line.startswith("error: .checkpoints/finetune-") and "/epoch-000003-" in line
        assert line.endswith("cannot be written, the disk or its quota is full; make room and start again: a training "
                             "continues after the last epoch that it saved")  # fmt: skip
        record = read_record(OUT / "record")
        assert record.status == "failed" and record.failure == f"FullDiskError: {line.removeprefix('error: ')}"

        disk.resize(64 * 2**20)
        finetune()
    assert read_record(OUT / "record").resumed_from_epoch == 2
    assert result() == expected


def test_a_disk_that_is_full_at_the_end_costs_no_second_training(workspace, monkeypatch, capsys):
    finetune()
    expected = result()
    (OUT / "encoder.safetensors").unlink()
    size = len(expected["encoder"])
    with small_disk(OUT, size // 2):
        line = failure(monkeypatch, capsys, "finetune", KEY)
        assert line.startswith(f"error: {OUT}/encoder.safetensors: cannot be written, the disk or its quota is full")
        assert read_record(OUT / "record").status == "failed"
        assert sorted(os.listdir(OUT)) == [".lock", "history.csv", "record"]
    finetune()
    assert read_record(OUT / "record").resumed_from_epoch == EPOCHS
    assert result() == expected


# a packed file that cannot be read


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_a_picture(content: bytes) -> bytes:
    """One byte in the middle of the file, which is in a picture."""
    return content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]


def without_its_foot(content: bytes) -> bytes:
    return content[:-64] + b"0" * 64


@pytest.mark.parametrize("damage", [truncated, without_a_picture, without_its_foot])
def test_a_broken_frames_file_is_named_with_what_to_do(workspace, monkeypatch, capsys, damage):
    FRAMES.write_bytes(damage(FRAMES.read_bytes()))
    line = failure(monkeypatch, capsys, "finetune", KEY)
    assert line.startswith(f"error: {FRAMES}")
    assert f"`dvc checkout -f {FRAMES}`" in line and "`dvc repro -f` of its ingest stage" in line
    record = read_record(OUT / "record")
    assert record.status == "failed" and line.removeprefix("error: ") in record.failure


def test_every_flipped_byte_of_a_frames_file_is_an_error_or_changes_no_picture(workspace):
    frames = open_frames(FRAMES)
    pictures, content = [bytes(frames.image_bytes(row)) for row in range(len(frames))], FRAMES.read_bytes()
    noticed = 0
    for place in range(0, len(content), 997):
        flipped = Path(f"flipped-{place}.arrow")
        flipped.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            found = open_frames(flipped)
            assert [bytes(found.image_bytes(row)) for row in range(len(found))] == pictures
        except DataError as error:
            assert str(error).startswith(str(flipped))
            noticed += 1
        flipped.unlink()
    assert noticed > len(content) // 997 // 2  # most of the file is pictures


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: the check is made as a user who may not."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_frames_file_without_permission_is_named(workspace):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others altogether
        Path(folder).chmod(0o755)
        path = Path(shutil.copy(FRAMES, folder))
        path.chmod(0)
        with as_nobody(), pytest.raises(DataError, match=f"{path}: this user may not read it; change its permissions"):
            open_frames(path)


# a loss that is not finite


def edit(**changes) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    for section, values in changes.items():
        params["recipes"][DATASET][section] |= values
    Path("params.yaml").write_text(yaml.safe_dump(params))


def test_a_training_that_diverges_names_epoch_step_and_the_last_good_checkpoint(workspace, monkeypatch, capsys):
    edit(finetune={"milestones": [3], "gamma": 1e33})  # from epoch 3 on a rate that no weights survive
    line = failure(monkeypatch, capsys, "finetune", KEY)
    (last, _) = sorted(Path(".checkpoints").glob("*/epoch-*.pt"), reverse=True)
    assert line.startswith("error: stage 2: the loss is ") and "at epoch 3, step" in line
    assert last.name.startswith("epoch-000002-")
    assert line.endswith(f"lower finetune.lr; the last good checkpoint is {last}, after 2 epochs")
    assert f"FloatingPointError: {line.removeprefix('error: ')}" == read_record(OUT / "record").failure


def test_one_that_diverges_at_once_has_no_checkpoint(workspace, monkeypatch, capsys):
    edit(pretrain={"lr": 1e30, "batch_size": 8, "warmup_epochs": 0})
    line = failure(monkeypatch, capsys, "pretrain", f"{DATASET}-0")
    assert "pretrain: the loss is nan at epoch 0, step" in line
    assert line.endswith("lower pretrain.lr; no epoch was saved before")


# scripts


def test_a_fault_of_ours_keeps_its_traceback(workspace, monkeypatch):
    def broken(stage: Stage) -> None:
        raise KeyError(stage.key)

    monkeypatch.setattr(sys, "argv", [str(ROOT / "pipeline/finetune.py"), KEY])
    with pytest.raises(KeyError, match=KEY):
        run_script(broken)


USAGE = r"usage: python pipeline/finetune\.py DATASET-ROW-SEED"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ((), rf"{USAGE}, a key of pipeline/graph.yaml; 0 arguments were given$"),
        ((KEY, "0"), rf"{USAGE}, a key of pipeline/graph.yaml; 2 arguments were given$"),
        (
            (KEY.replace("0", "7"),),
            rf"{USAGE}; '{KEY[:-1]}7' is no finetune of pipeline/graph.yaml; near to it: {KEY}$",
        ),
        ((f"finetune@{KEY}",), rf"{USAGE}; 'finetune@{KEY}' is no finetune of .*; near to it: {KEY}$"),
        (("nobody",), rf"{USAGE}; 'nobody' is no finetune of pipeline/graph.yaml, which has {KEY}$"),
    ],
)
@pytest.mark.parametrize("start", [run_script, run_stage])
def test_a_command_line_without_a_key_of_the_study_is_told_what_is_there(
    workspace, monkeypatch, capsys, start, keys, told
):
    before = sorted(workspace.rglob("*"))
    monkeypatch.setattr(sys, "argv", [str(ROOT / "pipeline/finetune.py"), *keys])
    with pytest.raises(SystemExit) as ended:
        start(lambda stage: pytest.fail("it was started"))
    assert ended.value.code == 2 and re.match(f"error: {told}", capsys.readouterr().err)
    assert sorted(workspace.rglob("*")) == before


def test_of_many_keys_that_are_not_near_a_few_are_told():
    assert _instead("x", ["abc"] * 6) == ", which has abc, abc, abc, abc and 2 more"
    assert _instead("x", []) == ", which has none"


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_script_says_how_it_is_called_wherever_one_is(tmp_path, monkeypatch, capsys, script, option):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(ROOT / f"pipeline/{script}.py"), option])
    with pytest.raises(SystemExit) as ended:
        run_script(lambda stage: pytest.fail("it was started"))
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"usage: python pipeline/{script}.py DATASET" in said and f"`{script}`" in said
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_script_with_a_line_and_its_record_says_so(workspace, monkeypatch, capsys):
    def interrupted(stage: Stage) -> None:
        with stage.run():
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", [str(ROOT / "pipeline/finetune.py"), KEY])
    with pytest.raises(SystemExit) as ended:
        run_script(interrupted)
    assert ended.value.code == 130 and capsys.readouterr().err == "stopped by Ctrl-C\n"
    record = read_record(OUT / "record")
    assert record.status == "failed" and record.failure.startswith("KeyboardInterrupt")


def test_ctrl_c_while_a_script_still_imports_is_a_line_too(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text("import checkout\nprint('importing', flush=True)\nimport time\ntime.sleep(600)\n")
    env = os.environ | {"PYTHONPATH": str(ROOT / "pipeline")}
    with subprocess.Popen([sys.executable, str(slow)], env=env, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "stopped by Ctrl-C\n"
    assert process.returncode == 130


def test_a_stage_whose_dvc_is_gone_before_it_looks_does_not_start(monkeypatch, capsys):
    monkeypatch.setenv("DVC_STAGE", "finetune@gone")  # no process above this one has it not, within its group
    monkeypatch.setattr(sys, "argv", ["stage.py"])
    monkeypatch.setattr(os, "getpgid", lambda pid: pid)  # an orphan's parent is in another process group
    with pytest.raises(SystemExit):
        run_script(lambda stage: pytest.fail("it was started"))
    assert "the DVC that started finetune@gone is gone" in capsys.readouterr().err


def test_the_lock_goes_with_its_holder_and_not_with_its_file(tmp_path):
    """Another process holds it; it is free again after that was killed, though its file is still there."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with stage_run("pose", "people", dataset="people", params={}, root=tmp_path):
            os.write(writing, b"held")
            os.read(os.pipe()[0], 1)  # for ever
    assert os.read(reading, 4) == b"held"
    record = read_record(tmp_path / "pose/people/record")
    with (
        pytest.raises(DataError, match=rf"pose/people: is being written by process {child} on .*; wait for it"),
        stage_run("pose", "people", dataset="people", params={}, root=tmp_path),
    ):
        pytest.fail("two at a time")
    assert read_record(tmp_path / "pose/people/record") == record  # the first one is unharmed
    with stage_run("pose", "dogs", dataset="dogs", params={}, root=tmp_path):
        pass  # another output is another lock
    os.kill(child, 9)
    os.waitpid(child, 0)
    with stage_run("pose", "people", dataset="people", params={}, root=tmp_path) as run:
        assert run.attempt != record.attempt
