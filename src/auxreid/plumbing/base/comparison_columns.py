"""Columns of results/compare/<data set>/table.csv that are known by the beginning of their names."""

from collections.abc import Iterable

MINUS = "mAP_minus_"  # then the reference row


def difference_columns(columns: Iterable[str]) -> list[str]:
    """Those of the differences to a reference row, each of which has columns of its interval beside it."""
    there = list(columns)
    return [name for name in there if name.startswith(MINUS) and f"{name}_low" in there]
