"""Market-1501's folders: bounding_box_train, query and bounding_box_test (Zheng et al., ICCV 2015), and sets like it.

`folders` and `file_name` read other folders and names, as DukeMTMC's; `lists` reads MSMT17's: a text file per split,
whose lines give a path below the split's folder and a person's number, from 0 on, in training of other people than in
the test.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from auxreid.data.layouts.listing import IMAGE_SUFFIXES, Listing, Source, image_paths
from auxreid.data.layouts.person_attributes import note_people_without, read_person_attributes
from auxreid.plumbing.base.errors import DataError

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
FILE_NAME = r"(?P<identity>-1|\d{4})_c(?P<camera>[1-6])s(?P<sequence>\d+)_\d+_\d+"
NAME = "{:04d}"  # of an identity
FORM = "<id>_c<camera>s<sequence>_<frame>_<box>.jpg, id -1 or four digits, camera 1..6"
TRAINED = 1_000_000  # where lists number people: added to those of training, who are others than those tested


def list_sources(root: Path, config) -> Listing:
    """List the images of such a folder, with their people's attributes if the data set names a table."""
    listing = Listing()
    named = config.attributes if isinstance(config.attributes, str) else None  # else a model predicts them, or none
    table = read_person_attributes(root / named, NAME, listing) if named else {}
    folders, pattern = _folders(config), re.compile(config.file_name or FILE_NAME)
    for split, folder in folders.items():
        for path, number in _images(root, folder, split, config, listing):
            match = pattern.fullmatch(_stem(path.name))
            if match is None or not _numbered(match, listed=number is not None):
                form = FORM if config.file_name is None else f"names that match file_name, {config.file_name}"
                digits = "" if match is None else ", with digits for camera and identity"
                listing.fault("a wrong file name", f"{path}: a wrong file name, allowed: {form}{digits}")
                continue
            source = _source(path.relative_to(root).as_posix(), split, match, number, table)
            if split != "gallery" and source.identity <= 0:
                text = f"{path}: junk and distractors (identity {source.identity_name}) belong in the gallery only"
                listing.fault("junk outside the gallery", text)
            else:
                listing.sources.append(source)
    if table:
        people = {source.identity_name for source in listing.sources if source.identity > 0}
        note_people_without(people, table, root / named, listing)
    _count_cameras_from_one(listing)
    return listing


def why_empty(split: str, usable: Sequence[Source], config) -> str:
    """Why a split that must not be empty is."""
    return f"{Path(config.folder) / _folders(config)[split]} holds no image that can be used"


def _folders(config) -> dict[str, str]:
    """The folder of each split."""
    return FOLDERS if config.folders is None else config.folders.model_dump()


def _images(root: Path, folder: str, split: str, config, listing: Listing) -> Iterator[tuple[Path, int | None]]:
    """The images of a split, each with its person's number where a list gives it."""
    if config.lists is None:
        yield from ((path, None) for path in image_paths(root / folder, root, listing))
        return
    for name in getattr(config.lists, split):
        yield from _listed(root / name, root / folder, listing)


def _listed(table: Path, folder: Path, listing: Listing) -> Iterator[tuple[Path, int]]:
    """What a list names: a path and a number a line, apart by a space.

    Raises:
        DataError: no such list.
    """
    if not table.is_file():
        raise DataError(f"{table}: no such file, which `lists` names")
    missing = []
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        path, _, person = line.strip().rpartition(" ")
        if not path or not person.isdecimal():
            text = f"{table}, line {number}: {line.strip()[:80]!r}, allowed: a path, a space and a number from 0 on"
            listing.fault("a wrong line", text)
        elif not (folder / path).is_file():
            missing.append(f"{table}, line {number}: no such file: {folder / path}")
        elif (folder / path).suffix.lower() not in IMAGE_SUFFIXES:
            listing.fault("a wrong line", f"{table}, line {number}: not an image: {path}")
        else:
            yield folder / path, int(person)
    for text in missing:
        listing.fault("files that are not there", text)


def _numbered(match: re.Match, listed: bool) -> bool:
    """Whether what a file_name of one's own takes for numbers is some; who is on a listed image, its list says."""
    forms = {"camera": r"\d+"} if listed else {"camera": r"\d+", "identity": r"-?\d+"}
    return all(re.fullmatch(form, match[name] or "") for name, form in forms.items())


def _count_cameras_from_one(listing: Listing) -> None:
    """Give cameras that are counted from 0 numbers from 1 on, since a frame of camera 0 has none."""
    if all(source.camera for source in listing.sources):
        return
    listing.sources = [replace(source, camera=source.camera + 1) for source in listing.sources]
    listing.warnings.append("the file names count cameras from 0: their camera 0 is camera 1, 1 is 2, and so on")


def _stem(name: str) -> str:
    """Without its ending. Copies with a doubled one (.jpg.jpg) are about, and some with endings in capitals."""
    for _ in range(2):
        stem, dot, ending = name.rpartition(".")
        if dot and f".{ending.lower()}" in IMAGE_SUFFIXES:
            name = stem
    return name


def _source(path: str, split: str, match: re.Match, number: int | None, table: dict) -> Source:
    """An image by its name, or by a list's number for who is on it."""
    found = match.groupdict()
    if number is None:
        identity, name = int(found["identity"]), found["identity"]
    else:
        identity = number + 1 + (TRAINED if split == "train" else 0)
        name = f"{'train' if split == 'train' else 'test'}/{number:04d}"
    sequence = found.get("sequence")
    return Source(
        path=path,
        split=split,
        identity=identity,
        identity_name=name,
        camera=int(found["camera"]),
        sequence=f"c{found['camera']}" + (f"s{sequence}" if sequence else ""),
        attributes=table.get(name, {}),
    )
