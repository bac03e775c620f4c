"""The tables of the metric rows of a data set, read from results/metric_table/<data set>/table.md alone."""

from pathlib import Path

import pandas as pd

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.report.paper_table import PaperTable

METRIC_TABLES = Path("results/metric_table")
WORDS = ("row", "remark")  # the other columns are numbers


def read_metric_tables(dataset: str, root: Path = METRIC_TABLES) -> list[PaperTable]:
    """Each table of the file, the notes with the last one.

    Raises:
        DataError: the file is not there, or has no table.
    """
    path, remedy = root / dataset / "table.md", f"make it with: dvc repro metric_table@{dataset}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {remedy}") from None
    blocks: list[list[list[str]]] = [[]]
    for line in lines:
        if line.startswith("| "):
            blocks[-1].append(line[2:-2].split(" | "))
        elif blocks[-1]:
            blocks.append([])
    notes = tuple(line.removeprefix("- ") for line in lines if line.startswith("- "))
    tables = [_table(dataset, block) for block in blocks if block]
    if not tables:
        raise DataError(f"{path}: has no table; {remedy}")
    return [*tables[:-1], PaperTable(**vars(tables[-1]) | {"notes": notes})]


def _table(dataset: str, block: list[list[str]]) -> PaperTable:
    """Of the heading, the sides and the rows of a table in Markdown; words come first."""
    heading, _, *rows = block
    cells = pd.DataFrame(rows, columns=heading)
    words = [name for name in WORDS if name in heading]
    cells = cells[[*words, *(name for name in heading if name not in words)]]
    return PaperTable(dataset, cells, cells, cells.map(lambda _: False), len(words), ())
