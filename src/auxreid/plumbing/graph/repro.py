"""`dvc repro`: stage after stage with a count of them, or independent stages side by side."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.interrupted import ending_them, new_mark
from auxreid.plumbing.dvc.repo import locked, opened_repo

if TYPE_CHECKING:
    from dvc.repo import Repo
    from networkx import DiGraph

SOURCES = "sources"  # the stage on which all others depend
STAGE_LINE = re.compile(r"^(Running stage|Stage) '(?P<name>[^']+)'")
INTERRUPTED, PATIENCE = "ERROR: interrupted by the user", 1.0  # what DVC says after Ctrl-C; seconds
HINTS = ("Updating lock file", "To track the changes", "To enable auto", "Use `dvc push`", "\tgit add", "\tdvc config")

# How long a stage of a kind takes among the others, as on the sample; it decides the order alone.
LENGTHS = {"pose": 7, "attributes": 8, "pretrain": 3, "pretrain_branch": 3, "prompts": 1, "finetune": 2}
LENGTH = 0.5  # of every other kind

Stages = Mapping[str, Set[str]]  # each stage, and those it depends on; a stage comes after its dependencies


def run_repro(targets: list[str], jobs: int = 1) -> int:
    """Run `dvc repro`, and tell how many stages there are. Returns an exit code that tells whether all ended well.

    With several jobs, stages that do not depend on each other run at a time, each as `dvc repro --single-item` with its
    share of the cores. What is up to date, what is stored and what comes out is DVC's affair in both ways.

    Raises:
        ConfigError: a target that is no stage, with several jobs; or DVC cannot read the repository.
        DataError: dvc.lock is broken or holds a conflict.
    """
    if jobs > 1:
        return _SideBySide(*stages_to_do(targets), jobs).run()
    total, mark = _count_stages(targets), new_mark()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "dvc", "--wait-for-lock", "repro", *targets],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        env=os.environ | mark,
    )
    assert process.stdout is not None
    with ending_them([process], mark):
        _pass_on(process.stdout, total)
        return process.wait()


def _count_stages(targets: list[str]) -> int:
    """How many stages DVC will look at: the targets and what they need, or all."""
    from networkx import descendants

    with opened_repo() as repo, locked(repo):
        graph = _by_name(repo)
    named = {name for name in graph if any(_names(target, name) for target in targets)} if targets else set(graph)
    needed = named.union(*(descendants(graph, name) for name in named))
    return len([name for name in needed if not name.endswith(".dvc")]) or len(targets)


def _names(target: str, stage: str) -> bool:
    return stage == target or stage.startswith(f"{target}@")


def _pass_on(lines: Iterable[str], total: int) -> None:
    started, seen = time.monotonic(), set()
    for line in lines:
        match = STAGE_LINE.match(line)
        if match and not match["name"].endswith(".dvc") and match["name"] not in seen:
            seen.add(match["name"])
            print(f"[stage {len(seen)} of {total}, {time.monotonic() - started:.0f} s]", flush=True)
        print(line, end="", flush=True)


def stages_to_do(targets: list[str]) -> tuple[Stages, int]:
    """Of the targets and what they need: the stages that are stale or follow a stale one, and the number of others.

    The sources are hashed first if they changed: after most edits no stage follows from that, which DVC cannot know.

    Raises:
        ConfigError: the sources cannot be hashed, or a target is no stage.
    """
    graph, stale = _graph_and_stale()
    if SOURCES in stale:
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", SOURCES]
        if subprocess.run(command, check=False).returncode:
            raise ConfigError(f"stage {SOURCES!r} failed, see above")
        graph, stale = _graph_and_stale()
    from networkx import descendants, lexicographical_topological_sort

    if targets:
        named = set().union(*(_named(target, graph) for target in targets))
    else:  # as DVC has it: of .dvc files, those that stages read
        named = {name for name in graph if not name.endswith(".dvc")}
    wanted = named.union(*(descendants(graph, name) for name in named))
    to_do: dict[str, set[str]] = {}
    for name in reversed(list(lexicographical_topological_sort(graph))):
        behind = to_do.keys() & set(graph.successors(name))
        if name in wanted and (name in stale or behind):
            to_do[name] = behind
    return to_do, len(wanted) - len(to_do)


def _named(target: str, graph: "DiGraph") -> set[str]:
    found = {name for name in graph if _names(target, name)}
    if not found:
        raise ConfigError(f"{target!r} is no stage; `dvc stage list` names them")
    return found


def _graph_and_stale() -> tuple["DiGraph", set[str]]:
    """The stages by name, with edges that lead to what a stage depends on; and which of them are not up to date."""
    with opened_repo() as repo, locked(repo):
        return _by_name(repo), set(repo.status())


def _by_name(repo: "Repo") -> "DiGraph":
    from networkx import relabel_nodes

    return relabel_nodes(repo.index.graph, lambda stage: stage.addressing)


def next_chain(waiting: Stages, done: Set[str]) -> list[str]:
    """The stages of `waiting` to start next, one after the other; none if all depend on something that runs.

    First comes what has the longest way to the end before it, so that no long stage is left over for the end. What
    waits for that stage alone, and is all that waits for it, follows in the same process, which saves the start of one.
    """
    ready = [name for name, needs in waiting.items() if needs <= done]
    if not ready:
        return []
    ways = _ways(waiting)
    chain = [max(ready, key=ways.__getitem__)]
    while True:
        behind = [name for name, needs in waiting.items() if chain[-1] in needs]
        if len(behind) != 1 or not waiting[behind[0]] <= {*done, *chain}:
            return chain
        chain.append(behind[0])


def _ways(waiting: Stages) -> dict[str, float]:
    """The length of the longest chain of stages that begins with each."""
    behind = dict.fromkeys(waiting, 0.0)
    ways: dict[str, float] = {}
    for name in reversed(waiting):  # a stage comes after its dependencies
        ways[name] = behind[name] + LENGTHS.get(name.split("@")[0], LENGTH)
        for need in waiting[name] & behind.keys():
            behind[need] = max(behind[need], ways[name])
    return ways


class _SideBySide:
    """Runs stages at a time until all are done or one has failed; those that run then are let finish."""

    def __init__(self, stages: Stages, up_to_date: int, jobs: int) -> None:
        self.waiting, self.jobs, self.total = dict(stages), jobs, len(stages)
        self.done: set[str] = set()
        self.processes: set[subprocess.Popen] = set()
        self.interrupted = Event()
        self.printing, self.started = Lock(), time.monotonic()
        threads = max(1, (os.cpu_count() or 1) // jobs)
        self.mark = new_mark()
        self.environment = {"OMP_NUM_THREADS": str(threads)} | os.environ | self.mark
        print(f"{len(stages)} stages to run, {up_to_date} up to date; {jobs} at a time", flush=True)

    def run(self) -> int:
        code, running = 0, {}
        with ThreadPoolExecutor(self.jobs) as pool, self._ending_all():
            while True:
                while not code and len(running) < self.jobs and (chain := next_chain(self.waiting, self.done)):
                    for name in chain:
                        del self.waiting[name]
                    running[pool.submit(self._reproduce, chain)] = chain
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    code = self._ended(future, running.pop(future)) or code
        if self.waiting:
            print(f"not run: {', '.join(self.waiting)}", flush=True)
        return code

    @contextmanager
    def _ending_all(self) -> Iterator[None]:
        """After Ctrl-C, what DVC says of stages that failed by it is no news."""
        with ending_them(self.processes, self.mark):
            try:
                yield
            except KeyboardInterrupt:
                self.interrupted.set()
                raise

    def _ended(self, future: Future, chain: list[str]) -> int:
        code = future.result()
        if not code:
            self.done.update(chain)
        self._say(f"[{len(self.done)} of {self.total} done, {time.monotonic() - self.started:.0f} s]")
        return code

    def _reproduce(self, chain: list[str]) -> int:
        """One DVC process; it waits while another one holds DVC's lock. Lines are told apart by the stage's name."""
        command = [sys.executable, "-u", "-m", "dvc", "--wait-for-lock", "repro", "--single-item", *chain]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, env=self.environment
        ) as process:
            assert process.stdout is not None
            self.processes.add(process)
            name = chain[0]
            for line in process.stdout:
                if match := STAGE_LINE.match(line):
                    name = match["name"]
                if line.startswith(INTERRUPTED):
                    self.interrupted.wait(PATIENCE)  # of all processes DVC's may be told first
                if line.strip() and not line.startswith(HINTS):
                    self._say(f"{name} | {line.rstrip()}")
        self.processes.discard(process)
        if process.returncode:
            self._say(f"{name} | failed with code {process.returncode}")
        return process.returncode

    def _say(self, line: str) -> None:
        with self.printing:
            if not self.interrupted.is_set():
                print(line, flush=True)
