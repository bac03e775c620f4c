"""An answer for people at a terminal, and as a picture."""

import io
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from auxreid.data.captions import fitted
from auxreid.data.decoding import decode
from auxreid.evaluation.ranked_lists import CAPTION_WIDTH, Entry, draw_lists
from auxreid.lostpets.answer import Answer, Filter, Found
from auxreid.lostpets.explain import in_words, told
from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.files import finished_file

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
DRAWN = 10  # dogs in a picture
LETTERS = 34  # in a line below one
DECISIONS = {
    "match": "match: one of these is very likely the dog",
    "possible": "possible: the first may be the dog",
    "no match": "no match: none of these is likely the dog",
}
LACKING = {"date": "no date", "place": "no place"}
FILTERS = {"near": "place", "since": "date from", "until": "date until", "kind": "kind of record"}


def print_answer(answer: Answer, language: str) -> None:
    """The ranked dogs as a table, then what was decided, understood and searched."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, table = Console(), Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, side in (("", "right"), ("dog", "left"), ("score", "right"), ("decision", "left"), ("of", "left")):
        table.add_column(heading, justify=side, no_wrap=True)
    table.add_column("why")
    for number, dog in enumerate(answer.dogs, start=1):
        why = in_words(dog.terms, language)
        cells = str(number), dog.dog, f"{dog.score:+.1f}", dog.decision, where_and_when(dog), why
        table.add_row(*map(escape, cells))
    if answer.dogs:
        console.print(table)
    for line in lines(answer):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def lines(answer: Answer) -> list[str]:
    """What was decided, how a description was understood, and what was searched."""
    found = [DECISIONS[answer.decision]]
    for one in answer.understood:
        taken = f"{one.attribute}: {'not ' if one.negated else ''}{' or '.join(one.words)}" if one.words else ""
        found.append(f'"{one.text}": {"; ".join(filter(None, [taken, one.note])) or "not understood"}')
    found += [filter_line(one) for one in answer.filters]
    how = "" if answer.exact else ", chosen by an approximate index"
    return [*found, f"searched: {answer.searched} photographs of {answer.searched_dogs} dogs{how}"]


def filter_line(one: Filter) -> str:
    """What a fact has done to the records."""
    kept = f", {one.lacking} of them without it" if one.lacking else ""
    return f"{FILTERS[one.name]}: {one.after} of {one.before} photographs stay{kept}"


def where_and_when(dog: Found) -> str:
    """Of a dog's best photograph, as far as it is known."""
    place = dog.place.name if dog.place is not None else ""
    parts = [str(dog.date or ""), place, "" if dog.km is None else f"{dog.km:g} km"]
    return ", ".join([part for part in parts if part] + [LACKING[name] for name in dog.lacks])


def check_format(path: Path) -> str:
    """The format of a picture, by its name's end. Raises ConfigError for one that is not written."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: a picture is written as {' or '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def draw_answer(
    answer: Answer,
    photos: Sequence[np.ndarray],
    thumbnail: Callable[[str], bytes | None],
    path: Path,
    language: str,
) -> None:
    """The query's photographs and the first dogs, each with what speaks for and against it.

    Raises:
        ConfigError: as :func:`check_format`.
    """
    format_ = check_format(path)
    dogs = answer.dogs[:DRAWN]
    images = [*photos[:1], *(_decoded(thumbnail(dog.photo)) for dog in dogs)]
    head = [Entry(0, "query" if len(photos) == 1 else f"query, of {len(photos)} photographs", is_true=None)]
    first = len(photos[:1])
    cells = [Entry(first + place, _caption(dog, place + 1, language), is_true=None) for place, dog in enumerate(dogs)]
    picture = draw_lists([head[:first] + cells], images.__getitem__, [DECISIONS[answer.decision]])
    buffer = io.BytesIO()
    picture.save(buffer, format_)
    with finished_file(path) as unfinished:
        unfinished.write_bytes(buffer.getvalue())


def _caption(dog: Found, place: int, language: str) -> str:
    why = [line for one in told(dog.terms, language) for line in textwrap.wrap(one, LETTERS)]
    name = fitted(dog.dog, CAPTION_WIDTH)
    return "\n".join([f"{place}. {name}", f"{dog.decision} {dog.score:+.1f}", where_and_when(dog) or " ", *why])


def _decoded(content: bytes | None) -> np.ndarray:
    pixels = None if content is None else decode(content)
    return np.full((96, 96, 3), 200, np.uint8) if pixels is None else pixels
