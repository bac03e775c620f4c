"""The whole way from folders to a data set. Each step keeps what it computed: a run that is stopped goes on there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from auxreid.assembling.copies import copies
from auxreid.assembling.dataset import dog_words, rows_of, write_dataset
from auxreid.assembling.decisions import Decision, read_decisions, standing, verdict
from auxreid.assembling.dog_names import Names, name_dogs, read_names, write_names
from auxreid.assembling.flags import blurred, has_two_looks
from auxreid.assembling.items import Item, make_items, same_photograph
from auxreid.assembling.likeness import likeness
from auxreid.assembling.looks import look_at
from auxreid.assembling.networks import Network
from auxreid.assembling.proposals import propose
from auxreid.assembling.report import Found, notes_of, report_of
from auxreid.assembling.sequences import sequences
from auxreid.assembling.sources import list_files, read_crops
from auxreid.assembling.splits import split_dogs
from auxreid.assembling.thresholds import Thresholds
from auxreid.assembling.thumbs import write_thumbs
from auxreid.assembling.vectors import vectors
from auxreid.assembling.videos import frames_of
from auxreid.assembling.workplace import Workplace, write_if_new
from auxreid.data.layouts.listing import LeftOut
from auxreid.plumbing.base.errors import DataError


@dataclass(frozen=True)
class Wishes:
    """What a run is asked for."""

    out: Path
    network: Network
    attributes: Network | None = None
    detector: Network | None = None
    crops: Path | None = None
    rate: float = 1.0  # frames of a second of video
    seed: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True)
class Assembly:
    """A set as it stands: what the page and the report show."""

    found: Found
    alike: np.ndarray  # of found.items, in their order
    decisions: list[Decision]
    changed: list[str]  # settings that differ from the last run's


def assemble(places: Sequence[Path], wishes: Wishes) -> Assembly:
    """Read, compare and group photographs, and write the data set.

    Raises:
        ConfigError, DataError: a folder, a table or a network cannot be used, or no photograph can.
    """
    work = Workplace(wishes.out)
    with work.held():
        return _assemble(work.read_from(places), work, wishes)


def _assemble(places: Sequence[Path], work: Workplace, wishes: Wishes) -> Assembly:
    decisions, names = read_decisions(work.out), read_names(work.dogs)
    verdicts = verdict(decisions)
    found = Found(settings=_settings(wishes), decisions=len(standing(decisions)))
    changed = _changed(work, found.settings)
    items, others = _items(places, work, wishes, found)
    features = vectors(items, work.vectors("features", wishes.network.key), wishes.network.compute, "features")
    items, features = _without_copies(items, features, {*names.dog_of, *verdicts.group_of}, wishes, found)
    alike, sequence_of = _compare(items, features, wishes.thresholds)
    found.key = names.key = names.key or min(item.photo for item in items)
    found.items = {item.photo: item for item in items}
    found.sequences = sequence_of
    place = {photo: at for at, photo in enumerate(found.items)}
    photos = list(found.items)
    proposals = propose(photos, alike, same_photograph(items), verdicts, wishes.thresholds)
    found.dogs = name_dogs(proposals, names, place)
    found.rejected = sorted(found.items[photo].name for photo in verdicts.rejected & place.keys())
    pairs = [(dog, sequence_of[photo]) for dog, one in found.dogs.items() for photo in one.photos]
    found.splits = split_dogs(pairs, found.single, names.split_of, wishes.seed)
    names.split_of |= found.splits
    _flag(found, alike, place, wishes.thresholds)
    _detect(found, items, work, wishes)
    found.notes = notes_of(found.items, others, wishes.detector is not None)
    words = _words(wishes.attributes, work, items, place, found)
    _write(work, found, names, words, items)
    return Assembly(found, alike, decisions, changed)


def _settings(wishes: Wishes) -> dict[str, object]:
    network = {"encoder": wishes.network.name, "encoder_key": wishes.network.key}
    more = {"attributes": wishes.attributes, "detector": wishes.detector}
    models = {what: one.name for what, one in more.items() if one is not None}
    return network | models | {"rate": wishes.rate, "seed": wishes.seed, "thresholds": wishes.thresholds.about()}


def _changed(work: Workplace, settings: Mapping[str, object]) -> list[str]:
    """Settings that the last run had otherwise, each in words; none where there was no run.

    Raises:
        DataError: the report of the last run is broken.
    """
    if not work.report.is_file():
        return []
    try:
        before = dict(json.loads(work.report.read_text(encoding="utf-8"))["settings"])
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{work.report}: broken; remove it, and it is written anew") from None
    names = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
    return [f"{name}: {before.get(name, 'none')} -> {settings.get(name, 'none')}" for name in names]


def _items(
    places: Sequence[Path], work: Workplace, wishes: Wishes, found: Found
) -> tuple[list[Item], Mapping[str, int]]:
    files = list_files(places)
    crops = {} if wishes.crops is None else read_crops(wishes.crops)
    frames, broken, videos_twice = frames_of(files.videos, wishes.rate, work.videos)
    looks, bad = look_at([*files.images, *(frame.path for frame in frames)], work.looks)
    items, twice = make_items(files.images, frames, looks, crops)
    found.left_out, found.copies = [*broken, *bad], [*videos_twice, *twice]
    if not items:
        named = ", ".join(f"{one.path} ({one.reason})" for one in found.left_out[:3])
        raise DataError(f"none of the photographs and videos can be used: {named}")
    return items, files.others


def _without_copies(
    items: list[Item], features: np.ndarray, known: set[str], wishes: Wishes, found: Found
) -> tuple[list[Item], np.ndarray]:
    copy_of = copies(items, features, known, wishes.thresholds)
    found.copies += [LeftOut(items[one].name, f"a copy of {items[kept].name}") for one, kept in copy_of.items()]
    found.copies.sort(key=lambda one: one.path)
    kept = [at for at in range(len(items)) if at not in copy_of]
    return [items[at] for at in kept], features[kept]


def _compare(items: Sequence[Item], features: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, dict[str, str]]:
    """How alike photographs are, and the sequence of each."""
    apart = np.zeros((len(items), len(items)), bool)
    names = np.array(sequences(items, likeness(features, apart), thresholds))
    together = names[:, None] == names[None]
    alike = likeness(features, together)
    alike[together & ~np.eye(len(items), dtype=bool)] += thresholds.same_sequence
    return alike, {item.photo: str(name) for item, name in zip(items, names, strict=True)}


def _flag(found: Found, alike: np.ndarray, place: Mapping[str, int], thresholds: Thresholds) -> None:
    soft = blurred(list(found.items.values()), thresholds)
    found.blurred = [photo for photo in found.items if photo in soft]
    for dog, one in found.dogs.items():
        at = [place[photo] for photo in one.photos]
        if len(one.seen) < len(one.photos) and has_two_looks(alike[np.ix_(at, at)], thresholds):
            found.two_looks.append(dog)


def _detect(found: Found, items: Sequence[Item], work: Workplace, wishes: Wishes) -> None:
    if wishes.detector is None:
        return
    scores = vectors(items, work.vectors("dogs", wishes.detector.key), wishes.detector.compute, "detection")
    for item, (best, second) in zip(items, scores, strict=True):
        if best < wishes.thresholds.dog:
            found.no_dog.append(item.photo)
        if second >= wishes.thresholds.second_dog:
            found.several_dogs.append(item.photo)


def _words(
    network: Network | None, work: Workplace, items: Sequence[Item], place: Mapping[str, int], found: Found
) -> dict[str, dict[str, str]]:
    if network is None:
        return {}
    values = vectors(items, work.vectors("attributes", network.key), network.compute, "attributes")
    return dog_words(found.dogs, place, values, network.words)


def _write(
    work: Workplace, found: Found, names: Names, words: Mapping[str, Mapping[str, str]], items: Sequence[Item]
) -> None:
    write_thumbs(items, work.thumbs)
    write_names(work.dogs, names)
    write_dataset(work, rows_of(found.dogs, found.items, found.sequences, found.splits, words), items)
    write_if_new(work.report, json.dumps(report_of(found), indent=1, ensure_ascii=False) + "\n")
