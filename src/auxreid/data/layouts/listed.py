"""The layouts `dogs` and `csv`: a folder of images and a table, one line per image.

Only the column `path` is needed. `identity` (of dogs: `dog_id`) names the individual (empty: unknown), `camera` where
it was taken from, `sequence` the clip that the frame is from (a name used for one clip only), `date` and `place` where
and when; `split` and attributes may be there as well: those of the vocabulary that the data set names, else dogs' in
the protocol `dogs`, and people's in the others. Images of unknown individuals serve attribute training.

In the protocol `dogs` an individual asks with one sequence to be found by another; in `market1501`, with one camera.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from unicodedata import normalize

from auxreid.data.layouts.listing import (
    IMAGE_SUFFIXES,
    NOT_AN_IMAGE,
    Fault,
    LeftOut,
    Listing,
    Source,
    check_words,
    is_litter,
)
from auxreid.data.splits import deal, linked_groups
from auxreid.data.tables import column_notes, look_alikes, read_table, renamed
from auxreid.data.vocabulary import DOG_ATTRIBUTES, DOG_TELLING, PERSON_ATTRIBUTES, Telling, Vocabulary, words_of
from auxreid.plumbing.base.few import few

TABLE = "frames.csv"  # where the data set names none
# By layout: what messages call the table, its column of individuals, and what one of them is.
TABLES = {"dogs": (TABLE, "dog_id", "dog"), "csv": ("the table", "identity", "individual")}
COLUMNS = ("path", "sequence", "date", "place", "split")
INDIVIDUAL = ("id", "individual", "individual_id", "name", "pid")
OTHER_NAMES = {  # that tables have in place of ours
    "path": ("file", "file_name", "file_path", "image", "image_path", "img"),
    "dog_id": (*INDIVIDUAL, "identity", "dog", "dog_name"),
    "identity": (*INDIVIDUAL, "label", "person", "person_id", "dog_id"),
    "camera": ("cam", "cam_id", "camid", "camera_id"),
    "color": ("colour",),
}
DRAWN_SPLITS = ("train", "val", "test")  # of test, query and gallery are made here
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
QUERY_SHARE = 1 / 3  # of a test individual's sequences
MOST_CAMERAS = 20  # that are named


@dataclass(frozen=True)
class Form:
    """How a data set's table is to be read."""

    table: str
    identity: str  # the column that names the individual
    one: str  # what messages call an individual
    vocabulary: Vocabulary
    telling: Telling  # of animals' attributes
    by_camera: bool  # whether a true match must be of another camera; else, of another sequence
    splits: tuple[str, ...]  # that the table may give

    @property
    def apart(self) -> str:
        """The column in which a query and its true match differ."""
        return "camera" if self.by_camera else "sequence"

    @property
    def columns(self) -> tuple[str, ...]:
        camera = ("camera",) if self.by_camera else ()
        return (self.identity, *camera, *COLUMNS, *self.vocabulary)


def form_of(config, telling: Telling = ()) -> Form:
    """Of a data set's entry in params.yaml, and of the vocabulary that it names."""
    by_camera = config.protocol == "market1501"
    words = words_of(telling) or (PERSON_ATTRIBUTES if by_camera else DOG_ATTRIBUTES)
    telling = telling or (() if by_camera else DOG_TELLING)
    _, identity, one = TABLES[config.layout]
    if config.layout == "dogs":
        return Form(TABLE, identity, one, words, telling, False, DRAWN_SPLITS)
    splits = (*DRAWN_SPLITS, "query", "gallery")
    return Form(config.table or TABLE, identity, one, words, telling, by_camera, splits)


class Images:
    """The image files below a data set's folder, by what a table may call them."""

    def __init__(self, root: Path):
        paths = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        names = [path.as_posix() for path in paths if not any(map(is_litter, path.parts))]
        self.root = root
        self.composed = {normalize("NFC", name): name for name in names}
        self._folded = {name.casefold(): name for name in self.composed}

    def meant_by(self, written: str) -> str:
        """The file that a cell means: with backslashes or not, in whatever Unicode form its name has on the disk."""
        path = PurePosixPath(written if self.has(written) else written.replace("\\", "/")).as_posix()
        return path if self.has(path) else self.composed.get(path, path)

    def has(self, path: str) -> bool:
        return os.path.isfile(self.root / path)

    def other_case(self, path: str) -> str:
        """The end of a message: the file whose name differs in capitals only."""
        other = self._folded.get(path.casefold())
        return f"; there is {other}" if other else ""


def list_sources(root: Path, config, telling: Telling = ()) -> Listing:
    """List the images that the table names. The split is the table's, or empty where it has none."""
    form, columns = form_of(config, telling), config.columns or {}
    table = root / form.table
    rows = renamed(table, read_table(table), columns)
    header = list(rows)
    words = {name: words for name, words in form.vocabulary.items() if name in header}
    listing = Listing(attributes=words, telling=form.telling)
    for needed in ("path", "camera") if form.by_camera else ("path",):
        if needed not in header:
            meant = look_alikes(header, needed, OTHER_NAMES[needed])
            listing.fault("missing column", f"{table}: missing column {needed}, found: {', '.join(header)}{meant}")
    if listing.faults:
        return listing
    listing.warnings += [f"{form.table}: {note}" for note in column_notes(header, form.columns, OTHER_NAMES)]
    numbers = _numbers(rows, form, listing)
    images = Images(root)
    listed: set[str] = set()
    for line, row in zip(rows.index, rows.to_dict("records"), strict=True):
        where = f"{table}, line {line} ({row['path']})"
        path = images.meant_by(row["path"])
        faults = _row_faults(where, path, row, images, listing, form) + _twice(where, path, listed)
        listing.faults += faults
        listed.add(path)
        if PurePosixPath(path).suffix.lower() not in IMAGE_SUFFIXES:
            listing.left_out.append(LeftOut(path, NOT_AN_IMAGE))
        elif not faults:
            listing.sources.append(_source(path, row, numbers, listing, form))
    unlisted = sorted(set(images.composed.values()) - listed)
    if unlisted:
        listing.warnings.append(f"{len(unlisted)} images are not listed in {form.table}: {few(unlisted)}")
    return listing


def assign_splits(usable: list[Source], listing: Listing, config) -> tuple[list[Source], list[dict], list[str]]:
    """Draw the split where the table gives none, then part each test individual's images into queries and gallery."""
    form, warnings = form_of(config), []
    if all(source.split == "" for source in usable):
        usable = _drawn(usable, form)
        disjoint = f"{form.one}s" if form.by_camera else f"{form.one}s and in sequences"
        warnings.append(f"{form.table} gives no split: drawn at random, {SHARES}, disjoint in {disjoint}")
    unassigned = sum(source.split == "" for source in usable)
    if unassigned:
        warnings.append(f"{unassigned} images without a split are in split none")
    asking = _asking_of_cameras if form.by_camera else _asking_of_sequences
    parted = _with_queries(usable, asking(usable), form, warnings)
    return [replace(source, split=source.split or "none") for source in parted], [], warnings


def why_empty(split: str, usable: Sequence[Source], config) -> str:
    """Why a split that must not be empty is."""
    form = form_of(config)
    if split not in ("query", "gallery"):
        return f"no usable image of {form.table} is in it"
    tested = {source.identity for source in usable if source.split == "gallery" and source.identity > 0}
    if not tested:
        return f"no usable image of {form.table} with a value of {form.identity} is in split test"
    who = f"each of the {len(tested)} test {form.one}s"
    lone = f"{who} has one {form.apart} only, and a {form.one} asks with one to be found by another"
    if form.by_camera:
        return f"{lone}; give test {form.one}s several, or take protocol dogs, in which sequences are told apart"
    return f"{lone}; give test {form.one}s several, or leave the column sequence out, if each photo was taken by itself"


def _numbers(rows, form: Form, listing: Listing) -> dict[str, dict[str, int]]:
    """The numbers, from 1 on, of the values of the columns that are numbered: individuals by name, and cameras.

    A camera keeps the number that it has; if one of them has another name, all are numbered in order of names.
    """
    individuals = sorted(set(rows.get(form.identity, [])) - {""})
    _note_individuals(individuals, form, listing)
    cameras = sorted(set(rows.get("camera", [])) - {""})
    numbers = {name: int(name) for name in cameras if name.isdecimal() and int(name) > 0}
    if len(numbers) < len(cameras) or len(set(numbers.values())) < len(numbers):
        numbers = {name: number for number, name in enumerate(cameras, start=1)}
        called = few([f"{number} is {name}" for name, number in numbers.items()], MOST_CAMERAS)
        listing.warnings.append(f"{form.table}: cameras are numbered: {called}")
    return {form.identity: {name: number for number, name in enumerate(individuals, start=1)}, "camera": numbers}


def _note_individuals(names: list[str], form: Form, listing: Listing) -> None:
    """Note that nobody is known, or that names are so alike that they may mean one individual."""
    if not names:
        text = f"names no {form.one} (column {form.identity}): it serves attributes, not re-identification"
        listing.warnings.append(f"{form.table} {text}")
    alike = defaultdict(list)
    for name in names:
        alike["".join(name.casefold().split()).lstrip("0").removesuffix(".0")].append(name)
    pairs = [" and ".join(map(repr, some)) for some in alike.values() if len(some) > 1]
    if pairs:
        text = f"taken for different {form.one}s, if they are not, write them alike: {few(pairs)}"
        listing.warnings.append(f"{form.table}: {text}")


def _row_faults(
    where: str, path: str, row: dict[str, str], images: Images, listing: Listing, form: Form
) -> list[Fault]:
    faults = check_words(where, {name: row[name] or None for name in listing.attributes}, listing.attributes)
    if row.get("split", "") not in ("", *form.splits):
        text = f"{where}, column split: {row['split']!r}, allowed: {', '.join(form.splits)} or empty"
        faults.append(Fault("column split", text))
    if form.by_camera and not row["camera"]:
        faults.append(Fault("no camera", f"{where}: no camera, of which a true match must be another"))
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or ".." in PurePosixPath(path).parts:
        faults.append(Fault("paths out of the folder", f"{where}: the path leads out of the data set's folder"))
    elif not images.has(path):
        faults.append(Fault("files that are not there", f"{where}: no such file{images.other_case(path)}"))
    return faults


def _twice(where: str, path: str, listed: set[str]) -> list[Fault]:
    return [Fault("paths listed twice", f"{where}: this path is listed twice")] if path in listed else []


def _source(path: str, row: dict[str, str], numbers: dict[str, dict[str, int]], listing: Listing, form: Form) -> Source:
    individual = row.get(form.identity, "")
    return Source(
        path=path,
        split=row.get("split", ""),
        identity=numbers[form.identity].get(individual, -1),
        identity_name=individual,
        camera=numbers["camera"].get(row.get("camera", ""), 0) if form.by_camera else 0,
        # A photo of no sequence is one of its own, so that it hides no other photo from a query.
        sequence=row.get("sequence", "") or path,
        date=row.get("date", ""),
        place=row.get("place", ""),
        attributes={name: row[name] or None for name in listing.attributes},
    )


def _drawn(sources: list[Source], form: Form) -> list[Source]:
    """Deal groups to train, val and test: known individuals and the other images apart.

    A group is linked by an individual, and by a sequence where sequences are told apart: those of one camera see all.
    """
    who = [source.identity_name or source.path for source in sources]
    clips = [source.path if form.by_camera else source.sequence for source in sources]
    group_of = linked_groups(list(zip(who, clips, strict=True)))
    named = {source.identity_name for source in sources if source.identity_name}
    known = {group_of[name] for name in named}
    weights: dict[bool, dict[int, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for name in named:
        weights[True][group_of[name]] += 1
    for name in (name for name in who if group_of[name] not in known):
        weights[False][group_of[name]] += 1
    part_of = deal(weights[True], SHARES) | deal(weights[False], SHARES)
    return [replace(source, split=part_of[group_of[name]]) for name, source in zip(who, sources, strict=True)]


def _views(sources: Iterable[Source], by: Callable[[Source], Any]) -> dict[int, dict[Any, list[str]]]:
    """Per individual of split test: the paths of its images by camera or sequence."""
    views: dict[int, dict[Any, list[str]]] = defaultdict(lambda: defaultdict(list))
    for source in sources:
        if source.split == "test" and source.identity > 0:
            views[source.identity][by(source)].append(source.path)
    return views


def _asking_of_sequences(sources: Iterable[Source]) -> tuple[set[str], int]:
    """The images that ask, by path, and how many individuals have no second view.

    Of each test individual, the first third of its sequences (at least one) asks.
    """
    views = _views(sources, lambda source: source.sequence)
    several = [own for own in views.values() if len(own) > 1]
    chosen = (own[name] for own in several for name in sorted(own)[: ceil(len(own) * QUERY_SHARE)])
    return {path for paths in chosen for path in paths}, len(views) - len(several)


def _asking_of_cameras(sources: Iterable[Source]) -> tuple[set[str], int]:
    """The same of cameras: as in Market-1501, one image of each that has seen a test individual asks, the first."""
    views = _views(sources, lambda source: source.camera)
    several = [own for own in views.values() if len(own) > 1]
    return {paths[0] for own in several for paths in own.values()}, len(views) - len(several)


def _with_queries(
    sources: Iterable[Source], asking: tuple[set[str], int], form: Form, warnings: list[str]
) -> list[Source]:
    """Split test parted into queries and gallery.

    An individual of one sequence (or camera) has no true match to find, and is in the gallery as a wrong match for the
    others. Test images of unknown individuals stay in split test: attributes are scored on them.
    """
    paths, lone = asking
    if lone:
        none = "" if paths else ", so that nothing is asked"
        warnings.append(f"{lone} test {form.one}s have a single {form.apart}: in the gallery, never a query{none}")
    return [
        replace(source, split="query" if source.path in paths else "gallery")
        if source.split == "test" and source.identity > 0
        else source
        for source in sources
    ]
