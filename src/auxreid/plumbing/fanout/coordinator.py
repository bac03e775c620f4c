"""`auxreid fanout`: hands the stages that have to run to a Ray cluster, and brings their results home."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.dvc.lock import dvc_is_quiet
from auxreid.plumbing.dvc.lock_text import lock_text, parse_lock
from auxreid.plumbing.dvc.repo import locked, opened_repo
from auxreid.plumbing.fanout import repository
from auxreid.plumbing.fanout.cluster import Dispatcher, Resources, Supply, connected
from auxreid.plumbing.fanout.display import Display
from auxreid.plumbing.fanout.ledger import DONE, Ledger
from auxreid.plumbing.fanout.plan import AT_HOME, group
from auxreid.plumbing.graph.repro import stages_to_do

LOCK = Path("dvc.lock")


def fan_out(targets: list[str], address: str | None, resources: Resources) -> int:
    """Run what is not up to date of the targets (all by default) on a cluster, then compare. Returns an exit code.

    Raises:
        ConfigError: the repository is in no state to be cloned, before anything runs, or has changed when all has run.
    """
    commit, remote = repository.committed_state(), repository.default_remote()
    to_do, up_to_date = stages_to_do(targets)
    units = group({name: needs for name, needs in to_do.items() if not name.endswith(".dvc")})
    ledger = Ledger(units.values())
    missing = repository.check_sources(ledger.stages)
    print(f"{len(units)} tasks with {len(ledger.stages)} stages to run, {up_to_date} up to date", flush=True)
    if units:
        supply = Supply(repository.bundle(commit), remote, repository.direct_needs(), _locked())
        with connected(address):
            _dvc("push", "--run-cache")
            with Display(ledger) as display:
                dispatcher = Dispatcher(supply, resources, ledger, display)
                dispatcher.run()
        _bring_home(commit, dispatcher.lock, missing)
        display.stages()
    code = _compare(dispatcher.lock if units else ())
    unfinished = [state for state in ledger.units.values() if state.state != DONE]
    for state in unfinished:
        print(f"{state.state}: {', '.join(state.unit.stages)}", file=sys.stderr)
    return 1 if unfinished else code


def _dvc(*arguments: str) -> None:
    if subprocess.run([sys.executable, "-m", "dvc", "--wait-for-lock", *arguments], check=False).returncode:
        raise ConfigError(f"`dvc {' '.join(arguments[:2])}` failed, see above")


def _locked() -> dict[str, dict]:
    """The entries of dvc.lock as nodes get them."""
    with dvc_is_quiet(LOCK.parent):
        return _document()["stages"]


def _document() -> dict:
    return parse_lock(LOCK.read_text(encoding="utf-8") if LOCK.is_file() else "", str(LOCK))


def _bring_home(commit: str, lock: Mapping[str, dict], missing: list[str]) -> None:
    """Write the one dvc.lock and pull what it names; nothing is run.

    Raises:
        ConfigError: the repository has changed since, so that the results are not those of what stands there.
    """
    if repository.committed_state() != commit:
        raise ConfigError(
            f"the tasks ran commit {commit}, which is no longer checked out; their results are in the remote: check it "
            "out and repeat the command, which trains nothing again"
        )
    if lock:
        with opened_repo() as repo, locked(repo):
            present = _document()
            write_text(LOCK, lock_text(present | {"stages": {**present["stages"], **lock}}))
        _dvc("pull", "--run-cache", "--force", *lock)
        if missing:
            _dvc("pull", *missing)  # not by force: what was `dvc add`ed is the user's


def _compare(brought: Iterable[str]) -> int:
    """Run the comparisons whose rows are all there. As single stages: nothing else can start, whatever is missing.

    Raises:
        ConfigError: DVC does not find a result up to date that was brought home.
    """
    stale, _ = stages_to_do([])
    if again := sorted(stale.keys() & set(brought)):
        raise ConfigError(f"brought home, but not up to date by `dvc status`: {', '.join(again)}")
    for name, behind in stale.items():
        if not name.startswith(f"{AT_HOME}@"):
            continue
        if behind:
            print(f"{name} waits for {', '.join(sorted(behind))}", flush=True)
        elif code := subprocess.run(
            [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name], check=False
        ).returncode:
            return code
    return 0
