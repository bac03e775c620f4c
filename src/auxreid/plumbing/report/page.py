"""The study as one page of HTML that asks no host for anything: pictures, style and the sorting are in it."""

import base64
import json
import mimetypes
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape

import pandas as pd

from auxreid.plumbing.report.paper_table import NO_VALUE, PaperTable
from auxreid.plumbing.report.study import DatasetPart, Picture, Study
from auxreid.plumbing.stage.record import Record

NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 84rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .3rem .45rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
thead th { vertical-align: bottom; max-width: 6.5rem; }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
tbody tr:hover { background: var(--soft); } td.best { font-weight: 700; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; margin-bottom: .4rem; }
img { max-width: 100%; height: auto; background: #fff; }
details { margin: .4rem 0; } summary { cursor: pointer; } code { font-size: 13px; overflow-wrap: anywhere; }
"""
SORTING = """
for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.parentElement, at = head.cellIndex, body = head.closest("table").tBodies[0];
  const up = head.getAttribute("aria-sort") === "descending";
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = row => row.cells[at].dataset.value;
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const by = head.classList.contains("number") ? x - y : x.localeCompare(y);
    return up ? by : -by;
  };
  body.append(...[...body.rows].sort(order));
});
"""


def study_page(study: Study) -> str:
    """The whole page."""
    finished = max((record.finished for record in study.records if record.finished), default=None)
    when = "" if finished is None else f", last result of {_day(finished)}"
    body = [f"<h1>auxreid: {_text(', '.join(part.name for part in study.parts))}</h1>"]
    body.append(f"<p>{len(study.records)} results{_text(when)}. A click on a heading sorts a table.</p>")
    body += [_part(part) for part in study.parts]
    body += [_origin(study.records)]
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{NOTHING_FROM_OUTSIDE}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>auxreid: the study</title><style>{STYLE}</style></head>"
    )
    return f"{head}\n<body>\n{''.join(body)}\n<script>{SORTING}</script>\n</body></html>\n"


def _part(part: DatasetPart) -> str:
    parts = [f"<h2>{_text(part.name)}</h2>"]
    if part.table is not None:
        parts += _with_notes(part.table)
    if part.controls is not None:
        parts += ["<h3>Rows beside their controls</h3>", *_with_notes(part.controls)]
    if part.costs is not None:
        parts += ["<h3>What rows cost</h3>", *_with_notes(part.costs)]
    if part.metric:
        parts.append("<h3>Metric rows</h3>")
        for table in part.metric:
            parts += _with_notes(table)
    parts += map(_figure, part.pictures)
    if part.lists:
        parts.append("<h3>Ranked lists</h3>")
        parts += (f"<details><summary>{_text(one.caption)}</summary>{_image(one)}</details>" for one in part.lists)
    parts.append("<h3>Parameters</h3>")
    for name, params in part.parameters.items():
        parts.append(f"<details><summary>{_text(name)}</summary>{_pairs(params)}</details>")
    return "\n".join(parts)


def _with_notes(table: PaperTable) -> list[str]:
    notes = "".join(f"<p>{_text(note)}</p>" for note in table.notes)
    return [f'<div class="wide">{_comparison(table)}</div>', notes]


def _comparison(table: PaperTable) -> str:
    """The table; each cell carries what it is sorted by, which is nothing where there is no figure."""
    sides = ["" if number < table.texts else ' class="number"' for number in range(len(table.cells.columns))]
    columns = zip(table.cells.columns, sides, strict=True)
    heads = "".join(f'<th{side} scope="col"><button>{_text(name)}</button></th>' for name, side in columns)
    rows = []
    for cells, best in zip(table.cells.itertuples(index=False), table.best.itertuples(index=False), strict=True):
        row = (
            _cell(cell, is_best, number >= table.texts)
            for number, (cell, is_best) in enumerate(zip(cells, best, strict=True))
        )
        rows.append(f"<tr>{''.join(row)}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(text: str, is_best: bool, is_number: bool) -> str:
    value = "" if text == NO_VALUE else _first_number(text) if is_number else text
    classes = " ".join(name for name, holds in (("number", is_number), ("best", is_best)) if holds)
    return f'<td class="{classes}" data-value="{_text(value)}">{_text(text)}</td>'


def _first_number(text: str) -> str:
    """What a cell with a deviation, an interval or a bound is sorted by."""
    return text.split(" ±")[0].split(" [")[0].split(" (")[0].split(",")[0].strip("[< ").lstrip("+")


def _figure(picture: Picture) -> str:
    return f"<figure><figcaption>{_text(picture.caption)}</figcaption>{_image(picture)}</figure>"


def _image(picture: Picture) -> str:
    kind = mimetypes.guess_type(picture.path.name)[0]
    content = base64.b64encode(picture.path.read_bytes()).decode()
    return f'<img alt="{_text(picture.caption)}" src="data:{kind};base64,{content}">'


def _pairs(values: Mapping[str, object]) -> str:
    rows = (
        f"<tr><td><code>{_text(name)}</code></td><td><code>{_text(_written(value))}</code></td></tr>"
        for name, value in sorted(values.items())
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin(records: Iterable[Record]) -> str:
    """Machines, versions and commits, each with the number of results that are of it; and what has not finished."""
    frame = pd.DataFrame(
        {
            "machine": _one_line(record.host),
            "versions": _one_line(record.versions),
            "commit": _one_line(record.git),
        }
        for record in records
    )
    parts = ["<h2>Where the results are from</h2>"]
    for name in frame:
        counts = frame[name].value_counts()
        lines = "".join(f"<li>{_text(text or 'not recorded')} ({count} results)</li>" for text, count in counts.items())
        parts.append(f"<h3>{name.capitalize()}</h3><ul>{lines}</ul>")
    if unfinished := [record for record in records if record.status != "finished"]:
        lines = "".join(f"<li>{_text(f'{one.stage} {one.key}: {one.status}')}</li>" for one in unfinished)
        parts.append(f"<h3>Not finished</h3><ul>{lines}</ul>")
    return "\n".join(parts)


def _one_line(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {_written(value)}" for name, value in sorted(values.items()))


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _text(text: str) -> str:
    return escape(text, quote=True)
