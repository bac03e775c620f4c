"""The dog layout: a folder of frames and frames.csv, one line per image.

Only the column `path` is needed. `dog_id` names the individual (empty: unknown), `sequence` the clip that the frame is
from (a name used for one clip only), `date` and `place` where and when; the six attributes and `split` (train, val or
test) may be there as well. Images of unknown dogs serve attribute training.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from math import ceil
from pathlib import Path, PurePosixPath

from auxreid.data.layouts.listing import (
    IMAGE_SUFFIXES,
    NOT_AN_IMAGE,
    LeftOut,
    Listing,
    Source,
    check_words,
    few,
    read_csv,
)
from auxreid.data.splits import deal, linked_groups
from auxreid.data.vocabulary import DOG_ATTRIBUTES

TABLE = "frames.csv"
COLUMNS = ("path", "dog_id", "sequence", "date", "place", "split", *DOG_ATTRIBUTES)
GIVEN_SPLITS = ("train", "val", "test")
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
QUERY_SHARE = 1 / 3  # of a test dog's sequences


def list_sources(root: Path, config) -> Listing:
    """List the images that frames.csv names. The split is the table's, or empty where it has none."""
    header, rows = read_csv(root / TABLE)
    listing = Listing(attributes={name: words for name, words in DOG_ATTRIBUTES.items() if name in header})
    if "path" not in header:
        listing.faults.append(f"{root / TABLE}: missing column path, found: {', '.join(header)}")
        return listing
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        listing.warnings.append(f"{TABLE}: columns that are not read: {few(unknown)}")
    dog_ids = sorted({row.get("dog_id", "") for _, row in rows} - {""})
    identities = {name: number for number, name in enumerate(dog_ids, start=1)}
    listed: set[str] = set()
    for line, row in rows:
        where = f"{root / TABLE}, line {line} ({row['path']})"
        path = PurePosixPath(row["path"]).as_posix()
        faults = _row_faults(where, path, row, root, listing) + _twice(where, path, listed)
        listing.faults += faults
        listed.add(path)
        if PurePosixPath(path).suffix.lower() not in IMAGE_SUFFIXES:
            listing.left_out.append(LeftOut(path, NOT_AN_IMAGE))
        elif not faults:
            listing.sources.append(_source(path, row, identities, listing))
    _warn_of_unlisted(root, listed, listing)
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


def _row_faults(where: str, path: str, row: dict[str, str], root: Path, listing: Listing) -> list[str]:
    faults = check_words(where, {name: row[name] or None for name in listing.attributes}, listing.attributes)
    if row.get("split", "") not in ("", *GIVEN_SPLITS):
        faults.append(f"{where}, column split: {row['split']!r}, allowed: {', '.join(GIVEN_SPLITS)} or empty")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        faults.append(f"{where}: the path leads out of the data set's folder")
    elif not (root / path).is_file():
        faults.append(f"{where}: no such file")
    return faults


def _twice(where: str, path: str, listed: set[str]) -> list[str]:
    return [f"{where}: this path is listed twice"] if path in listed else []


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


def _warn_of_unlisted(root: Path, listed: set[str], listing: Listing) -> None:
    found = (p.relative_to(root).as_posix() for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    unlisted = sorted(set(found) - listed)
    if unlisted:
        listing.warnings.append(f"{len(unlisted)} images are not listed in {TABLE}: {few(unlisted)}")


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
        warnings.append(f"{lone} test dogs have a single sequence: in the gallery, never a query")
    return [
        replace(source, split="query" if (source.identity, source.sequence) in asking else "gallery")
        if source.split == "test" and source.identity > 0
        else source
        for source in sources
    ]
