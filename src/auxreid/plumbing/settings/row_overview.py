"""What each row says, side by side: params.yaml shows a row with all its keys, most of them without a value."""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from auxreid.plumbing.base.dotted import leaves
from auxreid.plumbing.settings.config import Config

HEADINGS = ("row", "form", "seeds", "says")
NOT_RUN = "-"


def row_lines(config: Config) -> Iterator[tuple[str, str, str, str]]:
    """Per row: its name, its form, the seeds that it runs with in the study, and its values."""
    for name, row in config.ablations.items():
        values = row.model_dump(mode="json", exclude_none=True, exclude={"form"})
        seeds = ", ".join(map(str, config.seeds(name))) if name in config.rows else NOT_RUN
        said = ", ".join(f"{key}: {_text(value)}" for key, value in leaves(values))
        yield name, row.form, seeds, said


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_rows(config: Config, console: Console | None = None) -> None:
    """A line per row, its values wrapped where the screen ends."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading != HEADINGS[-1])
    for line in row_lines(config):
        table.add_row(*line)
    (console or Console()).print(table, highlight=False, markup=False)
