"""Market-1501's folders: bounding_box_train, query and bounding_box_test (Zheng et al., ICCV 2015)."""

import re
from collections.abc import Sequence
from pathlib import Path

from auxreid.data.layouts.listing import Listing, Source, image_paths
from auxreid.data.layouts.person_attributes import note_people_without, read_person_attributes

FOLDERS = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
# Copies with a doubled ending (.jpg.jpg) are about, and some with endings in capitals.
FILE_NAME = re.compile(r"(-1|\d{4})_c([1-6])s(\d+)_\d+_\d+(?i:\.jpg){1,2}")
NAME = "{:04d}"  # of an identity
FORM = "<id>_c<camera>s<sequence>_<frame>_<box>.jpg, id -1 or four digits, camera 1..6"


def list_sources(root: Path, config) -> Listing:
    """List the images of a Market-1501 folder, with their people's attributes if the data set names a table."""
    listing = Listing()
    table = read_person_attributes(root / config.attributes, NAME, listing) if config.attributes else {}
    for folder, split in FOLDERS.items():
        for path in image_paths(root / folder, root, listing):
            match = FILE_NAME.fullmatch(path.name)
            if match is None:
                listing.fault("a wrong file name", f"{path}: a wrong file name, allowed: {FORM}")
            elif split != "gallery" and int(match[1]) <= 0:
                text = f"{path}: junk and distractors (identity {match[1]}) belong in the gallery only"
                listing.fault("junk outside the gallery", text)
            else:
                listing.sources.append(_source(path.relative_to(root).as_posix(), split, match, table))
    if table:
        people = {source.identity_name for source in listing.sources if source.identity > 0}
        note_people_without(people, table, root / config.attributes, listing)
    return listing


def why_empty(split: str, usable: Sequence[Source], config) -> str:
    """Why a split that must not be empty is."""
    folder = next(folder for folder, name in FOLDERS.items() if name == split)
    return f"{Path(config.folder) / folder} holds no image that can be used"


def _source(path: str, split: str, match: re.Match, table: dict) -> Source:
    return Source(
        path=path,
        split=split,
        identity=int(match[1]),
        identity_name=match[1],
        camera=int(match[2]),
        sequence=f"c{match[2]}s{match[3]}",
        attributes=table.get(match[1], {}),
    )
