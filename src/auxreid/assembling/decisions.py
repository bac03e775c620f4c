"""What a person decided, in terms of photographs: it holds however the proposals change.

A line of decisions.csv is an action on a photograph; lines of one step were made by one key and are undone together.

    confirm  the photograph is of the same dog as `other`, which may be itself: both were looked at
    merge    the same, of dogs that were proposed as two
    split    the photograph is not of the dog that `other` is of
    together those that were split off in one step are one dog, which is still to be looked at
    reject   the photograph is to be left out
    undo     the step that `other` names is taken back

Steps count in the order of their names, which begin with the time; the later one wins.
"""

import csv
import fcntl
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from auxreid.assembling.items import ID_LENGTH
from auxreid.data.tables import read_table
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import write_text

COLUMNS = ("step", "action", "photo", "other")
PAIRS = ("confirm", "merge", "split", "together")
ACTIONS = (*PAIRS, "reject", "undo")
PHOTO = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")


@dataclass(frozen=True)
class Decision:
    """A line."""

    step: str
    action: str
    photo: str
    other: str = ""


def read_decisions(folder: Path) -> list[Decision]:
    """The lines of decisions.csv and of what browsers saved beside it (`decisions (1).csv`), each once, in order.

    Raises:
        DataError: a table is broken; names the line.
    """
    lines: dict[Decision, None] = {}
    for path in sorted(folder.glob("decisions*.csv")):
        rows = read_table(path)
        if missing := [name for name in COLUMNS if name not in rows]:
            raise DataError(f"{path}: missing column {', '.join(missing)}; needed: {', '.join(COLUMNS)}")
        for line, row in zip(rows.index, rows[list(COLUMNS)].to_dict("records"), strict=True):
            one = Decision(**row)
            if fault := fault_of(one):
                raise DataError(f"{path}, line {line}: {fault}")
            lines[one] = None
    return sorted(lines, key=lambda one: one.step)


def fault_of(one: Decision) -> str | None:
    """What is wrong with a line; None if nothing is."""
    if one.action not in ACTIONS:
        return f"action {one.action!r}, allowed: {', '.join(ACTIONS)}"
    if not one.step:
        return "no step; any text is one, and lines of one step are undone together"
    if one.action == "undo":
        return None if one.other else "undo needs in `other` the step that it takes back"
    wrong = [text for text in (one.photo, *([one.other] if one.action in PAIRS else [])) if not PHOTO.fullmatch(text)]
    return f"{wrong[0]!r} is no photograph: {ID_LENGTH} digits 0-9, a-f are needed" if wrong else None


def standing(decisions: Iterable[Decision]) -> list[Decision]:
    """Those that were not taken back."""
    lines = list(decisions)
    undone = {one.other for one in lines if one.action == "undo"}
    return [one for one in lines if one.step not in undone and one.action != "undo"]


def as_text(decisions: Iterable[Decision]) -> str:
    """The file's content."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((one.step, one.action, one.photo, one.other) for one in decisions)
    return text.getvalue()


def add_decisions(path: Path, new: Sequence[Decision]) -> None:
    """Append lines to the file, all or none, also if the machine goes off; lines that it has are not added again."""
    with path.with_name(f".{path.stem}.lock").open("w") as lock:  # of another server on this folder
        fcntl.lockf(lock, fcntl.LOCK_EX)
        before = read_decisions_of(path)
        there = set(before)
        write_text(path, as_text([*before, *(one for one in new if one not in there)]))


def read_decisions_of(path: Path) -> list[Decision]:
    """The lines of one file, in its order."""
    if not path.is_file():
        return []
    rows = read_table(path)
    return [Decision(**row) for row in rows[list(COLUMNS)].to_dict("records")]


@dataclass
class Verdict:
    """What follows from decisions: photographs of one dog, which of them a person has seen through, pairs that are two
    dogs, and photographs left out.
    """

    group_of: dict[str, int] = field(default_factory=dict)
    members: dict[int, set[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    apart: set[frozenset[str]] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)

    @property
    def dogs(self) -> list[list[str]]:
        """Photographs of each, sorted."""
        return sorted(sorted(some) for some in self.members.values())

    def join(self, pairs: Sequence[tuple[str, str]], seen: bool = True) -> None:
        """Make each pair one dog, also where another step had set them apart, and take both back in."""
        for one, other in pairs:
            self.seen |= {one, other} if seen else set()
            self.rejected -= {one, other}
            groups = [self._group(one), self._group(other)]
            if groups[0] != groups[1]:
                moved = self.members.pop(groups[1])
                self.members[groups[0]] |= moved
                self.group_of |= dict.fromkeys(moved, groups[0])
            inside = self.members[groups[0]]
            self.apart = {pair for pair in self.apart if not pair <= inside}

    def split(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Take the first of each pair out of its dog, alone; it and the second are two dogs from now on."""
        moved = {one for one, _ in pairs}
        self.seen -= moved
        for photo in moved:
            group = self.group_of.pop(photo, None)
            if group is not None:
                self.members[group].discard(photo)
                if not self.members[group]:
                    del self.members[group]
        self.apart |= {frozenset(pair) for pair in pairs if pair[0] != pair[1]}

    def reject(self, photo: str) -> None:
        """Leave it out."""
        self.split([(photo, photo)])
        self.rejected.add(photo)

    def _group(self, photo: str) -> int:
        if photo not in self.group_of:
            number = max(self.members, default=-1) + 1
            self.group_of[photo], self.members[number] = number, {photo}
        return self.group_of[photo]


def verdict(decisions: Iterable[Decision]) -> Verdict:
    """Replay what stands, step by step."""
    result = Verdict()
    for _, lines in groupby(standing(decisions), key=lambda one: one.step):
        for action, some in groupby(lines, key=lambda one: one.action):
            pairs = [(one.photo, one.other) for one in some]
            if action == "split":
                result.split(pairs)
            elif action == "reject":
                for photo, _ in pairs:
                    result.reject(photo)
            else:
                result.join(pairs, seen=action != "together")
    return result
