"""What DVC costs where there is nothing to do: `dvc status` and `dvc repro` of the study, up to date.

    python benchmarks/dvc_status.py

The reference is the study as it once was: its stages each name the source files that they import, as a dependency each,
instead of one hash of their code, and DVC asks for its updates. Both are copies with placeholders for the files that
stages read and write, committed by DVC itself, so that no training is needed. Beside them: with libyaml, as
requirements.lock installs it, against YAML read by Python alone.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from result import Asked, Row, finish, times, used

ROOT = Path(__file__).parents[1]
PARTS = ("dvc.yaml", "params.yaml", "requirements.lock", "pipeline", "src", ".dvc/config", ".dvcignore")
DVC = "import sys\nfrom dvc.cli import main\nsys.exit(main({arguments!r}))"
NO_LIBYAML = "import sys\nsys.modules |= {'_ruamel_yaml': None, '_ruamel_yaml_clibz': None}\n"
REPEATS = 3
MOST_SHARE, LEAST_LIBYAML = 0.5, 1.5


def rows() -> list[Row]:
    """Status and no-op against the reference, and status without libyaml."""
    with tempfile.TemporaryDirectory() as folder:
        ours, listed = Path(folder, "ours"), Path(folder, "listed")
        count = make_study(ours)
        make_study(listed, list_sources)
        config = listed / ".dvc/config"
        config.write_text(config.read_text(encoding="utf-8").replace("check_update = false", ""), encoding="utf-8")
        found = [compared(command, ours, listed, count) for command in (["status", "-q"], ["repro", "-q"])]
        without, fast = seconds(ours, ["status", "-q"], NO_LIBYAML), seconds(ours, ["status", "-q"])
    figures = f"{without:.2f} s", f"{fast:.2f} s", times(without, fast)
    asked = (Asked("times as fast", without / fast, least=LEAST_LIBYAML),)
    return [*found, Row("dvc status", "without libyaml", *figures, asked)]


def compared(command: list[str], ours: Path, listed: Path, count: int) -> Row:
    """One command in both studies."""
    slow, fast = seconds(listed, command), seconds(ours, command)
    lines = [len((root / "dvc.lock").read_text(encoding="utf-8").splitlines()) for root in (listed, ours)]
    asked = (Asked("share of the reference's time", fast / slow, most=MOST_SHARE),)
    measured = f"dvc {command[0]}, {count} stages, nothing to do"
    remark = f"dvc.lock: {lines[0]} lines, {lines[1]} here"
    return Row(
        measured,
        "source files as deps, asks for updates",
        f"{slow:.2f} s",
        f"{fast:.2f} s",
        times(slow, fast),
        asked,
        remark,
    )


def make_study(root: Path, edit: Callable[[dict], None] = lambda stages: None) -> int:
    """A copy of the study that DVC finds up to date; returns the number of its stages."""
    for part in PARTS:
        target = root / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, target)
    document = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))
    edit(document["stages"])
    (root / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (root / ".gitignore").write_text("/results\n/data\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    count = write_placeholders(root)
    subprocess.run([sys.executable, "-m", "dvc", "commit", "-f", "-q"], cwd=root, check=True)
    return count


def list_sources(stages: dict) -> None:
    """Replace the hash of a stage's code by the files that its script imports, those of the plumbing as well."""
    from modulefinder import ModuleFinder

    del stages["sources"]
    for name, body in stages.items():
        stage = body["do"]
        stage["deps"].remove(f"results/sources/{name}.json")
        finder = ModuleFinder(path=[str(ROOT / "pipeline"), str(ROOT / "src")])
        finder.run_script(str(ROOT / f"pipeline/{name}.py"))
        files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
        inside = {path.relative_to(ROOT) for path in files if path.is_relative_to(ROOT / "src")}
        stage["deps"] += sorted(path.as_posix() for path in inside if path.name != "__init__.py")


def write_placeholders(root: Path) -> int:
    """A small file, or a folder with one, for every dependency and output that is not there. Returns the stages."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        stages = list(repo.index.stages)
        outs = [Path(out.fs_path) for stage in stages for out in stage.outs]
        deps = [Path(dep.fs_path) for stage in stages for dep in stage.deps]
    for path in [*outs, *deps]:
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text('{"code": "0"}' if path.suffix == ".json" else str(path.relative_to(root)))
        else:
            path.mkdir(parents=True, exist_ok=True)
            (path / "file").write_text(str(path.relative_to(root)))
    return len(stages)


def seconds(root: Path, arguments: list[str], before: str = "") -> float:
    """Core-seconds of a DVC command that has nothing to do, the best of some runs: other work does not count."""
    taken = []
    for _ in range(REPEATS):
        spent = used()
        program = before + DVC.format(arguments=arguments)
        done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
        taken.append(used() - spent)
        if done.returncode or done.stderr:
            raise RuntimeError(f"dvc {arguments[0]} had something to do: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return min(taken)


if __name__ == "__main__":
    finish(rows())
