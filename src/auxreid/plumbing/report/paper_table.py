"""The comparison of a data set as a table for a paper, made from results/compare/<data set>/table.csv alone."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from auxreid.plumbing.base.comparison_columns import MINUS, difference_columns
from auxreid.plumbing.base.errors import DataError

COMPARISONS = Path("results/compare")
WITH_DEVIATION = ("mAP", "CMC_1")  # the others' deviations are in the CSV: a page is narrow
OTHERS = ("CMC_5", "CMC_10", "mINP", "reranked_mAP", "reranked_CMC_1")
HEADINGS = {"reranked_mAP": "re-ranked mAP", "reranked_CMC_1": "re-ranked CMC@1"}
SEEDS = "seeds"
PREDICTED = "predicted"  # what models of other data sets told a row; a column where they told any
THESIS = {"thesis_mAP": "thesis's mAP", "thesis_CMC_1": "thesis's CMC@1"}
THESIS_PREFIX = "thesis_"
NO_VALUE = "-"
NOTE = "Per cent. Mean and, where a row has several seeds, sample standard deviation over seeds."


@dataclass(frozen=True)
class PaperTable:
    """Cells as text, and which of them are the best of their column."""

    dataset: str
    frame: pd.DataFrame  # the figures themselves, as table.csv has them
    cells: pd.DataFrame  # text; its columns are the headings
    best: pd.DataFrame  # bool, of the same shape
    texts: int  # so many columns at the left are words, the others numbers
    notes: tuple[str, ...]


def read_paper_table(dataset: str, level: float, thesis: bool = False, root: Path = COMPARISONS) -> PaperTable:
    """The table of a data set.

    Args:
        level: of the intervals, as params.yaml has it.
        thesis: with the thesis's own figures.

    Raises:
        DataError: the comparison is not there or broken, or `thesis` is asked for where it has no figures.
    """
    path = root / dataset / "table.csv"
    frame = _read(path, dataset)
    known = [name for name in frame.columns if name.startswith(THESIS_PREFIX)]
    if thesis and not known:
        raise DataError(f"{path}: no figures of the thesis, which are those of Market-1501; leave out --thesis")
    if not thesis:
        frame = frame.drop(columns=known)
    cells, best = _cells(frame, level), {}
    for heading in cells:
        values = frame.get(_metric(heading))
        best[heading] = _is_best(cells[heading], values)
    notes = (NOTE, *(f"{row}: {text}" for row, text in zip(frame["row"], frame["remark"], strict=True) if text))
    words = 3 if PREDICTED in cells else 2
    return PaperTable(dataset, frame, cells, pd.DataFrame(best), words, notes)


def _read(path: Path, dataset: str) -> pd.DataFrame:
    remedy = f"make it with: dvc repro compare@{dataset}"
    try:
        frame = pd.read_csv(path, dtype={"row": str, "form": str, "remark": str}, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {remedy}") from None
    except ValueError as error:  # pandas's errors of parsing and of decoding are such
        raise DataError(f"{path}: not a table ({' '.join(str(error).split())}); {remedy}") from None
    if missing := [name for name in ("row", "form", SEEDS, "mAP", "remark") if name not in frame]:
        raise DataError(f"{path}: has no column {', '.join(missing)}; {remedy}")
    texts = {name: frame[name].fillna("") for name in ("row", "form", "remark")}
    counts = {name: frame[name].astype("Int64") for name in frame if name.endswith(SEEDS)}
    return frame.assign(**texts, **counts)


def _cells(frame: pd.DataFrame, level: float) -> pd.DataFrame:
    """The columns that are shown, each cell as text."""
    seeds = frame[SEEDS].map(lambda count: str(count) if count else NO_VALUE)
    columns = {"row": frame["row"], "form": frame["form"].replace("", NO_VALUE)}
    if PREDICTED in frame:
        columns[PREDICTED] = frame[PREDICTED].fillna("").replace("", NO_VALUE)
    columns[SEEDS] = seeds
    interval = f"{100 * level:g} % interval"
    for metric in (name for name in WITH_DEVIATION if name in frame):
        columns[_heading(metric)] = _with_deviation(frame, metric)
        if metric == "mAP":
            columns[f"{interval} of mAP"] = _interval(frame, metric, "")
    columns |= {_heading(metric): _numbers(frame[metric]) for metric in OTHERS if metric in frame}
    for name in (name for name in difference_columns(frame) if frame[name].dtype == float):
        columns[f"mAP - {name.removeprefix(MINUS)}"] = _numbers(frame[name], "+")
        columns[f"{interval} of it"] = _interval(frame, name, "+")
    if "p_holm" in frame:
        columns["p (Holm)"] = frame["p_holm"].map(_p_value)
    columns |= {heading: _numbers(frame[name]) for name, heading in THESIS.items() if name in frame}
    shown = pd.DataFrame(columns)
    words = ["row", "form", PREDICTED, SEEDS]
    return shown[[name for name in shown if name in words or (shown[name] != NO_VALUE).any()]]


def _heading(metric: str) -> str:
    return HEADINGS.get(metric, metric.replace("_", "@"))


def _metric(heading: str) -> str:
    """The column of the CSV whose best row is marked under a heading; of other headings, nothing that there is."""
    names = {_heading(name): name for name in (*WITH_DEVIATION, *OTHERS)}
    return names.get(heading, "")


def _is_best(cells: pd.Series, values: pd.Series | None) -> pd.Series:
    """Rows that show the largest figure; those that cannot be told apart by what is shown are all best."""
    if values is None or values.notna().sum() < 2:
        return pd.Series(False, cells.index)
    return values.round(1) == round(values.max(), 1)


def _numbers(values: pd.Series, sign: str = "") -> pd.Series:
    return values.map(lambda value: NO_VALUE if pd.isna(value) else f"{value:{sign}z.1f}")


def _with_deviation(frame: pd.DataFrame, metric: str) -> pd.Series:
    deviations = frame.get(f"{metric}_std", pd.Series(float("nan"), frame.index))
    added = deviations.map(lambda value: "" if pd.isna(value) else f" ± {value:.1f}")
    return _numbers(frame[metric]) + added


def _interval(frame: pd.DataFrame, name: str, sign: str) -> pd.Series:
    bounds = zip(_numbers(frame[f"{name}_low"], sign), _numbers(frame[f"{name}_high"], sign), strict=True)
    return pd.Series([NO_VALUE if NO_VALUE in pair else f"[{', '.join(pair)}]" for pair in bounds], frame.index)


def _p_value(value: float) -> str:
    if pd.isna(value):
        return NO_VALUE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
