"""Ingest: read a data set's folder, check it, pack it into one frames file, and report what was found."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from auxreid.data import checks
from auxreid.data.checks import Checked
from auxreid.data.coco import KeypointTable, read_coco
from auxreid.data.fewer_identities import with_fewer_identities
from auxreid.data.frames import FramesMeta, resolve_split, write_frames
from auxreid.data.layouts import listed, market1501, prid2011
from auxreid.data.layouts.listing import MOST_NAMED, Fault, LeftOut, Listing, Source, by_kind, stop_on
from auxreid.data.near_copies import near_copies
from auxreid.data.vocabulary import telling_of
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.few import few
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.base.progress import track

LAYOUTS = {"market1501": market1501, "prid2011": prid2011, "dogs": listed, "csv": listed}
NO_KEYPOINTS = KeypointTable([], [], {}, {}, 0)


@dataclass(frozen=True)
class Ingested:
    """What a data set consists of once it is checked, and what was left out of it."""

    images: list[Checked]
    listing: Listing
    keypoints: KeypointTable
    meta: FramesMeta


def ingest(config: Any, out: str | Path, vocabulary: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Pack the data set that `config` (a DatasetConfig) describes into `out`/frames.arrow, beside `out`/report.json.

    Images that cannot be used are left out and listed in the report with the reason. Nothing in the data set's folder
    is changed.

    Args:
        vocabulary: the block of `vocabularies` that the data set names.
    Returns:
        the report.

    Raises:
        DataError: whatever would falsify a result, every such fault by name (of many of a kind, the first and their
            number): an identity in both train and test, an empty split, a wrong file name, an attribute outside its
            vocabulary, a missing file, folder or column, or too many broken images. The report then says so, too.
    """
    out, root = Path(out), Path(config.folder)
    found = _read(config, vocabulary)
    faults, path = found.listing.faults, out / "report.json"
    if faults:
        write_text(path, _json(_report_of_faults(found)))
        stop_on(faults, config.name, f"  The report, {path}, names all that is left out.")
    write_frames(out / "frames.arrow", _rows(found, root), found.meta)
    report = summarise(found)
    write_text(path, _json(report))
    return report


def examine(config: Any, vocabulary: Mapping[str, Any] | None = None) -> Ingested:
    """Read and check a data set without writing anything; raises as `ingest` does."""
    found = _read(config, vocabulary)
    stop_on(found.listing.faults, config.name)
    return found


def _read(config: Any, vocabulary: Mapping[str, Any] | None) -> Ingested:
    """The data set as far as its faults let it be read: they are those of its listing."""
    root = Path(config.folder)
    if not root.is_dir():
        raise DataError(f"data set {config.name}: no such folder: {root}")
    listing = _list_sources(root, config, vocabulary)
    given = config.keypoints
    keypoints = NO_KEYPOINTS
    if given and given.file:  # else another data set's HRNet finds them
        keypoints = read_coco(root / given.file, given.images or ".").named_as(one.path for one in listing.sources)
    listing.faults += _leaks(listing.sources, config)
    _drop_own_attributes(listing, config)
    images, splits = [], []
    if not listing.faults:  # these are known without opening any image, so that a wrong folder fails at once
        images, broken = checks.check_images(listing.sources, root)
        listing.left_out += broken
        listing.faults += checks.too_many_broken(broken, len(listing.sources))
    if not listing.faults:
        images, splits = _taking_part(images, keypoints, listing, config)
    listing.left_out.sort(key=lambda one: one.path)
    meta = FramesMeta(
        dataset=config.name,
        layout=config.layout,
        protocol=config.protocol,
        word=config.word,
        joints=keypoints.joints,
        skeleton=keypoints.skeleton,
        attributes={name: list(words) for name, words in listing.attributes.items()},
        splits=splits,
        telling=listing.telling,
    )
    return Ingested(images, listing, keypoints, meta)


def _list_sources(root: Path, config: Any, vocabulary: Mapping[str, Any] | None) -> Listing:
    if vocabulary is None:
        return LAYOUTS[config.layout].list_sources(root, config)
    return listed.list_sources(root, config, telling_of(vocabulary))


def _taking_part(
    images: list[Checked], keypoints: KeypointTable, listing: Listing, config: Any
) -> tuple[list[Checked], list[dict]]:
    """The images that take part, with their splits, and the repeated splits; what is found is noted in the listing."""
    images, copies, mixed = checks.without_duplicates(images)
    listing.left_out += copies
    images, splits, warnings = _assign_splits(images, listing, config)
    listing.warnings += warnings
    sources = [image.source for image in images]
    listing.faults += mixed + _empty_splits(sources, config) + _leaks(sources, config)
    listing.faults += _keypoint_faults(images, keypoints, config, listing)
    if config.train_identities is not None and not listing.faults:
        images, splits = _with_fewer(images, splits, config, listing)
        sources = [image.source for image in images]
    if not listing.faults:
        listing.warnings += _lonely_queries(sources, splits) + _near_copies(images, splits)
    return images, splits


def summarise(found: Ingested) -> dict[str, Any]:
    """The report: counts per split, camera and attribute word, and everything that was left out or looks odd."""
    sources = [image.source for image in found.images]
    splits = sorted({source.split for source in sources})
    return {
        "dataset": found.meta.dataset,
        "layout": found.meta.layout,
        "protocol": found.meta.protocol,
        "images": len(sources),
        "identities": _identities(sources),
        "splits": {split: _counts([source for source in sources if source.split == split]) for split in splits},
        "repeated_splits": [{half: len(people) for half, people in split.items()} for split in found.meta.splits],
        "attributes": {name: _word_counts(sources, name, words) for name, words in found.meta.attributes.items()},
        "keypoints": {
            "joints": len(found.keypoints.joints),
            "annotated_images": sum(source.path in found.keypoints.points for source in sources),
        },
        "left_out": [asdict(one) for one in found.listing.left_out],
        "warnings": found.listing.warnings,
    }


def _report_of_faults(found: Ingested) -> dict[str, Any]:
    """The report of a data set that cannot be used."""
    return {
        "dataset": found.meta.dataset,
        "layout": found.meta.layout,
        "protocol": found.meta.protocol,
        "faults": [
            {"kind": kind, "count": len(texts), "first": texts[:MOST_NAMED]}
            for kind, texts in by_kind(found.listing.faults).items()
        ],
        "left_out": [asdict(one) for one in found.listing.left_out],
        "warnings": found.listing.warnings,
    }


def _json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The report in a few lines for a terminal."""
    lines = [f"{report['dataset']}: {report['images']} images of {report['identities']} identities"]
    for split, counts in report["splits"].items():
        cameras = ", ".join(f"camera {camera}: {count}" for camera, count in counts["cameras"].items() if camera != "0")
        where = f" ({cameras})" if cameras else ""
        lines.append(f"  {split}: {counts['images']} images of {counts['identities']} identities{where}")
    if report["repeated_splits"]:
        lines.append(f"  {len(report['repeated_splits'])} repeated splits, the first is shown")
    lines.append(f"  {report['keypoints']['annotated_images']} images with keypoints")
    return lines + list(_left_out_lines(report["left_out"])) + [f"  note: {warning}" for warning in report["warnings"]]


def _left_out_lines(left_out: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The first few of each kind, and how many more the report lists."""
    kinds = defaultdict(list)
    for one in (LeftOut(**one) for one in left_out):
        kinds[one.kind].append(one)
    for kind, some in kinds.items():
        yield from (f"  left out: {one.path}: {one.reason}" for one in some[:MOST_NAMED])
        if len(some) > MOST_NAMED:
            yield f"  left out: {kind}: {len(some) - MOST_NAMED} more, {len(some)} in all, listed in the report"


def _assign_splits(images: list[Checked], listing: Listing, config: Any) -> tuple[list[Checked], list[dict], list[str]]:
    """The images with the final `split` of their sources (of repeated splits, the first), the splits and warnings."""
    if config.layout == "market1501":  # its folders are its split
        return images, [], []
    sources, splits, warnings = LAYOUTS[config.layout].assign_splits([one.source for one in images], listing, config)
    if splits:
        names = _splits_of(sources, splits, 0)
        sources = [replace(source, split=name) for source, name in zip(sources, names, strict=True)]
    return [replace(image, source=s) for image, s in zip(images, sources, strict=True)], splits, warnings


def _splits_of(sources: Sequence[Source], splits: list[dict[str, list[int]]], index: int) -> list[str]:
    if not splits:
        return [source.split for source in sources]
    written = np.array([source.split for source in sources], dtype=object)
    identity = np.array([source.identity for source in sources])
    camera = np.array([source.camera for source in sources])
    return resolve_split(written, identity, camera, splits, index).tolist()


def _empty_splits(sources: Sequence[Source], config: Any) -> list[Fault]:
    missing = checks.empty_splits(source.split for source in sources)
    missing = [name for name in missing if name != "train" or config.trained_on is None]  # nothing is trained on it
    why_empty = LAYOUTS[config.layout].why_empty
    return [Fault("empty splits", f"split {name} is empty: {why_empty(name, sources, config)}") for name in missing]


def _leaks(sources: Sequence[Source], config: Any) -> list[Fault]:
    """A dog's clip may not be in train and test; Market-1501's sequences are shared by both by design."""
    return checks.leaks(sources, by_sequence=config.protocol == "dogs")


def _with_fewer(
    images: list[Checked], splits: list[dict], config: Any, listing: Listing
) -> tuple[list[Checked], list[dict]]:
    """With some of the training identities alone; a note or a fault of it is added to the listing."""
    try:
        images, splits, note = with_fewer_identities(images, splits, config.train_identities)
    except DataError as error:
        listing.fault("too few training identities", f"{config.folder}: {error}")
    else:
        listing.warnings.append(note)
    return images, splits


def _drop_own_attributes(listing: Listing, config: Any) -> None:
    """A table of images may have attributes beside its paths, which are not read where a model is to predict them."""
    if config.attributes is None or isinstance(config.attributes, str) or not listing.attributes:
        return
    named, by = ", ".join(listing.attributes), config.attributes.predicted_by
    listing.warnings.append(f"the table's attributes ({named}) are not read: {by}'s model predicts them")
    listing.attributes = {}
    listing.sources = [replace(source, attributes={}) for source in listing.sources]


def _keypoint_faults(images: Sequence[Checked], table: KeypointTable, config: Any, listing: Listing) -> list[Fault]:
    if table is NO_KEYPOINTS:
        return []
    where = f"{config.folder}/{config.keypoints.file}"
    packed = {image.source.path: (image.look.width, image.look.height) for image in images}
    strangers = sorted(table.points.keys() - packed.keys())
    if len(strangers) == len(table.points):
        text = f"{where}: annotates no image of the data set (images = {config.keypoints.images!r}): {few(strangers)}"
        return [Fault("keypoints of no image", text)]
    if strangers:
        listing.warnings.append(f"{where}: {len(strangers)} annotated images are not packed: {few(strangers)}")
    if table.crowded:
        listing.warnings.append(f"{where}: {table.crowded} images have several annotations, the largest box is taken")
    return [
        Fault(
            "keypoints at another size",
            f"{where}: {path} is annotated at {table.sizes[path]} pixels, the image has {packed[path]}",
        )
        for path in sorted(table.points.keys() & packed.keys())
        if table.sizes[path] != packed[path]
    ]


def _lonely_queries(sources: Sequence[Source], splits: list[dict[str, list[int]]]) -> list[str]:
    """Warn of queries to which the gallery has no image of their identity from another camera or sequence."""
    warnings = []
    for index in range(max(1, len(splits))):
        views = {"query": defaultdict(set), "gallery": defaultdict(set)}  # identity -> cameras, or sequences
        for source, split in zip(sources, _splits_of(sources, splits, index), strict=True):
            if split in views:
                views[split][source.identity].add(source.camera or source.sequence)
        lonely = sum(not views["gallery"][who] - {own} for who, asked in views["query"].items() for own in asked)
        if lonely:
            named = f"split {index}: " if splits else ""
            warnings.append(f"{named}{lonely} query views have no true match in the gallery and cannot be scored")
    return warnings


def _near_copies(images: Sequence[Checked], splits: list[dict[str, list[int]]]) -> list[str]:
    """Warn of images that look the same and are in different parts, in whichever of the repeated splits."""
    fingerprints = np.stack([image.look.fingerprint for image in images])
    sources = [image.source for image in images]
    pairs: set[tuple[int, int]] = set()
    for index in range(max(1, len(splits))):
        parts = [checks.part_of(split) for split in _splits_of(sources, splits, index)]
        pairs |= {tuple(sorted(pair)) for pair in near_copies(fingerprints, np.array(parts, dtype=object))}
    if not pairs:
        return []
    names = [" and ".join(f"{sources[i].path} ({sources[i].split})" for i in pair) for pair in sorted(pairs)]
    named = few(names, MOST_NAMED)
    return [f"{len(pairs)} pairs of images in different parts look like copies, encoded anew or scaled: {named}"]


def _rows(found: Ingested, root: Path) -> Iterator[dict[str, Any]]:
    for image in track(found.images, "packing", total=len(found.images)):
        source = image.source
        content = (root / source.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != image.sha256:
            raise DataError(f"{root / source.path}: changed while the data set was being read")
        yield {
            "path": source.path,
            "split": source.split,
            "identity": source.identity,
            "identity_name": source.identity_name,
            "camera": source.camera,
            "sequence": source.sequence,
            "date": source.date,
            "place": source.place,
            "width": image.look.width,
            "height": image.look.height,
            "sha256": image.sha256,
            "image": content,
            "keypoints": found.keypoints.points.get(source.path),
            **{f"attr_{name}": source.attributes.get(name) for name in found.meta.attributes},
        }


def _identities(sources: Sequence[Source]) -> int:
    return len({source.identity for source in sources if source.identity > 0})


def _counts(sources: Sequence[Source]) -> dict[str, Any]:
    cameras = Counter(source.camera for source in sources)
    return {
        "images": len(sources),
        "identities": _identities(sources),
        "cameras": {str(camera): cameras[camera] for camera in sorted(cameras)},
    }


def _word_counts(sources: Sequence[Source], name: str, words: Sequence[str]) -> dict[str, int]:
    counts = Counter(source.attributes.get(name) for source in sources)
    return {word: counts[word] for word in words} | {"missing": counts[None]}
