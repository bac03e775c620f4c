"""PRID2011's folders: single_shot or multi_shot, each with cam_a and cam_b (Hirzer et al., SCIA 2011).

In PRID2011 only the first 200 people were seen by both cameras; beyond them each camera counted on by itself, so that
equal numbers there mean different people. `shared_identities` says so; without it, a number in both is one person.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auxreid.data.layouts.listing import LeftOut, Listing, Source, entries, image_paths
from auxreid.data.layouts.person_attributes import PersonTable, note_people_without, read_person_attributes
from auxreid.data.splits import half_splits, read_splits
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.few import few

CAMERAS = {"cam_a": 1, "cam_b": 2}
SHOTS = {"prid2011_single_shot": "single_shot", "prid2011_multi_shot": "multi_shot"}
PERSON = re.compile(r"person_(?!0000)(\d{4})")
NAME = "person_{:04d}"
FRAME = re.compile(r"\d+")
OWN_NUMBERS = {"cam_a": 20000, "cam_b": 10000}  # added to the numbers of people whom one camera alone has seen


@dataclass
class PridListing(Listing):
    """A listing with the people who take part in the splits, and the splits if a file gives them."""

    participants: dict[str, int] = field(default_factory=dict)  # names and identities
    splits: list[dict[str, list[int]]] = field(default_factory=list)


def list_sources(root: Path, config) -> PridListing:
    """List the images of the protocol's folder (single_shot or multi_shot).

    The splits are drawn later, when it is known which images can be used.
    """
    listing = PridListing()
    named = config.attributes if isinstance(config.attributes, str) else None  # else a model predicts them, or none
    table = read_person_attributes(root / named, NAME, listing) if named else {}
    multi_shot = config.protocol == "prid2011_multi_shot"
    images = {
        folder: list(_person_images(root / SHOTS[config.protocol] / folder, root, multi_shot, listing))
        for folder in CAMERAS
    }
    shared = _seen_by_both(images, config.shared_identities)
    for folder, some in images.items():
        listing.sources += [_source(path, person, folder, person in shared, config, table) for person, path in some]
    if table:
        people = {source.identity_name for source in listing.sources}
        note_people_without(people, table, root / named, listing)
    listing.participants = _participants(listing.sources, shared, config)
    if config.splits and not listing.faults:
        listing.splits = read_splits(root / config.splits, listing.participants, config.n_splits or 1)
    return listing


def assign_splits(
    usable: list[Source], listing: PridListing, config
) -> tuple[list[Source], list[dict[str, list[int]]], list[str]]:
    """The repeated splits over the people of whom both cameras have a usable image, and warnings.

    The sources are returned unchanged: `resolve_split` gives a participant's split in each of the repeated splits.
    """
    seen = {(source.identity, source.camera) for source in usable}
    present = {n for n in listing.participants.values() if all((n, camera) in seen for camera in CAMERAS.values())}
    lost = sorted(name for name, number in listing.participants.items() if number not in present)
    if len(present) < 2:
        raise DataError(f"{config.folder}: {why_empty('train', usable, config)}")
    warnings = [f"not in the splits, no usable image left in one camera: {few(lost)}"] if lost else []
    if not listing.splits:
        return usable, half_splits(sorted(present), config.n_splits or 1), warnings
    kept = [{half: [n for n in split[half] if n in present] for half in split} for split in listing.splits]
    return usable, kept, warnings


def why_empty(split: str, usable: Sequence[Source], config) -> str:
    """Why a split that must not be empty is."""
    seen = [{source.identity for source in usable if source.camera == camera} for camera in CAMERAS.values()]
    names = " and ".join(CAMERAS)
    return (
        f"fewer than two people take part, those with {_enough(config)} or more images in each of {names}; people with "
        f"usable images there: {len(seen[0])} and {len(seen[1])}, in both: {len(seen[0] & seen[1])}"
    )


def _person_images(folder: Path, root: Path, multi_shot: bool, listing: Listing) -> Iterator[tuple[str, Path]]:
    """Each image of one camera as (person's name, path relative to the root)."""
    if not multi_shot:
        for path in image_paths(folder, root, listing):
            if PERSON.fullmatch(path.stem):
                yield path.stem, path.relative_to(root)
            else:
                listing.fault("a wrong file name", f"{path}: a wrong file name, allowed: person_<four digits>.png")
        return
    for person in entries(folder, root, listing):
        if not person.is_dir():
            listing.left_out.append(
                LeftOut(person.relative_to(root).as_posix(), "a file where person folders are expected")
            )
            continue
        if not PERSON.fullmatch(person.name):
            listing.fault("a wrong folder name", f"{person}: a wrong folder name, allowed: person_<four digits>")
            continue
        for path in image_paths(person, root, listing):
            if FRAME.fullmatch(path.stem):
                yield person.name, path.relative_to(root)
            else:
                listing.fault("a wrong file name", f"{path}: a wrong file name, allowed: <digits>.png")


def _seen_by_both(images: dict[str, list[tuple[str, Path]]], first: int | None) -> set[str]:
    """The names that mean one person in both cameras: the `first` so many, or all that both cameras have."""
    a, b = ({person for person, _ in some} for some in images.values())
    return a & b if first is None else {person for person in a | b if _number(person) <= first}


def _number(person: str) -> int:
    return int(PERSON.fullmatch(person)[1])


def _source(path: Path, person: str, folder: str, shared: bool, config, table: PersonTable) -> Source:
    number = _number(person)
    name = person if shared else f"{folder}/{person}"
    # In the single-shot protocol, camera B's own people are wrong matches in the gallery; multi-shot does without them.
    distractor = not shared and folder == "cam_b" and config.protocol == "prid2011_single_shot"
    return Source(
        path=path.as_posix(),
        split="gallery" if distractor else "none",
        identity=number if shared else OWN_NUMBERS[folder] + number,
        identity_name=name,
        camera=CAMERAS[folder],
        attributes=table.get(name, {}),
    )


def _participants(sources: list[Source], shared: set[str], config) -> dict[str, int]:
    """People with enough images in both cameras."""
    counts = Counter((source.identity_name, source.camera) for source in sources)
    return {
        name: _number(name)
        for name in sorted(shared)
        if all(counts[name, camera] >= _enough(config) for camera in CAMERAS.values())
    }


def _enough(config) -> int:
    """How many images of a person each camera must have."""
    return (config.min_frames or 1) if config.protocol == "prid2011_multi_shot" else 1
