"""The rows of the one table that the benchmarks print, and whether what is asked of them is reached."""

import math
import resource
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

HEADINGS = ("measured", "reference", "reference's", "ours", "ratio", "asked", "reached", "remark")
WIDTH_IN_A_FILE = 300  # columns where there is no terminal: no cell is wrapped, so the table is valid markdown


@dataclass(frozen=True)
class Asked:
    """A bound on a figure: the least that it must be, or the most that it may be."""

    name: str
    figure: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def reached(self) -> bool:
        """False for a figure that is not a number, too."""
        return self.least <= self.figure <= self.most

    def __str__(self) -> str:
        bound = f"≥ {self.least:g}" if self.least > -math.inf else f"≤ {self.most:g}"
        return f"{self.name} {bound}"


@dataclass(frozen=True)
class Row:
    """What was measured and at what size, and the reference's figure and ours with their units."""

    measured: str
    reference: str
    reference_figure: str
    figure: str
    ratio: str
    asked: tuple[Asked, ...] = ()
    remark: str = ""

    @property
    def unreached(self) -> list[Asked]:
        return [one for one in self.asked if not one.reached]

    def cells(self) -> list[str]:
        """In the order of HEADINGS."""
        asked = "; ".join(map(str, self.asked)) or "-"
        reached = "-" if not self.asked else "no" if self.unreached else "yes"
        figures = (self.reference_figure, self.figure, self.ratio)
        return [self.measured, self.reference, *figures, asked, reached, self.remark]


def times(slow: float, fast: float) -> str:
    """The ratio of two durations as the table shows it."""
    return f"{slow / fast:.1f} x"


def used() -> float:
    """Core-seconds of all processes that were started here and have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def faults(rows: Iterable[Row]) -> list[str]:
    """Everything that was asked and is not reached, by name and with the figure found."""
    return [f"{row.measured}: asked is {one}, found {one.figure:.3g}" for row in rows for one in row.unreached]


def print_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """A table on stdout, in markdown's form."""
    table = Table(box=box.MARKDOWN)
    for heading in headings:
        table.add_column(heading)
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE).print(table)


def finish(rows: Sequence[Row], failed: Sequence[str] = ()) -> None:
    """Print the table of all rows, and leave with what `failed` and what was not reached, if anything.

    Raises:
        SystemExit: names each; the exit code is 1.
    """
    print_table(HEADINGS, [row.cells() for row in rows])
    wrong = [*failed, *faults(rows)]
    if wrong:
        raise SystemExit("\n".join(["not reached:", *wrong]))
