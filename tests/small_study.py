"""A DVC project with the shape of the study and stages of no cost, which write down when they start and end."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

# Writes what it reads into its output. Stages that wait do so until the test lets them go.
STEP = """
import os, pathlib, sys, time
out, *read = map(pathlib.Path, sys.argv[1:])
control, name = pathlib.Path(os.environ["SMALL_STUDY"]), f"{out.parent.name}@{out.stem}"
def note(what):
    with (control / "log").open("a") as stream:
        stream.write(f"{what} {name} {os.getpid()}\\n")
note("start")
if "broken" in name:
    sys.exit("this row is broken")
exec(WORK)
while name in WAITS and not (control / "go").exists():
    time.sleep(0.1)
out.parent.mkdir(parents=True, exist_ok=True)
files = sorted(file for path in read for file in (path.glob("*") if path.is_dir() else [path]))
out.write_text("".join(f"<{file.name}: {file.read_text()}>" for file in files))
note("end")
"""
CONFIG = """[core]
    analytics = false
    remote = team
['remote "team"']
    url = {remote}
"""
NOTHING = "pipeline/nothing.txt"


class SmallStudy:
    """ingest -> finetune -> evaluate -> compare. Rows are given with the row that each starts from, or None; work is
    the source of what else each stage does."""

    def __init__(self, root: Path, rows: dict[str, str | None], waits: tuple[str, ...] = (), work: str = "") -> None:
        self.root, self.control, self.remote = root, root.parent / "control", root.parent / "remote"
        for folder in (root / "pipeline", root / "data", self.control):
            folder.mkdir(parents=True)
        python = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.env = {**os.environ, "PATH": python, "SMALL_STUDY": str(self.control.resolve())}
        (root / "pipeline/step.py").write_text(f"WAITS, WORK = {waits!r}, {work!r}{STEP}")
        (root / NOTHING).write_text("nothing")
        (root / "data/raw.txt").write_text("raw")
        (root / "params.yaml").write_text("{}")
        (root / ".gitignore").write_text("/out\n/data\n")
        (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": self._stages(rows)}))
        (root / ".dvc").mkdir()
        (root / ".dvc/config").write_text(CONFIG.format(remote=self.remote.resolve()))
        (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        self.run("git", "init", "-q")
        self.dvc("add", "-q", "data")
        self.commit()

    @staticmethod
    def _stages(rows: dict[str, str | None]) -> dict:
        def stage(out: str, *read: str) -> dict:
            return {
                "cmd": f"python pipeline/step.py {out} {' '.join(read)}",
                "deps": ["pipeline/step.py", *read],
                "outs": [out],
            }

        starts = {
            f"{row}-0": {"start": f"out/finetune/{start}-0.txt" if start else NOTHING} for row, start in rows.items()
        }
        return {
            "ingest": {"foreach": ["set"], "do": stage("out/ingest/${item}.txt", "data/raw.txt")},
            "finetune": {
                "foreach": starts,
                "do": stage("out/finetune/${key}.txt", "out/ingest/set.txt", "${item.start}"),
            },
            "evaluate": {"foreach": starts, "do": stage("out/evaluate/${key}.txt", "out/finetune/${key}.txt")},
            "compare": {"foreach": ["set"], "do": stage("out/compare/${item}.txt", "out/evaluate")},
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments).stdout

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=test", "-c", "user.email=test@test", "commit", "-q", "-m", "state")

    def log(self) -> list[tuple[str, str, int]]:
        """What the stages wrote down: start or end, the stage, its process."""
        path = self.control / "log"
        lines = path.read_text().splitlines() if path.is_file() else []
        return [(what, name, int(pid)) for what, name, pid in (line.split() for line in lines)]

    def outputs(self) -> dict[str, str]:
        return {path.relative_to(self.root).as_posix(): path.read_text() for path in self.root.glob("out/*/*.txt")}
