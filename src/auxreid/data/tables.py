"""Tables that users bring: CSV as spreadsheets and programs write it, read by pandas without changing a value."""

import codecs
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.few import few

SEPARATORS = (",", ";", "\t")
REMEDY = "save the table as 'CSV UTF-8'"
WORKBOOK = b"PK\x03\x04"


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file as text [rows, columns], indexed by the line on which each row begins.

    Cells are stripped of blanks and in Unicode's composed form (NFC). Separators are commas, semicolons or tabs, the
    text is UTF-8, or UTF-16 with its mark; blank rows and empty cells beyond the header are passed over.

    Raises:
        DataError: no such file, no header, another encoding, a quote without a partner, or a row of another length
            than the header.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    text = _decoded(path).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"\Asep=.(?=\n)", "", text)  # a first line that is for Excel alone
    header = next((line for line in text.split("\n") if line.strip("".join(SEPARATORS) + " ")), None)
    if header is None:
        raise DataError(f"{path}: the first line must name each column once, found an empty file")
    separator = max(SEPARATORS, key=header.count)
    quoted = _quoted(separator)
    _check_quotes(path, text, quoted, separator, header.count(separator))
    widest = max(line.count(separator) for line in quoted.sub("", text).split("\n")) + 1
    return _under_header(path, _by_line(_cells(path, text, separator, widest)))


def _cells(path: Path, text: str, separator: str, width: int) -> pd.DataFrame:
    """All cells as they are written; missing where a row is shorter."""
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None,
            names=range(width),
            index_col=False,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            engine="python",
        )
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: not a table in CSV ({error})") from None


def renamed(path: Path, rows: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The table with its columns under our names: `columns` has the table's name of each that it calls otherwise.

    Raises:
        DataError: the table has no such column, or has one under our name beside it.
    """
    header = ", ".join(rows)
    for ours, theirs in columns.items():
        if theirs not in rows:
            raise DataError(f"{path}: missing column {theirs}, which `columns` takes as {ours}, found: {header}")
        if ours in rows and ours not in columns.values():
            raise DataError(f"{path}: has a column {ours} beside {theirs}, which `columns` takes as {ours}")
    return rows.rename(columns={theirs: ours for ours, theirs in columns.items()})


def look_alikes(header: Iterable[str], wanted: str, other_names: Iterable[str] = ()) -> str:
    """The end of a message: which columns may have been meant as `wanted`, which is not there; empty if none."""
    names = {_plain(name) for name in (wanted, *other_names)}
    found = [name for name in header if _plain(name) in names]
    return f"; if {' or '.join(map(repr, found))} is meant, call it {wanted}" if found else ""


def column_notes(header: Sequence[str], known: Iterable[str], other_names: Mapping[str, Iterable[str]]) -> list[str]:
    """Which columns are not read, and which of them may have been meant as one that is not there."""
    known = list(known)
    unknown = [name for name in header if name not in known]
    meant = {name: look_alikes(unknown, name, other_names.get(name, ())) for name in known if name not in header}
    notes = [f"columns that are not read: {few(unknown)}"] if unknown else []
    return notes + [f"no column {name}{found}" for name, found in meant.items() if found]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if content.startswith(WORKBOOK):
        raise DataError(f"{path}: a workbook (or another zip file), not CSV text; {REMEDY}")
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(_wrong_encoding(path, content, error)) from None
    if "\0" in text:
        raise DataError(f"{path}: holds zero bytes, as UTF-16 without its mark does; {REMEDY}")
    return text


def _wrong_encoding(path: Path, content: bytes, error: UnicodeDecodeError) -> str:
    """Which bytes mean which letters cannot be known, so the first such line is shown in two code pages."""
    line = content.count(b"\n", 0, error.start) + 1
    broken = content.splitlines()[line - 1].strip()
    readings = (f"in code page {page} it reads {broken.decode(f'cp{page}', 'replace')!r}" for page in (1251, 1252))
    return (
        f"{path}, line {line}: not {error.encoding.upper()} text; {', '.join(readings)}; {REMEDY}, or convert it, for "
        f"instance by `iconv -f CP1251 -t UTF-8 {path.name}`"
    )


def _quoted(separator: str) -> re.Pattern:
    """A whole cell in quotes, within which a quote is doubled."""
    return re.compile(rf'(?:(?<=[{separator}\n])|\A) *+"(?:[^"]|"")*+"(?=[{separator}\n]|\Z)')


def _check_quotes(path: Path, text: str, quoted: re.Pattern, separator: str, width: int) -> None:
    """Every quote must belong to a quoted cell, and no such cell may have swallowed rows.

    One has if several of the lines that it lies on are as wide as the header: a remark over several lines is not.
    """
    lines = text.split("\n")
    for match in re.finditer(f'(?P<cell>{quoted.pattern})|"', text):
        if match["cell"] and "\n" not in match["cell"]:
            continue
        first = text.count("\n", 0, match.start())
        whole = [line for line in lines[first : first + match[0].count("\n") + 1] if line.count(separator) >= width]
        if match["cell"] is None or len(whole) > 1:
            what = "takes in the rows below it" if match["cell"] else "is not one of two around a whole cell"
            raise DataError(
                f"{path}, line {first + 1}: a quote {what}: {lines[first].strip()[:80]}; remove it, or put the whole "
                'cell in quotes and double those inside ("")'
            )


def _by_line(cells: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not blank, under the number of their first line; cells that are not there stay missing."""
    breaks = cells.apply(lambda column: column.str.count("\n")).fillna(0).sum(axis=1).astype(int)
    cells.index = 1 + pd.RangeIndex(len(cells)) + breaks.cumsum().shift(fill_value=0)
    cells.index.name = "line"
    cells = cells.apply(lambda column: column.str.strip().str.normalize("NFC"))
    return cells[cells.fillna("").ne("").any(axis=1)]


def _under_header(path: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """The rows below the first, which names the columns; one that has values and no name is called by its number."""
    names, rows = cells.iloc[0].fillna(""), cells.iloc[1:]
    filled = rows.fillna("").ne("")
    width = 1 + max(column for column in cells if names[column])
    wrong = rows[filled.loc[:, width:].any(axis=1) | rows.loc[:, : width - 1].isna().any(axis=1)]
    if len(wrong):
        more = f" (wrong too: lines {few([str(line) for line in wrong.index[1:]])})" if len(wrong) > 1 else ""
        found = int(wrong.iloc[0].notna().sum())
        raise DataError(f"{path}, line {wrong.index[0]}: {found} cells, the header has {width}{more}")
    used = [column for column in range(width) if names[column] or filled[column].any()]
    header = [names[column] or f"(column {column + 1})" for column in used]
    if len(set(header)) < len(header):
        raise DataError(f"{path}: the first line must name each column once, found {', '.join(header)}")
    return rows[used].set_axis(header, axis=1)
