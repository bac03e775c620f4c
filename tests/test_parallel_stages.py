"""The scripts of stages in two processes: the same files and record as in one, and how it ends when one fails."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from params import ROOT, raw_params
from safetensors.torch import load_file, save_file
from small_frames import noise, small_frames
from tiny_study import DATASET, IDENTITIES, tiny_params, write_inputs, write_study
from waiting import wait_until

from auxreid.clip.checkpoints import load_ranked_encoder
from auxreid.clip.embed import encode_frames
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import ConfigError
from auxreid.training.environment import asked_processes, rank, world_size

ROW = "keypoints_mean_norm_corrected"
DOGS = "sample_dogs"
TOLERANCE = 1e-3  # of float32 after some steps; test_parallel.py has float64
COAT = {"coat": ["short", "medium", "long"], "ears": ["hanging", "upright"]}


def run(folder: Path, *command: str, python: str = sys.executable, **environment: str) -> subprocess.CompletedProcess:
    """A Python script in a folder, with two threads in all however many processes there are."""
    return subprocess.run(
        [python, *command],
        cwd=folder,
        env=variables(**environment),
        capture_output=True,
        text=True,
        timeout=900,
    )


def variables(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "AUXREID_PROCESSES"}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "AUXREID_LIVE": "off"} | more


# what the environment asks for


def test_the_number_of_processes_is_asked_by_the_environment(monkeypatch):
    monkeypatch.delenv("AUXREID_PROCESSES", raising=False)
    assert asked_processes() == 1
    monkeypatch.setenv("AUXREID_PROCESSES", "3")
    assert asked_processes() == 3
    monkeypatch.setenv("AUXREID_PROCESSES", "gpus")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert asked_processes() == 8
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert asked_processes() == 1
    for wrong in ("0", "two", "-1", ""):
        monkeypatch.setenv("AUXREID_PROCESSES", wrong)
        with pytest.raises(ConfigError, match=rf"AUXREID_PROCESSES = '{wrong}': a number from 1 on or 'gpus'"):
            asked_processes()


def test_ranks_of_others_than_torchrun_mean_nothing(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (rank(), world_size()) == (0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some")
    assert (rank(), world_size()) == (3, 4)


# the stages


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """What the stages before leave, of a few people and dogs, in a folder with its params.yaml."""
    folder, before = tmp_path_factory.mktemp("study"), Path.cwd()
    params, raw = tiny_params(), raw_params()
    finetune = params["recipes"][DATASET]["finetune"]
    finetune |= {"epochs": 2, "erasing": 0.5, "identities": 3, "instances": 3, "lr": 2e-4, "max_epoch_factor": 1}
    params["study"] |= {"datasets": [DATASET, DOGS], "rows": [ROW]}
    params["datasets"][DOGS], params["recipes"][DOGS] = raw["datasets"][DOGS], raw["recipes"][DOGS]
    changes = {"backbone": "test_resnet", "height": 32, "width": 32, "epochs": 2, "batch_size": 9, "dropout": 0.3}
    params["recipes"][DOGS]["attributes"] |= changes
    os.chdir(folder)
    try:
        write_inputs(write_study(params))
        write_texts(Path(f"results/prompts/{DATASET}-learned-0/prompts.safetensors"))
        write_dogs(Path(f"results/ingest/{DOGS}/frames.arrow"))
    finally:
        os.chdir(before)
    return folder


def write_texts(path: Path) -> None:
    path.parent.mkdir(parents=True)
    texts = torch.randn(IDENTITIES, 8, generator=torch.Generator().manual_seed(0))
    save_file({"texts": texts, "identities": torch.arange(1, IDENTITIES + 1)}, path)


def write_dogs(path: Path) -> None:
    """30 frames to train, 10 to choose the epoch by and 10 to score; a shade of gray for each pair of words."""

    def gray(number: int, width: int, height: int) -> np.ndarray:
        return noise(number, width, height) // 8 + np.uint8(36 * (number % 6))

    source, rows = small_frames(path.with_name("source.arrow"), range(50), size=(40, 40), picture=gray), []
    for number in range(50):
        words = {"attr_coat": COAT["coat"][number % 3], "attr_ears": COAT["ears"][number % 2]}
        split = "train" if number < 30 else "val" if number < 40 else "query"
        row = {"path": f"{number}.png", "split": split, "identity": number, "width": 40, "height": 40}
        rows.append(row | {"image": bytes(source.image_bytes(number))} | words)
    write_frames(path, rows, FramesMeta(DOGS, "dogs", "dogs", "dog", attributes=COAT))


def alone_and_in_two(study: Path, python: Path, stage: str, key: str) -> tuple[Path, Path, str]:
    """The outputs of a stage in one process and in two, and what the latter printed."""
    out = study / "results" / stage / key
    script = str(ROOT / "pipeline" / f"{stage}.py")
    kept = out.with_name(out.name + ".alone")
    done = run(study, script, key, python=str(python / "python"))
    assert done.returncode == 0, done.stderr[-3000:]
    out.rename(kept)
    done = run(study, script, key, AUXREID_PROCESSES="2")
    assert done.returncode == 0, done.stderr[-3000:]
    return kept, out, done.stdout + done.stderr


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def history(folder: Path) -> dict[tuple[str, int], float]:
    points = [json.loads(line) for line in (folder / "record/history.jsonl").read_text().splitlines()]
    assert len({(point["name"], point["step"]) for point in points}) == len(points)  # one process logged
    return {(point["name"], point["step"]): point["value"] for point in points}


def assert_one_record_of_the_same_settings(alone: Path, pair: Path, printed: str) -> None:
    assert files(alone) == files(pair)
    ours, expected = (json.loads((folder / "record/record.json").read_text()) for folder in (pair, alone))
    assert ours["status"] == "finished"
    assert ours["params"] == expected["params"]  # the number of processes is no setting
    assert ours["summary"] == pytest.approx(expected["summary"], rel=TOLERANCE)
    assert history(pair) == pytest.approx(history(alone), rel=TOLERANCE)
    assert printed.count("== ") == 2  # one start and one end


@pytest.mark.slow
def test_finetune_in_two_processes(study, stage_python):
    alone, pair, printed = alone_and_in_two(study, stage_python, "finetune", f"{DATASET}-{ROW}-0")
    assert_one_record_of_the_same_settings(alone, pair, printed)
    frames, embeddings = open_frames(study / f"results/ingest/{DATASET}/frames.arrow"), []
    for folder in (alone, pair):
        encoder, fusion = load_ranked_encoder(folder / "encoder.safetensors")
        embeddings.append(torch.cat(encode_frames(encoder, frames, encoder.input_config)[1:], dim=1))
        assert fusion is not None
    ours, expected = (load_file(folder / "encoder.safetensors") for folder in (pair, alone))
    assert {name: tensor.shape for name, tensor in ours.items()} == {n: t.shape for n, t in expected.items()}
    assert (embeddings[0] - embeddings[1]).abs().max() < 1e-2 * embeddings[0].std()


@pytest.mark.slow
def test_attributes_in_two_processes(study, stage_python):
    alone, pair, printed = alone_and_in_two(study, stage_python, "attributes", DOGS)
    assert_one_record_of_the_same_settings(alone, pair, printed)
    ours, expected = (json.loads((folder / "metrics.json").read_text()) for folder in (pair, alone))
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert ours[name] == (value if isinstance(value, str) else pytest.approx(value, rel=TOLERANCE)), name


# the launcher

WAITS_OR_FAILS = """
import os, time
from pathlib import Path
from auxreid.plumbing.base.errors import DataError
from auxreid.training.environment import rank
from auxreid.plumbing.stage.launch import run_stage

def main(stage):
    Path(f"pid{rank()}").write_text(str(os.getpid()))
    if rank() > 0:
        while not (stage.out / "record/record.json").is_file():
            time.sleep(0.1)
        if "FAILS" in os.environ:
            raise DataError("frames.arrow: broken")
        time.sleep(600)
    with stage.run():
        time.sleep(600)

if __name__ == "__main__":
    run_stage(main)
"""
SCRIPT, RECORD = "pipeline/attributes.py", f"results/attributes/{DOGS}/record/record.json"


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout that has `attributes` alone, whose script does nothing but wait, or fail."""
    monkeypatch.chdir(tmp_path)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"attributes": stages["attributes"]}}))
    shutil.copy2(ROOT / "requirements.lock", "requirements.lock")
    params = raw_params()
    params["study"]["datasets"] = [DOGS]
    Path("pipeline").mkdir()
    Path(SCRIPT).write_text(WAITS_OR_FAILS)
    write_study(params, tmp_path)
    return tmp_path


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids(folder: Path) -> list[int]:
    started = (folder / RECORD, folder / "pid1")
    wait_until(lambda: all(path.is_file() and path.read_text() for path in started), seconds=200, pause=0.2)
    return [int((folder / f"pid{number}").read_text()) for number in range(2)]


def wait_for_end(processes: list[int]) -> None:
    wait_until(lambda: not any(map(is_running, processes)), seconds=60, pause=0.2)


@pytest.mark.slow
def test_if_one_process_fails_all_end_and_the_record_says_so(checkout):
    done = run(checkout, SCRIPT, DOGS, AUXREID_PROCESSES="2", FAILS="")
    assert done.returncode == 1
    assert "-- process 1 of 2 failed:" in done.stderr
    assert "error: frames.arrow: broken" in done.stderr
    assert re.search(rf"^error: {SCRIPT}: of 2 processes, these failed.*: 1 \(code 1\)$", done.stderr, re.MULTILINE)
    assert json.loads((checkout / RECORD).read_text())["status"] == "failed"
    wait_for_end(pids(checkout))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_end_with_their_launcher(checkout, number):
    command = [sys.executable, SCRIPT, DOGS]
    with subprocess.Popen(
        command, cwd=checkout, env=variables(AUXREID_PROCESSES="2"), stderr=subprocess.PIPE, text=True
    ) as launcher:
        started = pids(checkout)
        launcher.send_signal(number)
        _, told = launcher.communicate(timeout=100)
    wait_for_end(started)
    if number == signal.SIGTERM:
        assert launcher.returncode == 128 + signal.SIGTERM
        assert f"error: {SCRIPT}: its 2 processes were stopped by SIGTERM" in told
