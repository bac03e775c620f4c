"""How tables of figures with intervals are written, for programs and for people: what the metric and the search table
have in common."""

from collections.abc import Collection, Mapping

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from auxreid.metric.results import Figure

NO_VALUE = "-"


def percent_columns(figures: Mapping[str, Figure | None]) -> dict[str, float | None]:
    """Each figure and its bounds in per cent, by "<name>", "<name>_low" and "<name>_high"; None where unknown."""
    found = {}
    for name, figure in figures.items():
        parts = (None, None, None) if figure is None else (figure.value, figure.low, figure.high)
        for end, value in zip(("", "_low", "_high"), parts, strict=True):
            found[f"{name}{end}"] = None if value is None else 100 * value
    return found


def csv_text(table: pd.DataFrame) -> str:
    """Two decimals, no minus before a zero."""
    return table.round(2).replace({-0.0: 0.0}).to_csv(index=False, lineterminator="\n")


def with_interval(figure: Figure | None, style: str) -> str:
    """Per cent in this style, and the interval in brackets."""
    if figure is None:
        return NO_VALUE
    value, low, high = (format(100 * part, style) for part in (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]"


def markdown(cells: pd.DataFrame, words: Collection[str]) -> str:
    """Columns of words to the left, of numbers to the right."""
    sides = [":--" if name in words else "--:" for name in cells.columns]
    lines = [" | ".join(line) for line in (cells.columns, sides, *cells.itertuples(index=False))]
    return "\n".join(f"| {line} |" for line in lines)


def console_table(title: str, cells: pd.DataFrame, words: Collection[str]) -> Table:
    """The same for a terminal."""
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in cells.columns:
        table.add_column(heading, justify="left" if heading in words else "right", no_wrap=True)
    for line in cells.itertuples(index=False):
        table.add_row(*line)
    return table
