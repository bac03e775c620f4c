"""`dvc repro` with a count of the stages."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable

STAGE_LINE = re.compile(r"^(Running stage|Stage) '(?P<name>[^']+)'")


def run_repro(targets: list[str]) -> int:
    """Run `dvc repro`, printing its lines with "[stage k of n]" where a stage is run or skipped. Returns its exit code.

    The exit code of DVC tells whether all stages ended well.
    """
    total = _count_stages(targets)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "dvc", "repro", *targets],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    assert process.stdout is not None
    _pass_on(process.stdout, total)
    return process.wait()


def _count_stages(targets: list[str]) -> int:
    names = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"], capture_output=True, text=True, check=False
    ).stdout.split()
    if targets:
        names = [name for name in names if any(name == t or name.startswith(f"{t}@") for t in targets)] or targets
    return len(names)


def _pass_on(lines: Iterable[str], total: int) -> None:
    started, seen = time.monotonic(), set()
    for line in lines:
        match = STAGE_LINE.match(line)
        if match and not match["name"].endswith(".dvc") and match["name"] not in seen:
            seen.add(match["name"])
            print(f"[stage {len(seen)} of {total}, {time.monotonic() - started:.0f} s]", flush=True)
        print(line, end="", flush=True)
