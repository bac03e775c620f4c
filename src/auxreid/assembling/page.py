"""The review as one page of HTML, which asks no host for anything; its pictures lie beside it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from html import escape
from pathlib import Path

import numpy as np

from auxreid.assembling.dataset import file_name
from auxreid.assembling.decisions import Decision
from auxreid.assembling.report import Found
from auxreid.assembling.run import Assembly
from auxreid.assembling.workplace import Workplace, write_if_new

NEIGHBOURS = 24  # of each photograph in other dogs, by which the page finds dogs that look like one
HERE = Path(__file__).parent
# Pictures are of this folder: a page that is opened as a file has no origin of its own.
RULES = (
    "default-src 'none'; img-src 'self' file: data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'"
)


def page_data(assembly: Assembly, title: str) -> dict[str, object]:
    """What the page shows: the most urgent dogs first, and of each photograph the nearest ones in other dogs."""
    found = assembly.found
    photos = list(found.items)
    number_of = {photo: number for number, photo in enumerate(photos)}
    dog_of = {photo: dog for dog, one in found.dogs.items() for photo in one.photos}
    order = sorted(found.dogs, key=lambda dog: (-found.dogs[dog].urgency, dog))
    sequences = {name: number for number, name in enumerate(dict.fromkeys(found.sequences.values()))}
    shown = [photo for photo in photos if photo in dog_of]
    return {
        "title": title,
        "key": found.key,
        "applied": sorted({one.step for one in assembly.decisions}),
        "photos": [_photo(photo, found, sequences) for photo in photos],
        "near": _near([number_of[photo] for photo in shown], [dog_of[photo] for photo in shown], assembly.alike),
        "dogs": [
            {
                "id": dog,
                "photos": [number_of[photo] for photo in sorted(found.dogs[dog].photos, key=number_of.get)],
                "doubt": found.dogs[dog].doubt,
                "seen": len(found.dogs[dog].seen) == len(found.dogs[dog].photos),
                "new": bool(found.dogs[dog].seen) and len(found.dogs[dog].seen) < len(found.dogs[dog].photos),
                "two": dog in found.two_looks,
            }
            for dog in order
        ],
    }


def _photo(photo: str, found: Found, sequences: Mapping[str, int]) -> list[object]:
    """Its name by content, what a person knows it by, what is to be looked at, its sequence's number, and its copy."""
    item = found.items[photo]
    lists = {"blurred": found.blurred, "no dog?": found.no_dog, "several dogs?": found.several_dogs}
    flags = ", ".join(what for what, some in lists.items() if photo in some)
    return [photo, item.name, flags, sequences[found.sequences[photo]], file_name(item)]


def _near(numbers: Sequence[int], dogs: Sequence[str], alike: np.ndarray) -> dict[int, list[tuple[int, float]]]:
    names = np.array(dogs)
    found = {}
    for number, dog in zip(numbers, dogs, strict=True):
        values = np.where(names == dog, -np.inf, alike[number, list(numbers)])
        best = np.argsort(-values, kind="stable")[:NEIGHBOURS]
        found[number] = [(numbers[at], round(float(values[at]), 2)) for at in best if np.isfinite(values[at])]
    return found


def write_page(assembly: Assembly, out: Path) -> None:
    """`out`/review.html."""
    work = Workplace(out)
    write_if_new(work.page, page_text(page_data(assembly, out.name), assembly.decisions))


def page_text(data: dict[str, object], decisions: Sequence[Decision], token: str = "") -> str:
    """The page.

    Args:
        decisions: all that are in the files now.
        token: of the server that takes decisions; empty for a page that is opened as a file.
    """
    whole = data | {"decisions": [astuple(one) for one in decisions], "token": token}
    content = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    text = (HERE / "review.html").read_text(encoding="utf-8")
    parts = {
        "{rules}": RULES,
        "{title}": escape(str(data["title"])),
        "/*{style}*/": (HERE / "review.css").read_text(encoding="utf-8"),
        "/*{script}*/": (HERE / "review.js").read_text(encoding="utf-8"),
        "{data}": content,
    }
    marks = "|".join(map(re.escape, parts))
    return re.sub(marks, lambda found: parts[found[0]], text)  # at once: a folder may be called {data}
