"""Copies of the project in temporary folders, on a miniature sample: what the tests of whole pipelines share."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from params import one_seed, read_params, those_alone, write_params

from auxreid.plumbing.graph.table import write_graph
from auxreid.plumbing.settings.load import load_config
from auxreid.sample.people_set import render_people

ROOT = Path(__file__).parent.parent
PARTS = ("dvc.yaml", "params.yaml", "pipeline", "src", "requirements.lock", "data.dvc")
PARTS += (".dvc/config", ".dvc/plots", ".dvc/.gitignore", ".dvcignore", ".gitignore")
TO_MAKE = ("Makefile", "pyproject.toml")
SAMPLE = "data/sample"
PEOPLE_ROWS = ["visual_only_corrected", "clip_reid", "clip_reid_twice"]
IDENTITY = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Clone:
    """A working copy of the project whose `python` is the running interpreter and whose sources are its own."""

    def __init__(self, root: Path):
        self.root = root
        python = Path(sys.executable).parent
        self.env = os.environ | {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(root / "src")}
        self.env |= {"OMP_NUM_THREADS": "1", "AUXREID_LIVE": "off"} | IDENTITY

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def shell(self, line: str, check: bool = True) -> subprocess.CompletedProcess:
        """A line as a person types it."""
        return self.run("sh", "-c", line, check=check)

    def dvc(self, *command: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *command).stdout

    def repro(self) -> list[str]:
        """Stages that `dvc repro` ran, in order."""
        return executed(self.dvc("repro"))

    def edit(self, change) -> None:
        path = self.root / "params.yaml"
        params = read_params(path)
        change(params)
        write_params(path, params)

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)

    def take_python(self, folder: Path) -> None:
        """Stages run by the `python` of this folder."""
        self.env["PATH"] = f"{folder}{os.pathsep}{self.env['PATH']}"

    def lend_environment(self) -> None:
        """The running environment in the place of the one that `make` would install."""
        folder = self.root / ".venv"
        folder.mkdir()
        (folder / "bin").symlink_to(Path(sys.executable).parent)
        (folder / ".installed").touch()


def copy_project(root: Path, parts: tuple[str, ...] = PARTS) -> Clone:
    """The project as it stands in the working tree, without data and results, in a Git repository of its own."""
    for part in parts:
        target = root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, target)
    clone = Clone(root)
    clone.run("git", "init", "-q", "-b", "main")
    return clone


def copy_with_every_row(root: Path) -> Path:
    """The project whose study has every row, with one seed: its settings and its table of runs, as DVC reads them."""
    clone = copy_project(root)
    clone.edit(lambda params: one_seed(params, params["ablations"]))
    write_graph(load_config(root / "params.yaml"), root / "pipeline/graph.yaml")
    return root


def git_clone(source: Path, root: Path) -> Clone:
    subprocess.run(["git", "clone", "-q", str(source), str(root)], check=True)
    return Clone(root)


def render_small_people(clone: Clone) -> None:
    """The people of the sample, a few of them, where data.dvc says that the sample lies."""
    render_people(clone.root / SAMPLE, workers=1, shared=16, train=8, only_a=2, only_b=4, frames=3)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """What `make` writes below the folder that it gets: one for all of pytest's processes, which no test changes."""
    base = factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else factory.getbasetemp()
    folder, made = base / name, base / f"{name}.made"
    with FileLock(base / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # a part of it, if another process failed here
            make(folder)
            made.touch()
    return folder


def train_people(root: Path, python: Path) -> None:
    """A miniature study of the people alone, committed and then run by one `dvc repro`, whose output is in root.log."""
    clone = copy_project(root, PARTS + TO_MAKE)
    clone.take_python(python)
    render_small_people(clone)
    clone.dvc("commit", "-q", "-f", "data.dvc")
    clone.edit(lambda params: (shrink(params), people_only(params, PEOPLE_ROWS)))
    clone.run(sys.executable, "-m", "auxreid.cli", "plan")
    clone.commit("The study")
    root.with_suffix(".log").write_text(clone.dvc("repro"))


def executed(output: str) -> list[str]:
    """Stages that a `dvc repro` with this output ran, in order."""
    return re.findall(r"Running stage '([^']+)'", output)


def shrink(params: dict) -> None:
    """The sample's recipes at a size that only proves that the links hold."""
    params["datasets"]["sample_people"] |= {"shared_identities": 16, "min_frames": 3}
    people, dogs = params["recipes"]["sample_people"], params["recipes"]["sample_dogs"]
    people["input"] |= {"height": 64, "width": 32}
    people["encoder"] |= {"width": 8, "embed_dim": 16, "text": {"width": 16, "heads": 2, "layers": 1}}
    people["pretrain"] |= {"epochs": 1, "batch_size": 16, "warmup_epochs": 0}
    people["prompts"] |= {"epochs": 2, "warmup_epochs": 1}
    people["finetune"] |= {"epochs": 2, "identities": 4, "instances": 2, "milestones": [2], "warmup_epochs": 1}
    people["evaluate"] |= {"pictures": 2}
    people["pose"] |= {"epochs": 1, "height": 64, "width": 32, "max_images": 32}
    dogs["attributes"] |= {"epochs": 1, "height": 64, "width": 64, "warmup_epochs": 0}


def people_only(params: dict, rows: list[str]) -> None:
    """The smallest study: these rows on the people, without dogs and without anything that needs a pose."""
    params["study"]["datasets"] = ["sample_people"]
    params["datasets"]["sample_people"]["keypoints"] = None
    those_alone(params, rows)
