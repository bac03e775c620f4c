"""The command `auxreid` itself: help, version, completion, the folder that it works in, and Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
import yaml
from clones import ROOT, copy_project
from typer.main import get_command
from typer.testing import CliRunner
from waiting import wait_until

import auxreid
from auxreid.cli import app
from auxreid.plumbing.base import interrupted
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.repository_root import find_root

COMMANDS = sorted(get_command(app).commands)
COMMAND = [sys.executable, "-m", "auxreid"]
FEW_FILES = ("dvc.yaml", "params.yaml", "pipeline/graph.yaml", "pipeline/dvc.yaml")


def run(*words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")} | variables
    return subprocess.run([*COMMAND, *words], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository without sources, Git and DVC, in a subfolder of which the user is."""
    copy_project(tmp_path, FEW_FILES)
    (tmp_path / "notes/deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notes/deep")
    return tmp_path


# help and version


def test_the_version_has_one_source():
    project = (ROOT / "pyproject.toml").read_text()
    assert 'version = {attr = "auxreid.__version__"}' in project and 'dynamic = ["version"]' in project
    assert version("auxreid") == auxreid.__version__


def test_the_version_needs_no_repository(tmp_path):
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"auxreid {auxreid.__version__}\n")


@pytest.mark.parametrize("words", [[], ["-h"], *([command, "-h"] for command in COMMANDS)], ids=" ".join)
def test_help_is_there_for_every_command_and_outside_any_repository(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    short, long = (CliRunner().invoke(app, [*words[:-1], *option]) for option in (words[-1:], ["--help"]))
    assert short.exit_code == long.exit_code == 0
    assert "Usage:" in short.output and short.output.strip() == long.output.strip()


def test_the_shell_completes_commands_and_their_options(tmp_path):
    for words, completed in {"auxreid verif": "verify", "auxreid repro --jo": "--jobs"}.items():
        count = str(len(words.split()) - 1)
        variables = {"_AUXREID_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
        assert completed in run(cwd=tmp_path, **variables).stdout.split()
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it is the shell that runs the tests
    assert "_AUXREID_COMPLETE=complete_bash" in run("--show-completion", "bash", cwd=tmp_path, **named).stdout


# where it works


def test_the_root_is_the_nearest_folder_with_both_files(tmp_path):
    inner = tmp_path / "outer/raw/inner"
    (inner / "src/deep").mkdir(parents=True)
    for folder, name in ((tmp_path / "outer", "dvc.yaml"), (tmp_path / "outer", "params.yaml"), (inner, "dvc.yaml")):
        (folder / name).touch()
    assert find_root(inner / "src/deep") == tmp_path / "outer"
    (inner / "params.yaml").touch()
    assert find_root(inner / "src/deep") == find_root(inner) == inner
    with pytest.raises(ConfigError, match=rf"{tmp_path}: no dvc.yaml and params.yaml here or in a folder above; run"):
        find_root(tmp_path)


@pytest.mark.parametrize("words", [["demo"], ["plan"], ["table"], ["publish"], ["sample"]], ids=" ".join)
def test_outside_any_repository_there_is_one_line_and_nothing_is_written(tmp_path, words):
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and list(tmp_path.iterdir()) == []
    assert re.fullmatch(rf"error: {tmp_path}: no dvc.yaml and params.yaml .*\n", done.stderr)


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f"rmdir {gone} && exec {sys.executable} -m auxreid check"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(["sh", "-c", line], cwd=gone, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("error: the working folder is no longer")


def test_from_a_subfolder_commands_find_the_repository_and_write_there(repository):
    graph = repository / "pipeline/graph.yaml"
    written = graph.read_text()
    graph.unlink()
    done = CliRunner().invoke(app, ["plan"])
    assert done.exit_code == 0 and graph.read_text() == written
    assert [path for path in (repository / "notes").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("words", "folder"), [(["sample"], "data/sample"), (["sample", "--root", "../here"], "notes/here")], ids=str
)
def test_a_path_on_the_command_line_is_where_the_user_is(repository, monkeypatch, words, folder):
    rendered = []
    monkeypatch.setattr("auxreid.sample.render.render_sample", lambda root: rendered.append(root.absolute()))
    assert CliRunner().invoke(app, words).exit_code == 0
    assert rendered == [repository / folder]


# Ctrl-C


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_everything_with_one_line(tmp_path, jobs):
    """The terminal's: all processes of the group get it, those of DVC and its stages among them."""
    clone = copy_project(tmp_path)
    started = tmp_path / "started"
    stages = {f"wait_{name}": {"cmd": f"touch {started} && sleep 1000"} for name in "ab"}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    process = subprocess.Popen(
        [*COMMAND, "repro", "--jobs", jobs],
        cwd=tmp_path,
        env=clone.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stdout:
        if "> touch" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.splitlines()[-1] == "stopped by Ctrl-C"
    assert "Traceback" not in errors + out and "ERROR" not in errors + out
    wait_until(lambda: not alive_in_group(process.pid), seconds=30)


def alive_in_group(group: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if is_alive_in_group(process, group)]


def is_alive_in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False


def test_a_process_that_the_interrupt_did_not_reach_is_ended_too(monkeypatch):
    monkeypatch.setattr(interrupted, "GRACE_S", 0.1)
    with subprocess.Popen(["sleep", "1000"]) as process:
        with pytest.raises(KeyboardInterrupt), interrupted.ending_them([process], interrupted.new_mark()):
            raise KeyboardInterrupt
        assert process.returncode == -signal.SIGTERM


def test_what_a_process_left_behind_is_ended_with_it_and_nothing_else():
    """As DVC leaves a stage's command that it was just starting; the pipe to it would never close."""
    mark = interrupted.new_mark()
    leaves = ["sh", "-c", "sleep 1000 & echo $!"]
    with (
        subprocess.Popen(["sleep", "1000"], env=os.environ | interrupted.new_mark()) as other,
        subprocess.Popen(leaves, env=os.environ | mark, stdout=subprocess.PIPE, text=True) as process,
    ):
        left = psutil.Process(int(process.stdout.readline()))
        process.wait()
        assert left.is_running()
        with pytest.raises(KeyboardInterrupt), interrupted.ending_them([process], mark):
            raise KeyboardInterrupt
        assert process.stdout.read() == ""  # until the last one that holds it has ended
        assert other.poll() is None
        other.kill()


def test_ctrl_c_while_a_command_computes_itself(repository, monkeypatch):
    def stopped(root: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("auxreid.sample.render.render_sample", stopped)
    done = CliRunner().invoke(app, ["sample"])
    assert done.exit_code == 130 and done.stderr.splitlines()[-1] == "stopped by Ctrl-C"
