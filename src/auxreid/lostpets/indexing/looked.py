"""Photographs as rows of a base, looked at by the networks."""

from collections.abc import Sequence
from dataclasses import dataclass

from auxreid.data.layouts.listing import LeftOut
from auxreid.lostpets.base.row import Row
from auxreid.lostpets.indexing.photographs import Photograph
from auxreid.lostpets.looker import Looker
from auxreid.lostpets.service.coarse import coarse_or_none
from auxreid.search.index import thumbnail
from auxreid.serving.photos import Photos, look_at


@dataclass(frozen=True)
class Looked:
    """The rows of those photographs that can be used, and the others with the reasons."""

    rows: list[Row]
    left_out: list[LeftOut]


def look(looker: Looker, names: Sequence[str], photographs: Sequence[Photograph], source: str) -> Looked:
    """One batch.

    Args:
        names: of each photograph the name that it gets in the base.
    """
    checked, left_out = look_at([one.path for one in photographs])
    usable = [place for place, photo in enumerate(checked) if photo is not None]
    if not usable:
        return Looked([], left_out)
    photos = Photos([checked[place] for place in usable])
    looks = looker.networks.look(photos)
    rows = []
    for number, place in enumerate(usable):
        one = photographs[place]
        facts = {name: getattr(one, name) for name in ("dog", "sequence", "date", "place")}
        latitude, longitude = coarse_or_none(one.latitude, one.longitude)
        rows.append(
            Row(
                frame=names[place],
                embedding=looks.embedding[number],
                probabilities={name: values[number] for name, values in looks.probabilities.items()},
                thumbnail=thumbnail(photos.image(number)),
                latitude=latitude,
                longitude=longitude,
                source=source,
                **facts,
            )
        )
    return Looked(rows, left_out)
