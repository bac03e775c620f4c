"""Reports that a new one may be another of: by the photograph itself, by one that is nearly it, or by the engine."""

from collections.abc import Sequence

import numpy as np

from auxreid.lostpets.query import Crop, Facts, Query
from auxreid.lostpets.service.schemas import Duplicate
from auxreid.lostpets.service.state import Service
from auxreid.lostpets.service.uploads import Photo

ALIKE = 0.99  # correlation of two photographs at 8 x 8 pixels, from which on one is a copy of the other
MOST = 5  # that the engine adds


def near_duplicates(service: Service, photos: Sequence[Photo], crops: Sequence[Crop | None]) -> list[Duplicate]:
    """Open reports, the surest first."""
    rows = service.store.rows(
        "select r.id, r.kind, p.name, p.fingerprint from reports r join report_photos x on x.report = r.id "
        "join photos p on p.name = x.photo where r.state = 'open' order by r.created desc"
    )
    if not rows:
        return []
    names = {photo.name for photo in photos}
    kinds = {row["id"]: row["kind"] for row in rows}
    found = {row["id"]: "same photograph" for row in rows if row["name"] in names}
    prints = np.stack([np.frombuffer(row["fingerprint"], np.float32) for row in rows])
    alike = (prints @ np.stack([photo.fingerprint for photo in photos]).T).max(axis=1) >= ALIKE
    for row, is_alike in zip(rows, alike, strict=True):
        if is_alike:
            found.setdefault(row["id"], "alike photograph")
    for report in _matches(service, photos, crops):
        if report in kinds:
            found.setdefault(report, "match")
    return [Duplicate(report=report, kind=kinds[report], why=why) for report, why in found.items()]


def _matches(service: Service, photos: Sequence[Photo], crops: Sequence[Crop | None]) -> list[str]:
    contents = tuple(photo.content for photo in photos)
    query = Query(contents, tuple(crops), facts=Facts(kinds=("lost", "found")), dogs=MOST)
    answer = service.engine.search(query)
    return [dog.report for dog in answer.dogs if dog.decision == "match" and dog.report is not None]
