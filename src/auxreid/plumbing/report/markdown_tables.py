"""Tables that a stage has written as Markdown, for the page of the study."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.report.paper_table import PaperTable


def read_markdown_tables(dataset: str, path: Path, words: Sequence[str], remedy: str) -> list[PaperTable]:
    """Each table of a file, none of an empty one; its notes, which are a list in it, with the last one.

    Args:
        words: columns that come first, and are no numbers.
        remedy: what makes the file.

    Raises:
        DataError: the file is not there, or has no table and is not empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {remedy}") from None
    blocks: list[list[list[str]]] = [[]]
    for line in lines:
        if line.startswith("|"):
            blocks[-1].append([cell.strip() for cell in line[1:-1].split("|")])
        elif blocks[-1]:
            blocks.append([])
    notes = tuple(line.removeprefix("- ") for line in lines if line.startswith("- "))
    tables = [_table(dataset, block, words) for block in blocks if block]
    if lines and not tables:
        raise DataError(f"{path}: has no table; {remedy}")
    return [*tables[:-1], PaperTable(**vars(tables[-1]) | {"notes": notes})] if tables else []


def _table(dataset: str, block: list[list[str]], words: Sequence[str]) -> PaperTable:
    """Of the heading, the sides and the rows of a table in Markdown."""
    heading, _, *rows = block
    cells = pd.DataFrame(rows, columns=heading)
    first = [name for name in words if name in heading]
    cells = cells[[*first, *(name for name in heading if name not in first)]]
    return PaperTable(dataset, cells, cells, cells.map(lambda _: False), len(first), ())
