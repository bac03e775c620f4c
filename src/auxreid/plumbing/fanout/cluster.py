"""The coordinator's side of Ray: a cluster to talk to, and the units handed out one after what they need."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.fanout import leash
from auxreid.plumbing.fanout.display import Display
from auxreid.plumbing.fanout.ledger import DONE, FAILED, NOT_RUN, OPEN, SENT, Ledger
from auxreid.plumbing.fanout.plan import Unit
from auxreid.plumbing.fanout.repository import Remote

if TYPE_CHECKING:
    from ray import ObjectRef

RETRIES = 3  # of a unit whose worker, node or training process dies
OBJECT_STORE = 128 * 2**20  # bytes, of a cluster made here: it holds one Git bundle
POLL = 1.0  # seconds between two looks at the events


@dataclass(frozen=True)
class Resources:
    """What each task holds of its node."""

    cpus: int
    gpus: float


@dataclass(frozen=True)
class Supply:
    """What every task gets: the commit, the remotes, what each stage reads, and the entries of dvc.lock."""

    bundle: bytes
    remote: Remote
    needs: Mapping[str, set[str]]
    lock: Mapping[str, dict]


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to the cluster at an address, or a cluster of this machine alone, until the block ends.

    Raises:
        ConfigError: no cluster answers at the address, or not without its token.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # Ray's switch for clusters of one machine: without it Ray listens on all interfaces, whatever its address.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    from auxreid.plumbing.fanout import events, task

    for module in (events, task):
        ray.cloudpickle.register_pickle_by_value(module)
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(log_to_driver=False, **(own if address is None else {"address": address}))
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        raise ConfigError(f"no Ray cluster opens at {address}: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()


class Dispatcher:
    """Hands out a unit when those that it needs are done. A unit that fails by itself stops those behind it alone."""

    def __init__(self, supply: Supply, resources: Resources, ledger: Ledger, display: Display) -> None:
        self.supply, self.resources, self.ledger, self.display = supply, resources, ledger, display
        self.lock: dict[str, dict] = {}  # entries that the nodes sent back
        self.seen = 0  # events

    def run(self) -> None:
        """Returns when every unit is done, has failed or cannot be run any more. Needs a connection."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from auxreid.plumbing.fanout.events import EventLog

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.events = ray.remote(EventLog).options(num_cpus=0, scheduling_strategy=here).remote()
        self.bundle = ray.put(self.supply.bundle)
        self._tell_if_too_large()
        running: dict[ObjectRef, Unit] = {}
        while True:
            for unit in self._ready():
                running[self._send(unit)] = unit
            if not running:
                break
            ended, _ = ray.wait(list(running), num_returns=1, timeout=POLL)
            self._follow()
            for reference in ended:
                self._ended(running.pop(reference), reference)
        for unit in self.ledger.ended(OPEN):
            self.ledger.close(unit.name, NOT_RUN)

    def _tell_if_too_large(self) -> None:
        import ray

        asked = {"CPU": self.resources.cpus, "GPU": self.resources.gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(kind, 0) >= number for kind, number in asked.items()) for node in nodes):
            self.display.note(f"no node has {asked['CPU']} CPUs and {asked['GPU']:g} GPUs: waiting for one that joins")

    def _ready(self) -> list[Unit]:
        done = {unit.name for unit in self.ledger.ended(DONE)}
        return [unit for unit in self.ledger.ended(OPEN) if unit.needs <= done]

    def _send(self, unit: Unit) -> "ObjectRef":
        import ray

        from auxreid.plumbing.fanout.task import run_unit

        remote = ray.remote(run_unit).options(
            name=unit.name,
            num_cpus=self.resources.cpus,
            num_gpus=self.resources.gpus,
            max_retries=RETRIES,
            retry_exceptions=[ChildProcessError],
        )
        self.ledger.units[unit.name].state = SENT
        return remote.remote(self._job(unit), self.bundle, self.events)

    def _job(self, unit: Unit) -> dict:
        """As task.Job has it. The lock is cut down to what the unit reads: DVC takes seconds over a whole one."""
        read = set(unit.stages).union(*(self.supply.needs[name] for name in unit.stages))
        lock = {**self.supply.lock, **self.lock}
        return {
            "unit": unit.name,
            "stages": list(unit.stages),
            "lock": {name: lock[name] for name in sorted(read & lock.keys())},
            "leash": Path(leash.__file__).read_text(encoding="utf-8"),
            "settings": self.supply.remote.settings,
            "remote_folder": self.supply.remote.folder,
            "threads": self.resources.cpus,
            "gpus": self.resources.gpus,
            "environment": _environment(),
        }

    def _follow(self) -> None:
        import ray

        for event in ray.get(self.events.since.remote(self.seen)):
            self.seen += 1
            self.ledger.take(event)
            self.display.event(event)

    def _ended(self, unit: Unit, reference: "ObjectRef") -> None:
        import ray

        try:
            report = ray.get(reference)
        except ray.exceptions.RayError as error:
            report = {"lock": {}, "failed": unit.name, "log": str(error)}
        self.lock |= report["lock"]
        self.ledger.close(unit.name, FAILED if report["failed"] else DONE)
        self.display.closed(unit.name)
        if report["failed"]:
            self.display.note(f"{report['failed']} failed:\n{report['log']}")


def _environment() -> dict[str, str]:
    """Live runs only where MLflow is a server: what a node keeps in its own mlruns/ goes with its clone."""
    found = {"NO_ALBUMENTATIONS_UPDATE": "1", "DVC_NO_ANALYTICS": "1", "AUXREID_LIVE": "off"}
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith(("http://", "https://")):
        found |= {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_TRACKING_")}
        found["AUXREID_LIVE"] = os.environ.get("AUXREID_LIVE", "on")
    return found
