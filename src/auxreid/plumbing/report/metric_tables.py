"""The tables of the metric rows of a data set, read from results/metric_table/<data set>/table.md alone."""

from pathlib import Path

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.report.markdown_tables import read_markdown_tables
from auxreid.plumbing.report.paper_table import PaperTable

METRIC_TABLES = Path("results/metric_table")
WORDS = ("row", "remark")  # the other columns are numbers


def read_metric_tables(dataset: str, root: Path = METRIC_TABLES) -> list[PaperTable]:
    """Each table of the file, the notes with the last one.

    Raises:
        DataError: the file is not there, or has no table.
    """
    path, remedy = root / dataset / "table.md", f"make it with: dvc repro metric_table@{dataset}"
    tables = read_markdown_tables(dataset, path, WORDS, remedy)
    if not tables:
        raise DataError(f"{path}: has no table; {remedy}")
    return tables
