"""A study's rows (stage `index`) in a base: what changed is replaced, and nothing else is touched."""

import numpy as np

from auxreid.lostpets.base.base import Base
from auxreid.lostpets.base.row import Header, Row
from auxreid.lostpets.candidates import Record
from auxreid.lostpets.memory import day
from auxreid.lostpets.service.coarse import coarse_or_none
from auxreid.search.rows import IndexRows

BATCH = 1000


def header_for(rows: IndexRows) -> Header:
    """Of a base that can hold them."""
    told = rows.header
    return Header(told.model, told.model_name, told.dimensions, told.vocabulary)


def bring_in(base: Base, rows: IndexRows) -> tuple[int, int]:
    """The base has these rows of their data set, and no others of it.

    Returns:
        How many were added, and how many removed. A row that changed is both.
    """
    source = rows.header.dataset
    here = {frame: place for place, frame in enumerate(rows.frame.tolist())}
    same, gone = set(), []
    for record, vector in base.of_source(source):
        place = here.get(record.frame)
        if place is not None and _is(record, vector, rows, place):
            same.add(place)
        else:
            gone.append(record.frame)
    new = [place for place in range(len(rows)) if place not in same]
    base.remove(frames=gone)
    base.remove(frames=base.known(rows.frame[new].tolist()))  # that somebody indexed before they were of the study
    for start in range(0, len(new), BATCH):
        base.add([row_of(rows, place) for place in new[start : start + BATCH]])
    return len(new), len(gone)


def row_of(rows: IndexRows, place: int) -> Row:
    """One row of a study as one of a base."""
    known = not np.isnan(rows.latitude[place]) and not np.isnan(rows.longitude[place])
    at = (float(rows.latitude[place]), float(rows.longitude[place])) if known else (None, None)
    latitude, longitude = coarse_or_none(*at)
    return Row(
        frame=str(rows.frame[place]),
        dog=str(rows.dog[place]),
        embedding=rows.looks.embedding[place],
        probabilities={name: values[place] for name, values in rows.looks.probabilities.items()},
        thumbnail=rows.thumbnail[place],
        sequence=str(rows.sequence[place]),
        date=day(str(rows.date[place])),
        place=str(rows.place[place]),
        latitude=latitude,
        longitude=longitude,
        source=rows.header.dataset,
    )


def _is(record: Record, vector: np.ndarray, rows: IndexRows, place: int) -> bool:
    """Whether the base's row is this one. The thumbnail follows from the frame, whose name is the file's hash."""
    new = row_of(rows, place)
    facts = all(getattr(record, name) == getattr(new, name) for name in Record.__slots__)
    return facts and np.array_equal(vector, np.concatenate([new.embedding, *new.probabilities.values()]))
