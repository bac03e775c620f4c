"""What happened to every unit and stage, from the events that the nodes sent."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from auxreid.plumbing.fanout.plan import Unit

OPEN, SENT, RUNNING, DONE, FAILED, NOT_RUN = "waits", "queued", "running", "done", "failed", "not run"


@dataclass
class StageCount:
    """The executions of one stage: to the end, restored from the run cache, failed by themselves, broken off."""

    stage: str
    ran: int = 0
    restored: int = 0
    failed: int = 0
    broken_off: int = 0
    seconds: float = 0.0  # of those that came to an end
    hosts: list[str] = field(default_factory=list)


@dataclass
class UnitState:
    """Where a unit stands; stage is the one that runs, or ran when the unit ended unfinished."""

    unit: Unit
    state: str = OPEN
    stage: str = ""
    host: str = ""
    attempts: int = 0


class Ledger:
    """Takes events in the order in which they were sent."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.units = {unit.name: UnitState(unit) for unit in units}
        self.stages = {name: StageCount(name) for state in self.units.values() for name in state.unit.stages}

    def take(self, event: dict) -> None:
        """An event has unit, stage, host and what; what is begun, started, or how a stage ended, then with seconds."""
        state, host = self.units[event["unit"]], event["host"]
        if event["what"] == "begun":
            self._break_off(state)
            state.state, state.host, state.attempts = RUNNING, host, state.attempts + 1
            return
        count = self.stages[event["stage"]]
        if event["what"] == "started":
            state.stage = event["stage"]
            count.hosts += [] if host in count.hosts else [host]
            return
        setattr(count, event["what"], getattr(count, event["what"]) + 1)
        count.seconds += event["seconds"]
        state.stage = ""

    def close(self, unit: str, state: str) -> None:
        """The unit's last state. A stage that it had started and not ended was broken off."""
        self._break_off(self.units[unit])
        self.units[unit].state = state

    def _break_off(self, state: UnitState) -> None:
        if state.stage:
            self.stages[state.stage].broken_off += 1
            state.stage = ""

    def ended(self, state: str) -> list[Unit]:
        return [entry.unit for entry in self.units.values() if entry.state == state]
