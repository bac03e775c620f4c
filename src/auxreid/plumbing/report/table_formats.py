"""A table of a paper as LaTeX, Markdown, CSV or plain text."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.report.paper_table import PaperTable

Format = Literal["latex", "csv", "markdown", "text"]
SUFFIXES: dict[str, Format] = {".tex": "latex", ".csv": "csv", ".md": "markdown", ".txt": "text"}
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "<": "$<$",
    ">": "$>$",
} | {character: f"\\{character}" for character in "&%$#_{}"}
NUMBER = re.compile(r"(?<![\w.])([-+])(\d+\.?\d*)")  # with a sign, which is a hyphen outside of formulas
# The rules of booktabs where the document loads it, else LaTeX's own lines.
RULES = "".join(rf"\providecommand{{\{name}}}{{\hline}}" for name in ("toprule", "midrule", "bottomrule"))


def format_tables(tables: Sequence[PaperTable], form: Format) -> str:
    """The tables as one text that ends in a line end."""
    if form == "csv":
        return _csv(tables)
    render: dict[str, Callable[[PaperTable], str]] = {"latex": _latex, "markdown": _markdown, "text": _text}
    return "\n".join(render[form](table) for table in tables)


def format_of(path: Path) -> Format:
    """The format that a file's name asks for.

    Raises:
        ConfigError: it asks for none.
    """
    if path.suffix.lower() not in SUFFIXES:
        allowed = f"{', '.join(SUFFIXES)}, or --format {', '.join(get_args(Format))}"
        raise ConfigError(f"{path.name}: its ending names no format; allowed: {allowed}")
    return SUFFIXES[path.suffix.lower()]


def _csv(tables: Sequence[PaperTable]) -> str:
    """The figures themselves, for programs: per cent, empty where unknown."""
    frames = [table.frame.assign(data_set=table.dataset) for table in tables]
    everything = pd.concat(frames, ignore_index=True)
    columns = ["data_set", *(name for name in everything if name != "data_set")]
    return everything[columns].to_csv(index=False, lineterminator="\n")


def _latex(table: PaperTable) -> str:
    sides = "l" * table.texts + "r" * (len(table.cells.columns) - table.texts)
    lines = [" & ".join(map(latex_text, row)) + r" \\" for row in _marked(table, r"\textbf{%s}", latex_text)]
    heading = " & ".join(map(latex_text, table.cells.columns)) + r" \\"
    rows = [r"\toprule", heading, r"\midrule", *lines, r"\bottomrule"]
    caption = latex_text(f"{table.dataset}. {_caption(table)}")
    label = table.dataset.replace("_", "-")
    remarks = [f"% {note}" for note in table.notes[1:]]
    body = [RULES, r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{sides}}}", *rows, r"\end{tabular}"]
    return "\n".join([*remarks, *body, rf"\caption{{{caption}}}", rf"\label{{tab:{label}}}", r"\end{table}", ""])


def _caption(table: PaperTable) -> str:
    return f"{table.notes[0]} Best in bold." if table.best.to_numpy().any() else table.notes[0]


class _Ready(str):
    """Text that is LaTeX already."""


def latex_text(text: str) -> str:
    """Text as LaTeX prints it, whatever characters it holds of LaTeX's own."""
    if isinstance(text, _Ready):
        return text
    escaped = "".join(LATEX_SPECIAL.get(character, character) for character in text)
    return NUMBER.sub(r"$\1\2$", escaped)


def _marked(table: PaperTable, bold: str, text: Callable[[str], str]) -> list[list[str]]:
    """The cells of each row; the best of a column in bold."""
    pairs = zip(table.cells.itertuples(index=False), table.best.itertuples(index=False), strict=True)
    return [
        [_Ready(bold % text(cell)) if best else cell for cell, best in zip(cells, marks, strict=True)]
        for cells, marks in pairs
    ]


def _markdown(table: PaperTable) -> str:
    marked = pd.DataFrame(_marked(table, "**%s**", str), columns=table.cells.columns)
    sides = ["left"] * table.texts + ["right"] * (len(marked.columns) - table.texts)
    text = marked.to_markdown(index=False, colalign=sides, disable_numparse=True)
    remarks = "".join(f"- {note}\n" for note in table.notes[1:])
    return f"# {table.dataset}\n\n{text}\n\n{_caption(table)}\n" + (f"\n{remarks}" if remarks else "")


def _text(table: PaperTable) -> str:
    """Columns of equal width, for a terminal or a mail."""
    widths = [max(map(len, [heading, *table.cells[heading]])) for heading in table.cells]
    lines = [list(table.cells.columns), ["-" * width for width in widths], *table.cells.to_numpy().tolist()]
    padded = (
        "  ".join(
            cell.ljust(width) if column < table.texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
    return "\n".join([table.dataset, "", *padded, "", *table.notes, ""])
