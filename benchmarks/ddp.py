"""Stage 2 in two processes against one, through the stages' own scripts on a small rendered set.

    python benchmarks/ddp.py [--people 32] [--epochs 4]

Asked is that the figures are equal but for sums in another order, whose traces grow from step to step in float32. Of
time nothing is asked: two processes on CPU cores that one would use as well gain nothing.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from result import Asked, Row, finish, times
from sizes import read_sizes

from auxreid.plumbing.graph.table import write_graph
from auxreid.plumbing.settings.load import load_config
from auxreid.sample.people_set import render_people

ROOT = Path(__file__).parents[1]
DATASET, ABLATION, SEED = "sample_people", "clip_reid", "0"
KEY = f"{DATASET}-{ABLATION}-{SEED}"
PEOPLE, EPOCHS, FRAMES = 32, 4, 4
MOST_FIRST, MOST_LAST, MOST_POINTS = 0.01, 1.0, 1.0  # per cent of the losses, points of mAP


@dataclass(frozen=True)
class Outcome:
    """What one run of stage 2 left."""

    losses: list[float]  # of each epoch
    mean_average_precision: float
    seconds: float


def prepare(folder: Path, people: int, epochs: int) -> None:
    """The small study's params.yaml and data in a folder, and all that comes before stage 2."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["study"] = {"datasets": [DATASET], "seeds": [int(SEED)], "rows": [ABLATION]}
    params["datasets"][DATASET] |= {"shared_identities": people, "min_frames": FRAMES}
    recipe = params["recipes"][DATASET]
    recipe["pretrain"] |= {"epochs": 4, "warmup_epochs": 1}
    recipe["prompts"] |= {"epochs": 6, "warmup_epochs": 1}
    recipe["finetune"] |= {"epochs": epochs, "identities": 8, "milestones": [epochs], "erasing": 0.5}
    recipe["evaluate"] = {"pictures": 0, "reranking": None}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_graph(load_config(folder / "params.yaml"), folder / "pipeline/graph.yaml")
    render_people(folder / "data/sample", shared=people, train=people // 2, only_a=0, only_b=people, frames=FRAMES)
    run(folder, "sources")
    for stage, key in {"ingest": DATASET, "protocol": DATASET, "pretrain": f"{DATASET}-0"}.items():
        run(folder, stage, key)
    run(folder, "prompts", f"{DATASET}-learned-{SEED}")


def run(folder: Path, stage: str, *key: str, processes: int = 1) -> float:
    """A stage's script; returns its seconds.

    Raises:
        RuntimeError: it failed; holds the end of what it printed.
    """
    variables = {"PYTHONPATH": str(ROOT / "src"), "AUXREID_PROCESSES": str(processes), "AUXREID_LIVE": "off"}
    command = [sys.executable, str(ROOT / f"pipeline/{stage}.py"), *key]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=os.environ | variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{stage} failed: {done.stderr[-2000:]}")
    return time.perf_counter() - started


def outcome(folder: Path, processes: int) -> Outcome:
    """Stage 2 and its evaluation; the folder is as before afterwards."""
    seconds = run(folder, "finetune", KEY, processes=processes)
    run(folder, "evaluate", KEY)
    with (folder / f"results/finetune/{KEY}/history.csv").open(encoding="utf-8") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    metrics = json.loads((folder / f"results/evaluate/{KEY}/metrics.json").read_text(encoding="utf-8"))
    for stage in ("finetune", "evaluate"):
        shutil.rmtree(folder / f"results/{stage}/{KEY}")
    return Outcome(losses, metrics["mAP"], seconds)


def compared(one: Outcome, two: Outcome) -> list[Row]:
    """Losses, mAP and seconds of two processes against those of one."""
    found = []
    for epoch, most in ((1, MOST_FIRST), (len(one.losses), MOST_LAST)):
        before, after = one.losses[epoch - 1], two.losses[epoch - 1]
        off = 100 * abs(after / before - 1)
        asked = (Asked("difference in %", off, most=most),)
        name = f"stage 2 in 2 processes: loss of epoch {epoch}"
        found.append(Row(name, "1 process", f"{before:.6f}", f"{after:.6f}", f"{off:.1g} % off", asked))
    before, after = 100 * one.mean_average_precision, 100 * two.mean_average_precision
    asked = (Asked("difference in points", abs(after - before), most=MOST_POINTS),)
    name = f"stage 2 in 2 processes: mAP after epoch {len(one.losses)}"
    found.append(Row(name, "1 process", f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}", asked))
    figures = f"{one.seconds:.1f} s", f"{two.seconds:.1f} s", times(one.seconds, two.seconds)
    return [
        *found,
        Row("stage 2 in 2 processes: whole script", "1 process", *figures, remark=f"{os.cpu_count()} cores"),
    ]


def rows(people: int = PEOPLE, epochs: int = EPOCHS) -> list[Row]:
    """Four rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, people, epochs)
        return compared(outcome(folder, 1), outcome(folder, 2))


if __name__ == "__main__":
    finish(rows(**read_sizes(__doc__, people=PEOPLE, epochs=EPOCHS)))
