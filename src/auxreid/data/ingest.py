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
from auxreid.data.frames import FramesMeta, resolve_split, write_frames
from auxreid.data.layouts import dogs, market1501, prid2011
from auxreid.data.layouts.listing import Listing, Source, few, stop_on
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import write_text
from auxreid.plumbing.base.progress import track

LISTERS = {"market1501": market1501.list_sources, "prid2011": prid2011.list_sources, "dogs": dogs.list_sources}
SPLITTERS = {"prid2011": prid2011.assign_splits, "dogs": dogs.assign_splits}  # Market-1501's folders are its split
NO_KEYPOINTS = KeypointTable([], [], {}, {}, 0)


@dataclass(frozen=True)
class Ingested:
    """What a data set consists of once it is checked, and what was left out of it."""

    images: list[Checked]
    listing: Listing
    keypoints: KeypointTable
    meta: FramesMeta


def ingest(config: Any, out: str | Path) -> dict[str, Any]:
    """Pack the data set that `config` (a DatasetConfig) describes into `out`/frames.arrow, beside `out`/report.json.

    Images that cannot be used are left out and listed in the report with the reason. Nothing in the data set's folder
    is changed.

    Returns:
        the report.

    Raises:
        DataError: whatever would falsify a result, every such fault by name: an identity in both train and test, an
            empty split, a wrong file name, an attribute outside its vocabulary, a missing file, folder or column, or
            too many broken images.
    """
    out, root = Path(out), Path(config.folder)
    found = examine(config)
    write_frames(out / "frames.arrow", _rows(found, root), found.meta)
    report = summarise(found)
    write_text(out / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return report


def examine(config: Any) -> Ingested:
    """Read and check a data set without writing anything; raises as `ingest` does."""
    root = Path(config.folder)
    if not root.is_dir():
        raise DataError(f"data set {config.name}: no such folder: {root}")
    listing = LISTERS[config.layout](root, config)
    given = config.keypoints
    keypoints = read_coco(root / given.file, given.images or ".") if given else NO_KEYPOINTS
    # These are known without opening any image, so that a wrong folder fails at once.
    stop_on(listing.faults + _leaks(listing.sources, config), config.name)

    images, broken = checks.check_images(listing.sources, root)
    faults = checks.too_many_broken(len(broken), len(listing.sources))
    images, copies, mixed = checks.without_duplicates(images)
    listing.left_out += broken + copies
    images, splits, warnings = _assign_splits(images, listing, config)
    listing.warnings += warnings
    faults += mixed + checks.empty_splits((image.source for image in images), config.layout)
    faults += _leaks([image.source for image in images], config)
    faults += _keypoint_faults(images, keypoints, config, listing)
    stop_on(faults, config.name)
    listing.warnings += _lonely_queries([image.source for image in images], splits)
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
    )
    return Ingested(images, listing, keypoints, meta)


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
    lines += [f"  left out: {one['path']}: {one['reason']}" for one in report["left_out"][:10]]
    if len(report["left_out"]) > 10:
        lines.append(f"  left out: {len(report['left_out']) - 10} more, listed in the report")
    return lines + [f"  note: {warning}" for warning in report["warnings"]]


def _assign_splits(images: list[Checked], listing: Listing, config: Any) -> tuple[list[Checked], list[dict], list[str]]:
    """The images with the final `split` of their sources (of repeated splits, the first), the splits and warnings."""
    if config.layout not in SPLITTERS:
        return images, [], []
    sources, splits, warnings = SPLITTERS[config.layout]([image.source for image in images], listing, config)
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


def _leaks(sources: Sequence[Source], config: Any) -> list[str]:
    """A dog's clip may not be in train and test; Market-1501's sequences are shared by both by design."""
    return checks.leaks(sources, by_sequence=config.layout == "dogs")


def _keypoint_faults(images: Sequence[Checked], table: KeypointTable, config: Any, listing: Listing) -> list[str]:
    if table is NO_KEYPOINTS:
        return []
    where = f"{config.folder}/{config.keypoints.file}"
    packed = {image.source.path: (image.width, image.height) for image in images}
    strangers = sorted(table.points.keys() - packed.keys())
    if len(strangers) == len(table.points):
        return [f"{where}: annotates no image of the data set (images = {config.keypoints.images!r}): {few(strangers)}"]
    if strangers:
        listing.warnings.append(f"{where}: {len(strangers)} annotated images are not packed: {few(strangers)}")
    if table.crowded:
        listing.warnings.append(f"{where}: {table.crowded} images have several annotations, the largest box is taken")
    return [
        f"{where}: {path} is annotated at {table.sizes[path]} pixels, the image has {packed[path]}"
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
            "width": image.width,
            "height": image.height,
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
