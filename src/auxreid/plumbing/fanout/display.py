"""The tables of a fan-out: its units while they run (a line per event off a terminal), and its stages at the end."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from auxreid.plumbing.fanout.ledger import DONE, FAILED, NOT_RUN, OPEN, RUNNING, SENT, Ledger

COLOURS = {RUNNING: "cyan", FAILED: "red", NOT_RUN: "yellow", SENT: "white", OPEN: "white", DONE: "green"}


class Display:
    """Shows a ledger until the block ends."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.started = ledger, time.monotonic()
        self.console = Console(width=None if sys.stdout.isatty() else 160)
        self.live = Live(console=self.console, get_renderable=self._units) if self.console.is_terminal else None

    def __enter__(self) -> "Display":
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def event(self, event: dict) -> None:
        """What a node sent; the ledger has taken it already."""
        place = f"{event['host']} (node {event['node']}, process {event['pid']})"
        attempts = self.ledger.units[event["unit"]].attempts
        if event["what"] == "started":
            self._line(f"{event['stage']}: started on {place}")
        elif event["what"] != "begun":
            self._line(f"{event['stage']}: {event['what']}, {event['seconds']:.0f} s")
        elif attempts > 1:
            self._line(f"{event['unit']}: attempt {attempts} on {place}")

    def closed(self, unit: str) -> None:
        """A unit that has come to its end."""
        self._line(f"{unit}: {self.ledger.units[unit].state}")

    def _line(self, text: str) -> None:
        """A line of progress; a terminal has the table for it."""
        if not self.live:
            print(f"[{self._progress()}] {text}", flush=True)

    def note(self, text: str) -> None:
        """What must be read, above the table where there is one."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _progress(self) -> str:
        done = len(self.ledger.ended(DONE))
        return f"{done} of {len(self.ledger.units)} tasks done, {time.monotonic() - self.started:.0f} s"

    def _units(self) -> Table:
        """What needs attention first: a long table is cut off at the end of the screen."""
        table = Table("task", "state", "stage", "host", "attempts", title=self._progress())
        for name, state in sorted(self.ledger.units.items(), key=lambda item: list(COLOURS).index(item[1].state)):
            shown = f"[{COLOURS[state.state]}]{state.state}[/]"
            table.add_row(name, shown, state.stage.partition("@")[0], state.host, str(state.attempts or ""))
        return table

    def stages(self) -> None:
        """The executions of every stage."""
        table = Table("stage", "host", "ran", "restored", "failed", "broken off", "seconds")
        for count in self.ledger.stages.values():
            numbers = (count.ran, count.restored, count.failed, count.broken_off)
            shown = (str(number or "") for number in numbers)
            table.add_row(count.stage, " ".join(count.hosts), *shown, f"{count.seconds:.0f}" if any(numbers) else "")
        self.console.print(table)
