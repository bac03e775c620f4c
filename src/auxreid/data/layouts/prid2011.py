"""PRID2011's folders: single_shot or multi_shot, each with cam_a and cam_b (Hirzer et al., SCIA 2011).

Only the first `shared_identities` people were seen by both cameras. Beyond them each camera counted on by itself, so
that equal numbers there mean different people.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from auxreid.data.layouts.listing import LeftOut, Listing, Source, few, image_paths
from auxreid.data.layouts.person_attributes import PersonTable, note_people_without, read_person_attributes
from auxreid.data.splits import half_splits, read_splits

CAMERAS = {"cam_a": 1, "cam_b": 2}
SHOTS = {"prid2011_single_shot": "single_shot", "prid2011_multi_shot": "multi_shot"}
PERSON = re.compile(r"person_(?!0000)(\d{4})")
NAME = "person_{:04d}"
FRAME = re.compile(r"\d+")
OWN_NUMBERS = {"cam_a": 20000, "cam_b": 10000}  # added to the numbers of people whom one camera alone has seen


@dataclass
class PridListing(Listing):
    """A listing with the people who take part in the splits, and the splits if a file gives them."""

    participants: dict[str, int] = field(default_factory=dict)
    splits: list[dict[str, list[int]]] = field(default_factory=list)


def list_sources(root: Path, config) -> PridListing:
    """List the images of the protocol's folder (single_shot or multi_shot).

    The splits are drawn later, when it is known which images can be used.
    """
    listing = PridListing()
    table = read_person_attributes(root / config.attributes, NAME, listing) if config.attributes else {}
    multi_shot = config.protocol == "prid2011_multi_shot"
    for folder, camera in CAMERAS.items():
        for person, path in _person_images(root / SHOTS[config.protocol] / folder, root, multi_shot, listing):
            listing.sources.append(_source(path, person, folder, camera, config, table))
    if table:
        people = {source.identity_name for source in listing.sources}
        note_people_without(people, table, root / config.attributes, listing)
    listing.participants = _participants(listing.sources, config)
    if config.splits and not listing.faults:
        listing.splits = read_splits(root / config.splits, listing.participants)
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
    warnings = [f"not in the splits, no usable image left in one camera: {few(lost)}"] if lost else []
    if not listing.splits:
        return usable, half_splits(sorted(present), config.n_splits), warnings
    kept = [{half: [n for n in split[half] if n in present] for half in split} for split in listing.splits]
    return usable, kept, warnings


def _person_images(folder: Path, root: Path, multi_shot: bool, listing: Listing) -> Iterator[tuple[str, Path]]:
    """Each image of one camera as (person's name, path relative to the root)."""
    if not multi_shot:
        for path in image_paths(folder, root, listing):
            if PERSON.fullmatch(path.stem):
                yield path.stem, path.relative_to(root)
            else:
                listing.faults.append(f"{path}: a wrong file name, allowed: person_<four digits>.png")
        return
    if not folder.is_dir():
        listing.faults.append(f"{folder}: no such folder")
        return
    for person in sorted(folder.iterdir()):
        if not person.is_dir():
            listing.left_out.append(
                LeftOut(person.relative_to(root).as_posix(), "a file where person folders are expected")
            )
            continue
        if not PERSON.fullmatch(person.name):
            listing.faults.append(f"{person}: a wrong folder name, allowed: person_<four digits>")
            continue
        for path in image_paths(person, root, listing):
            if FRAME.fullmatch(path.stem):
                yield person.name, path.relative_to(root)
            else:
                listing.faults.append(f"{path}: a wrong file name, allowed: <digits>.png")


def _source(path: Path, person: str, folder: str, camera: int, config, table: PersonTable) -> Source:
    number = int(PERSON.fullmatch(person)[1])
    shared = number <= config.shared_identities
    name = person if shared else f"{folder}/{person}"
    # In the single-shot protocol, camera B's own people are wrong matches in the gallery; multi-shot does without them.
    distractor = not shared and folder == "cam_b" and config.protocol == "prid2011_single_shot"
    return Source(
        path=path.as_posix(),
        split="gallery" if distractor else "none",
        identity=number if shared else OWN_NUMBERS[folder] + number,
        identity_name=name,
        camera=camera,
        attributes=table.get(name, {}),
    )


def _participants(sources: list[Source], config) -> dict[str, int]:
    """People with enough images in both cameras: one in single-shot, `min_frames` in multi-shot."""
    enough = config.min_frames if config.protocol == "prid2011_multi_shot" else 1
    shared = {s.identity_name: s.identity for s in sources if s.identity <= config.shared_identities}
    counts = Counter((source.identity, source.camera) for source in sources)
    return {
        name: number
        for name, number in shared.items()
        if all(counts[number, camera] >= enough for camera in CAMERAS.values())
    }
