"""The dog layout: a folder of frames and frames.csv, one line per image.

Only the column `path` is needed. `dog_id` names the individual (empty: unknown), `sequence` the clip that the frame is
from (a name used for one clip only), `date` and `place` where and when; the six attributes and `split` (train, val or
test) may be there as well. Images of unknown dogs serve attribute training.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path, PurePosixPath, PureWindowsPath
from unicodedata import normalize

from auxreid.data.layouts.listing import (
    IMAGE_SUFFIXES,
    NOT_AN_IMAGE,
    Fault,
    LeftOut,
    Listing,
    Source,
    check_words,
    few,
    is_litter,
)
from auxreid.data.splits import deal, linked_groups
from auxreid.data.tables import column_notes, look_alikes, read_table
from auxreid.data.vocabulary import DOG_ATTRIBUTES

TABLE = "frames.csv"
COLUMNS = ("path", "dog_id", "sequence", "date", "place", "split", *DOG_ATTRIBUTES)
OTHER_NAMES = {  # that tables have in place of ours
    "path": ("file", "file_name", "file_path", "image", "image_path", "img"),
    "dog_id": ("id", "identity", "dog", "dog_name", "individual", "individual_id", "name", "pid"),
    "color": ("colour",),
}
GIVEN_SPLITS = ("train", "val", "test")
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
QUERY_SHARE = 1 / 3  # of a test dog's sequences


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


def list_sources(root: Path, config) -> Listing:
    """List the images that frames.csv names. The split is the table's, or empty where it has none."""
    rows = read_table(root / TABLE)
    header = list(rows)
    listing = Listing(attributes={name: words for name, words in DOG_ATTRIBUTES.items() if name in header})
    if "path" not in header:
        meant = look_alikes(header, "path", OTHER_NAMES["path"])
        listing.fault("missing column", f"{root / TABLE}: missing column path, found: {', '.join(header)}{meant}")
        return listing
    listing.warnings += [f"{TABLE}: {note}" for note in column_notes(header, COLUMNS, OTHER_NAMES)]
    dog_ids = sorted(set(rows.get("dog_id", [])) - {""})
    _note_dogs(dog_ids, listing)
    identities = {name: number for number, name in enumerate(dog_ids, start=1)}
    images = Images(root)
    listed: set[str] = set()
    for line, row in zip(rows.index, rows.to_dict("records"), strict=True):
        where = f"{root / TABLE}, line {line} ({row['path']})"
        path = images.meant_by(row["path"])
        faults = _row_faults(where, path, row, images, listing) + _twice(where, path, listed)
        listing.faults += faults
        listed.add(path)
        if PurePosixPath(path).suffix.lower() not in IMAGE_SUFFIXES:
            listing.left_out.append(LeftOut(path, NOT_AN_IMAGE))
        elif not faults:
            listing.sources.append(_source(path, row, identities, listing))
    unlisted = sorted(set(images.composed.values()) - listed)
    if unlisted:
        listing.warnings.append(f"{len(unlisted)} images are not listed in {TABLE}: {few(unlisted)}")
    return listing


def assign_splits(usable: list[Source], listing: Listing, config) -> tuple[list[Source], list[dict], list[str]]:
    """Draw the split where the table gives none, then part each test dog's images into queries and gallery."""
    warnings = []
    if all(source.split == "" for source in usable):
        usable = _drawn(usable)
        warnings.append(f"{TABLE} gives no split: drawn at random, {SHARES}, disjoint in dogs and in sequences")
    unassigned = sum(source.split == "" for source in usable)
    if unassigned:
        warnings.append(f"{unassigned} images without a split are in split none")
    return [replace(s, split=s.split or "none") for s in _with_queries(usable, warnings)], [], warnings


def why_empty(split: str, usable: Sequence[Source], config) -> str:
    """Why a split that must not be empty is."""
    if split not in ("query", "gallery"):
        return f"no usable image of {TABLE} is in it"
    tested = {source.identity for source in usable if source.split == "gallery" and source.identity > 0}
    if not tested:
        return f"no usable image of {TABLE} with a dog_id is in split test"
    return (
        f"each of the {len(tested)} test dogs has one sequence only, and a dog asks with one to be found by another; "
        "give test dogs several, or leave the column sequence out, if each photo was taken by itself"
    )


def _note_dogs(dog_ids: list[str], listing: Listing) -> None:
    """Note that no dog is known, or that names are so alike that they may mean one dog."""
    if not dog_ids:
        listing.warnings.append(f"{TABLE} names no dog (column dog_id): it serves attributes, not re-identification")
    alike = defaultdict(list)
    for name in dog_ids:
        alike["".join(name.casefold().split()).lstrip("0").removesuffix(".0")].append(name)
    pairs = [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    if pairs:
        listing.warnings.append(f"{TABLE}: taken for different dogs, if they are not, write them alike: {few(pairs)}")


def _row_faults(where: str, path: str, row: dict[str, str], images: Images, listing: Listing) -> list[Fault]:
    faults = check_words(where, {name: row[name] or None for name in listing.attributes}, listing.attributes)
    if row.get("split", "") not in ("", *GIVEN_SPLITS):
        text = f"{where}, column split: {row['split']!r}, allowed: {', '.join(GIVEN_SPLITS)} or empty"
        faults.append(Fault("column split", text))
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or ".." in PurePosixPath(path).parts:
        faults.append(Fault("paths out of the folder", f"{where}: the path leads out of the data set's folder"))
    elif not images.has(path):
        faults.append(Fault("files that are not there", f"{where}: no such file{images.other_case(path)}"))
    return faults


def _twice(where: str, path: str, listed: set[str]) -> list[Fault]:
    return [Fault("paths listed twice", f"{where}: this path is listed twice")] if path in listed else []


def _source(path: str, row: dict[str, str], identities: dict[str, int], listing: Listing) -> Source:
    dog = row.get("dog_id", "")
    return Source(
        path=path,
        split=row.get("split", ""),
        identity=identities.get(dog, -1),
        identity_name=dog,
        # A photo of no sequence is one of its own, so that it hides no other photo from a query.
        sequence=row.get("sequence", "") or path,
        date=row.get("date", ""),
        place=row.get("place", ""),
        attributes={name: row[name] or None for name in listing.attributes},
    )


def _drawn(sources: list[Source]) -> list[Source]:
    """Deal groups linked by a dog or a sequence to train, val and test: known dogs and the other images apart."""
    dogs = [source.identity_name or source.path for source in sources]
    group_of = linked_groups([(dog, source.sequence) for dog, source in zip(dogs, sources, strict=True)])
    known = {group_of[s.identity_name] for s in sources if s.identity_name}
    weights: dict[bool, dict[int, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for dog in {s.identity_name for s in sources if s.identity_name}:
        weights[True][group_of[dog]] += 1
    for dog in (dog for dog in dogs if group_of[dog] not in known):
        weights[False][group_of[dog]] += 1
    part_of = deal(weights[True], SHARES) | deal(weights[False], SHARES)
    return [replace(source, split=part_of[group_of[dog]]) for dog, source in zip(dogs, sources, strict=True)]


def _with_queries(sources: Iterable[Source], warnings: list[str]) -> list[Source]:
    """Of each test dog, the first third of its sequences (at least one) asks, the rest is the gallery.

    A dog of one sequence has no true match to find, and is in the gallery as a wrong match for the others. Test images
    of unknown dogs stay in split test: attributes are scored on them.
    """
    sequences = defaultdict(set)
    for source in sources:
        if source.split == "test" and source.identity > 0:
            sequences[source.identity].add(source.sequence)
    asking = {
        (dog, sequence)
        for dog, own in sequences.items()
        if len(own) > 1
        for sequence in sorted(own)[: ceil(len(own) * QUERY_SHARE)]
    }
    lone = sum(len(own) == 1 for own in sequences.values())
    if lone:
        none = "" if asking else ", so that nothing is asked"
        warnings.append(f"{lone} test dogs have a single sequence: in the gallery, never a query{none}")
    return [
        replace(source, split="query" if (source.identity, source.sequence) in asking else "gallery")
        if source.split == "test" and source.identity > 0
        else source
        for source in sources
    ]
