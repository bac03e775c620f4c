"""What reading a data set's folder yields, before any image is opened."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auxreid.data.vocabulary import Telling, Vocabulary
from auxreid.plumbing.base.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
NOT_AN_IMAGE = f"not an image (endings read: {', '.join(sorted(IMAGE_SUFFIXES))})"
LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"})  # what systems leave in folders
OF_A_SYSTEM = "not an image (hidden, or left by a file manager)"
MOST_NAMED = 10  # of one kind


@dataclass(frozen=True)
class Source:
    """One image file, and what its name, folder or table row says about it."""

    path: str  # relative to the data set's folder, with forward slashes
    split: str
    identity: int
    identity_name: str
    camera: int = 0
    sequence: str = ""
    date: str = ""
    place: str = ""
    attributes: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A file that is not packed, and why."""

    path: str
    reason: str

    @property
    def kind(self) -> str:
        return self.reason.partition(":")[0]


@dataclass(frozen=True)
class Fault:
    """What would falsify a result: those of one `kind` are told together."""

    kind: str
    text: str


@dataclass
class Listing:
    """All sources of a data set, with what was found wrong on the way.

    `faults` would falsify a result: they are collected, so that one run names them all, and then stop it.
    """

    sources: list[Source] = field(default_factory=list)
    attributes: Vocabulary = field(default_factory=dict)  # those that the data set has
    telling: Telling = ()  # of an animal's
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, kind: str, text: str) -> None:
        self.faults.append(Fault(kind, text))


def stop_on(faults: Sequence[Fault], data_set: str, more: str = "") -> None:
    """Raise one DataError that names the first faults of each kind and counts the others; `more` ends it."""
    if faults:
        shown = [
            f"  - {text}"
            for kind, texts in by_kind(faults).items()
            for text in [*texts[:MOST_NAMED], *_others(kind, len(texts))]
        ]
        head = f"data set {data_set} cannot be used, {len(faults)} fault(s):"
        raise DataError("\n".join([head, *shown, more]).rstrip())


def by_kind(faults: Sequence[Fault]) -> dict[str, list[str]]:
    texts = defaultdict(list)
    for fault in faults:
        texts[fault.kind].append(fault.text)
    return texts


def _others(kind: str, count: int) -> list[str]:
    return [f"{kind}: {count - MOST_NAMED} more, {count} in all"] if count > MOST_NAMED else []


def image_paths(folder: Path, root: Path, listing: Listing) -> Iterator[Path]:
    """The image files of one folder in order of their names; every other file is listed as left out.

    A folder that is not there is a fault.
    """
    for path in entries(folder, root, listing):
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            yield path
        else:
            what = "a folder where images are expected" if path.is_dir() else NOT_AN_IMAGE
            listing.left_out.append(LeftOut(path.relative_to(root).as_posix(), what))


def entries(folder: Path, root: Path, listing: Listing) -> Iterator[Path]:
    """What lies in a folder, in order of names, but for what systems leave there, which is listed as left out."""
    if not folder.is_dir():
        listing.fault("no such folder", f"{folder}: no such folder")
        return
    for path in sorted(folder.iterdir()):
        if is_litter(path.name):
            listing.left_out.append(LeftOut(path.relative_to(root).as_posix(), OF_A_SYSTEM))
        else:
            yield path


def is_litter(name: str) -> bool:
    """Whether a file or folder is none of the user's: hidden, as macOS's `._*` are, or a file manager's own."""
    return name.startswith(".") or name.lower() in LITTER


def check_words(where: str, row: Mapping[str, str | None], vocabulary: Vocabulary) -> list[Fault]:
    """A fault for each attribute of a row whose word is not in the vocabulary; None is a missing value."""
    return [
        Fault(f"column {name}", f"{where}, column {name}: {row[name]!r}, allowed: {', '.join(words)}")
        for name, words in vocabulary.items()
        if row.get(name) is not None and row[name] not in words
    ]
