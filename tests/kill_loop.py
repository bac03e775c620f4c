"""Kills a miniature `finetune` again and again, at random moments, and lets it go on each time.

usage: python kill_loop.py UNDISTURBED KILLED ROW KILLS SEED, two equal workspaces. Prints what happened as JSON.

Each life is forked from this process, which has imported what takes seconds, and runs the script's `main` as it is. A
journal, of which each line is one write, tells when an epoch began, when its state was about to be saved, and when it
was.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import finetune  # noqa: F401 (so that no life imports it)
from tiny_study import DATASET, run
from warm_python import import_all

from auxreid.clipreid import stage2
from auxreid.plumbing.stage.checkpoint_folder import CheckpointFolder

JOURNAL = Path("journal")


def note(event: str) -> None:
    journal = os.open(JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(journal, f"{event} {time.monotonic()}\n".encode())
    os.close(journal)


def with_journal() -> None:
    draws, save = stage2._draws, CheckpointFolder.save

    def noted_draws(*arguments):
        note("epoch")
        return draws(*arguments)

    def noted_save(self, epochs, state):
        note("saving")
        path = save(self, epochs, state)
        note("saved")
        return path

    stage2._draws, CheckpointFolder.save = noted_draws, noted_save


def start(row: str) -> int:
    """A life of its own; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        run("finetune", f"{DATASET}-{row}-0")
        os._exit(0)
    finally:
        os._exit(1)


def ended_well(child: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def events() -> list[tuple[str, float]]:
    lines = JOURNAL.read_text().splitlines() if JOURNAL.exists() else []
    return [(event, float(when)) for event, when in (line.split() for line in lines)]


def epoch_seconds(happened: list[tuple[str, float]], otherwise: float) -> float:
    """How long the last whole epoch took: the machine may be faster or slower than it was before."""
    begun = [when for event, when in happened if event == "epoch"]
    return begun[-1] - begun[-2] if len(begun) > 1 else otherwise


def let_live(child: int, before: int, rng: random.Random, epoch: float) -> None:
    """Wait until a random moment: of the start, or of the first epochs that this life runs."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0.0, 0.15))  # a start takes some 0.3 s, all being imported
        return
    wanted = rng.choice((1, 2))
    while sum(event == "epoch" for event, _ in events()[before:]) < wanted:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended by itself"
        time.sleep(0.005)
    time.sleep(rng.uniform(0.0, 1.5 * epoch))


def main(undisturbed: str, killed: str, row: str, kills: str, seed: str) -> None:
    import_all()  # what a stage imports when it needs it, too: once, and not in each life
    with_journal()
    os.chdir(undisturbed)
    assert ended_well(start(row))
    epochs, epoch = sum(event == "epoch" for event, _ in events()), epoch_seconds(events(), 0.0)

    os.chdir(killed)
    rng, lives = random.Random(int(seed)), []
    for number in range(int(kills)):
        before, child = len(events()), start(row)
        let_live(child, before, rng, epoch)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status), f"life {number} ended by itself"
        lives.append(events()[before:])
        epoch = epoch_seconds(lives[-1], epoch)
    before = len(events())
    assert ended_well(start(row))
    lives.append(events()[before:])
    print(json.dumps({"epochs": epochs, "lives": [[event for event, _ in life] for life in lives]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
