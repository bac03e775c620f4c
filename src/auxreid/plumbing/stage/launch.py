"""Starts a stage's script in several processes, by what torchrun itself calls.

`dvc repro` runs `python pipeline/<stage>.py`, whose command line is part of the cache key. So the script itself asks
the environment, and where it wants several processes becomes their launcher: `python -m auxreid.plumbing.stage.launch`.
A script that torchrun started runs as one of its processes.
"""

import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

from auxreid.plumbing.stage.dvc_watch import end_with_dvc
from auxreid.plumbing.stage.instance import Stage
from auxreid.plumbing.stage.script import asked_stage, run_script, show_help_if_asked, told_errors
from auxreid.training.environment import asked_processes, rank, under_torchrun, world_size

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

WATCH_EVERY_S = 1.0
STOPPED = 128 + signal.SIGTERM  # exit code of a process that its launcher stopped


def run_stage(main: Callable[[Stage], None]) -> None:
    """Call `main` with the stage that the command line names, in as many processes as the environment asks for.

    Errors end it as they end every stage's script.
    """
    if world_size() > 1:
        _run_as_one_of_many(main)
    else:
        run_script(lambda stage: _run_or_launch(main, stage))


def _run_or_launch(main: Callable[[Stage], None], stage: Stage) -> None:
    if under_torchrun() or (count := asked_processes()) == 1:
        main(stage)
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "auxreid.plumbing.stage.launch", str(count), *sys.argv])


def _run_as_one_of_many(main: Callable[[Stage], None]) -> None:
    """Ends with the launcher; when it stops this process, as another has failed, a record can still say so."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with told_errors():
        show_help_if_asked()
        try:
            main(asked_stage())
        except Exception:
            print(f"-- process {rank()} of {world_size()} failed:", file=sys.stderr, flush=True)
            raise


def _end_with(launcher: int) -> None:
    """A process whose launcher was killed is adopted by another one, and would wait for its peers for long."""
    while os.getppid() == launcher:
        time.sleep(WATCH_EVERY_S)
    os._exit(1)


def launch(count: int, command: list[str]) -> int:
    """Run a script in `count` processes of this machine and wait for them; if one fails, the others are stopped.

    Each gets its share of the cores as threads, unless OMP_NUM_THREADS is set; torchrun by itself gives one.

    Returns:
        An exit code: 0 if all ended well.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.ERROR)  # torchrun's log says in many lines what is said below in one
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with TemporaryDirectory(prefix="auxreid-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,  # what failed once would fail again
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)("-u", *command)
        except ChildFailedError as error:
            print(f"error: {command[0]}: {_told(error.failures, count)}", file=sys.stderr)
            return 1
        except SignalException as stopped:
            print(f"error: {command[0]}: its {count} processes were stopped by {stopped.sigval.name}", file=sys.stderr)
            return 128 + stopped.sigval
    return 0


def _told(failures: Mapping[int, "ProcessFailure"], count: int) -> str:
    """Which processes failed by themselves; those that ended as the launcher stopped them are no news."""
    stopped = (-signal.SIGTERM, STOPPED)
    by_themselves = {one: failure for one, failure in failures.items() if failure.exitcode not in stopped}
    named = [f"{one} (code {failure.exitcode})" for one, failure in sorted((by_themselves or failures).items())]
    return f"of {count} processes, these failed, and all were ended: {', '.join(named)}"


if __name__ == "__main__":
    end_with_dvc()  # its processes end with it
    sys.exit(launch(int(sys.argv[1]), sys.argv[2:]))
