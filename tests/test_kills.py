"""Stages that are killed for good, with kill -9: at random moments, as scripts, and under the real DVC."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from params import ROOT, those_alone
from tiny_study import DATASET, tiny_params, write_inputs, write_study
from waiting import wait_until

from auxreid.plumbing.stage.record import read_history, read_record

ROW, EPOCHS, KILLS = "keypoints_mean_norm_corrected", 30, 20
KEY = f"{DATASET}-{ROW}-0"
SCRIPT = ("python", "pipeline/finetune.py", KEY)
OUT = Path("results/finetune") / KEY
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    python = Path(sys.executable).parent
    search = [str(ROOT / folder) for folder in ("src", "pipeline", "tests")]
    return os.environ | {
        "PATH": f"{python}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(search),
        "OMP_NUM_THREADS": "1",
        "AUXREID_LIVE": "off",
    }


@pytest.fixture(scope="module")
def ready(tmp_path_factory, environment) -> Path:
    """A repository with the inputs of one row of many short epochs."""
    root = tmp_path_factory.mktemp("ready")
    params = tiny_params()
    those_alone(params, [ROW, "clip_reid"])
    recipe = params["recipes"][DATASET]
    recipe["finetune"] |= {"epochs": EPOCHS, "milestones": [20], "warmup_epochs": 2, "max_epoch_factor": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for folder in ("pipeline", "src"):
            shutil.copytree(ROOT / folder, folder)
        for file in ("dvc.yaml", "requirements.lock"):
            shutil.copy2(ROOT / file, file)
        write_inputs(write_study(params))
    subprocess.run(["python", "pipeline/prompts.py", f"{DATASET}-learned-0"], cwd=root, env=environment, check=True)
    return root


@pytest.fixture
def workspace(ready, tmp_path) -> Path:
    shutil.copytree(ready, tmp_path / "workspace")
    return tmp_path / "workspace"


def result(root: Path) -> dict:
    """What a stage leaves: bytes of the outputs, and the record's curves and figures."""
    record = read_record(root / OUT / "record")
    assert record.status == "finished"
    return {
        "encoder": (root / OUT / "encoder.safetensors").read_bytes(),
        "history.csv": (root / OUT / "history.csv").read_bytes(),
        "history": [(point.name, point.step, point.value) for point in read_history(root / OUT / "record")],
        "summary": record.summary,
    }


@pytest.fixture(scope="module")
def killed_and_not(ready, tmp_path_factory, environment) -> tuple[Path, Path, dict]:
    """The workspace of an undisturbed run, that of the kill loop, and the latter's report."""
    root = tmp_path_factory.mktemp("loop")
    for name in ("undisturbed", "killed"):
        shutil.copytree(ready, root / name)
    command = [sys.executable, str(ROOT / "tests/kill_loop.py"), str(root / "undisturbed"), str(root / "killed")]
    done = subprocess.run([*command, ROW, str(KILLS), "1"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return root / "undisturbed", root / "killed", json.loads(done.stdout.splitlines()[-1])


def test_twenty_kills_at_random_moments_change_nothing(killed_and_not):
    undisturbed, killed, report = killed_and_not
    assert result(killed) == result(undisturbed)
    lives, epochs = report["lives"], report["epochs"]
    assert len(lives) == KILLS + 1 and epochs == EPOCHS

    in_mid_epoch = [life for life in lives[:-1] if life and life[-1] != "saved"]
    assert len(in_mid_epoch) >= 3, "the kills came between the epochs: they prove little"
    assert len([life for life in lives[:-1] if not life]) >= 3  # and some before training went on
    begun = sum(life.count("epoch") for life in lives)
    assert EPOCHS < begun <= EPOCHS + len(in_mid_epoch)  # an epoch is run again only where a kill cut it off
    assert len(lives[-1]) // 3 < EPOCHS  # the last life did not do it all
    record = read_record(killed / OUT / "record")
    assert record.resumed_from_epoch == EPOCHS - lives[-1].count("epoch")
    assert record.resumed_from_epoch >= 5


# the script itself


def stage(root: Path, environment: dict[str, str], command=SCRIPT) -> subprocess.Popen:
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def epochs_saved(root: Path) -> int:
    return max((int(path.name.split("-")[1]) for path in root.glob(".checkpoints/*/epoch-*.pt")), default=0)


def test_the_script_killed_and_started_again_gives_equal_bytes(killed_and_not, workspace, environment):
    environment = environment | {"AUXREID_WORKERS": "1"}
    reached = 0
    for kill in range(2):
        process = stage(workspace, environment)
        wait_until(lambda reached=reached: epochs_saved(workspace) > reached)
        time.sleep(0.05 * kill)
        helpers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        reached = epochs_saved(workspace)
        wait_until(lambda helpers=helpers: not any(is_running(helper) for helper in helpers))  # torch sees to it
    process = stage(workspace, environment)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert f"{reached} epochs are done, from .checkpoints/finetune-" in output
    assert result(workspace) == result(killed_and_not[0])


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


# under DVC


@pytest.fixture
def repository(workspace, environment) -> Path:
    """The workspace with DVC, which knows of this stage alone: the others' results are files like any."""
    described = yaml.safe_load((workspace / "dvc.yaml").read_text())
    described["stages"] = {"finetune": described["stages"]["finetune"]}
    (workspace / "dvc.yaml").write_text(yaml.safe_dump(described))
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=workspace, env=environment, check=True)
    return workspace


DVC = (sys.executable, "-m", "dvc")
REPRO = (*DVC, "repro", f"finetune@{KEY}")


def stage_process(dvc: psutil.Popen | subprocess.Popen) -> psutil.Process:
    """The Python that runs the stage below a DVC, once it is there."""
    found: list[psutil.Process] = []

    def look() -> list[psutil.Process]:
        children = psutil.Process(dvc.pid).children(recursive=True)
        found[:] = [child for child in children if SCRIPT[1] in child.cmdline() and "python" in child.name()]
        return found

    wait_until(look)
    return found[0]


def test_a_second_repro_or_script_is_refused_and_the_first_is_unharmed(killed_and_not, repository, environment):
    first = stage(repository, environment, REPRO)
    wait_until(lambda: epochs_saved(repository) >= 2)
    running = stage_process(first)
    running.suspend()  # so that it cannot end before the second one has tried
    try:
        second = subprocess.run(REPRO, cwd=repository, env=environment, capture_output=True, text=True)
        by_hand = subprocess.run(SCRIPT, cwd=repository, env=environment, capture_output=True, text=True)
    finally:
        running.resume()
    output, _ = first.communicate()
    assert second.returncode != 0 and "is busy, it is being blocked by" in second.stderr
    assert by_hand.returncode == 1
    assert by_hand.stderr.splitlines() == [
        f"error: {OUT}: is being written by process {running.pid} on {os.uname().nodename}; wait for it or end it, "
        "then start this one again"
    ]
    assert first.returncode == 0, output
    assert result(repository) == result(killed_and_not[0])


def test_a_killed_dvc_takes_its_stage_with_it_and_the_next_repro_goes_on(killed_and_not, repository, environment):
    first = stage(repository, environment | {"AUXREID_WORKERS": "1"}, REPRO)
    wait_until(lambda: epochs_saved(repository) >= 2)
    old = stage_process(first)
    helpers = old.children(recursive=True)
    first.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(old))
    wait_until(lambda: not any(is_running(helper) for helper in helpers))
    first.communicate()
    reached = epochs_saved(repository)
    assert reached < EPOCHS

    again = subprocess.run(REPRO, cwd=repository, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"{reached} epochs are done, from .checkpoints/finetune-" in again.stdout
    assert result(repository) == result(killed_and_not[0])
    status = subprocess.run(
        [*DVC, "status", REPRO[-1]], cwd=repository, env=environment, capture_output=True, text=True
    )
    assert "up to date" in status.stdout


def test_a_stage_that_outlives_its_dvc_is_the_only_writer_until_it_is_gone(killed_and_not, repository, environment):
    """It is stopped, so that it cannot see that DVC is gone: the next one is refused and not a second writer."""
    first = stage(repository, environment, REPRO)
    wait_until(lambda: epochs_saved(repository) >= 1)
    old = stage_process(first)
    old.suspend()
    try:
        first.send_signal(signal.SIGKILL)
        first.wait()
        refused = subprocess.run(REPRO, cwd=repository, env=environment, capture_output=True, text=True)
    finally:
        old.resume()
    assert refused.returncode != 0 and f"is being written by process {old.pid}" in refused.stderr
    wait_until(lambda: not is_running(old))
    output, _ = first.communicate()
    assert f"error: DVC is gone, and {REPRO[-1]} ends with it" in output
    again = subprocess.run(REPRO, cwd=repository, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert result(repository) == result(killed_and_not[0])


def test_a_stage_started_by_hand_outlives_its_shell(killed_and_not, workspace, environment):
    """Without DVC there is nothing to end with."""
    shell = stage(workspace, environment, ["sh", "-c", " ".join(SCRIPT) + " & wait"])
    wait_until(lambda: epochs_saved(workspace) >= 1)
    running = stage_process(shell)
    shell.kill()
    wait_until(lambda: not is_running(running))
    shell.communicate()
    assert result(workspace) == result(killed_and_not[0])
