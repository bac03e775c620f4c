"""Live logging, MLflow's side: follows a record's curves and system metrics and logs them into a run in state "live".

Started by live.py as `python -m auxreid.plumbing.mirror.live_writer REPOSITORY RECORD_FOLDER`. Standard input brings
one line, "<status> <milliseconds>", when the stage ends, or closes without one when it is killed. The answer on the
standard output is "ok" or "failed: <reason>". After the first failure it says so once and ends; the mirror repairs.
"""

import os
import select
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from auxreid.plumbing.dvc.experiment_copy import BASELINE_VARIABLE, NAME_VARIABLE, home_of, is_copy
from auxreid.plumbing.mirror.store import open_store
from auxreid.plumbing.mirror.view import (
    BASELINE,
    EXPERIMENT,
    STATE,
    curve,
    experiment_run_name,
    param_texts,
    run_name,
    tags,
)
from auxreid.plumbing.stage.record import HISTORY, SYSTEM, Point, parse_point, read_record

POLL_SECONDS = 1.0
EXPERIMENT_VARIABLES = {EXPERIMENT: NAME_VARIABLE, BASELINE: BASELINE_VARIABLE}
MLFLOW_STATUS = {"finished": "FINISHED", "failed": "FAILED"}
IMPATIENCE = {  # MLflow's defaults keep a caller waiting for many minutes when the server is gone
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


def main(repository: str, folder: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the stage, which then tells us so
    os.nice(5)  # training comes first, but the run should appear while it lasts
    for name, value in IMPATIENCE.items():
        os.environ.setdefault(name, value)
    answer, warning = quieten()
    try:
        follow(Path(repository), Path(folder))
    except Exception as error:
        reason = str(error).partition("\n")[0][:300] or type(error).__name__
        warning.write(f"live logging stops: {reason} (the stage goes on; `make publish` brings MLflow up to date)\n")
        answer.write(f"failed: {reason}\n")
    else:
        answer.write("ok\n")


def quieten() -> tuple:
    """Keeps the standard output and error for our own lines and sends what MLflow prints to nowhere."""
    kept = tuple(os.fdopen(os.dup(number), "w") for number in (1, 2))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    return kept


def follow(repository: Path, folder: Path) -> None:
    with ExitStack() as files:  # opened first: the folder may be removed by a next attempt
        history = files.enter_context((folder / HISTORY).open("rb"))
        (folder / SYSTEM).touch()  # not there if the sampler failed
        system = files.enter_context((folder / SYSTEM).open("rb"))
        record = read_record(folder)
        store = open_store(home_of(repository))  # a copy's own store would go with the copy
        name, about = run_name(record), experiment_tags(repository)
        run_id = store.client.create_run(
            store.experiment(record.dataset),
            start_time=record.started,
            tags={**tags(record), **about, STATE: "live"},
            run_name=experiment_run_name(name, about[EXPERIMENT]) if EXPERIMENT in about else name,
        ).info.run_id
        store.log_params(run_id, param_texts(record.params)[0])
        ending = None
        while ending is None:
            ending = wait_for_ending()
            points, _ = curve(record.stage, new_points(history))
            store.log_points(run_id, points + new_points(system))
    status, finished = ending
    store.client.set_terminated(run_id, status, end_time=finished)


def experiment_tags(repository: Path) -> dict[str, str]:
    """What marks a run of an experiment; empty in the workspace, where an experiment's results are the present ones."""
    if not is_copy(repository):
        return {}
    found = {tag: os.environ.get(variable) for tag, variable in EXPERIMENT_VARIABLES.items()}
    return {tag: value for tag, value in found.items() if value}


def wait_for_ending() -> tuple[str, int | None] | None:
    """Status and time once the stage has ended; None after a second without news."""
    if not select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
        return None
    words = sys.stdin.readline().split()
    return (MLFLOW_STATUS[words[0]], int(words[1])) if words else ("KILLED", None)


def new_points(history: BinaryIO) -> list[Point]:
    """The whole lines since the last call; a line that is still being written is left for the next."""
    lines = history.readlines()
    if lines and not lines[-1].endswith(b"\n"):
        history.seek(-len(lines.pop()), os.SEEK_CUR)
    return [parse_point(line) for line in lines]


if __name__ == "__main__":
    main(*sys.argv[1:])
