"""Rows beside their controls, read from results/compare/<data set>/controls.{csv,md} alone."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.report.markdown_tables import read_markdown_tables
from auxreid.plumbing.report.paper_table import COMPARISONS, PaperTable

WORDS = ("row", "control", "verdict")  # the other columns are numbers


def read_controls(dataset: str, root: Path = COMPARISONS) -> PaperTable | None:
    """The table of a data set; None where no row has controls.

    Raises:
        DataError: a file of the comparison is not there or broken.
    """
    path, remedy = root / dataset / "controls.md", f"make it with: dvc repro compare@{dataset}"
    tables = read_markdown_tables(dataset, path, WORDS, remedy)
    if not tables:
        return None
    try:
        frame = pd.read_csv(path.with_suffix(".csv"), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{path.with_suffix('.csv')}: no table ({error}); {remedy}") from None
    return replace(tables[-1], frame=frame)
