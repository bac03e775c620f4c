"""Looking at photographs, one request at a time, and what was seen in the last hour, so that nothing is seen twice."""

import hashlib
import time
from collections.abc import Collection, Sequence
from threading import Lock
from typing import Protocol

from auxreid.lostpets.dog_crops import FindDogs, no_crops
from auxreid.lostpets.query import Crop
from auxreid.search.looks import Looks, joined

MOST = 1000  # photographs whose looks are kept


class Looking(Protocol):
    """What looks at photographs."""

    model: str

    def look(self, photos: Sequence[bytes], crops: Sequence[Crop | None] = ()) -> Looks: ...


class SharedLooker:
    """A looker for several threads: the networks see the photographs of one request at a time, each photograph once.

    `seconds` and `photos` tell for how long the networks were at work, and on how many photographs.

    Args:
        find_dogs: crops for photographs whose asker has made none.
    """

    def __init__(self, looker: Looking, find_dogs: FindDogs = no_crops):
        self._looker, self.model, self.find_dogs = looker, looker.model, find_dogs
        self._networks, self._keeping = Lock(), Lock()
        self._kept: dict[tuple[str, Crop | None], tuple[float, Looks]] = {}
        self.seconds, self.photos = 0.0, 0

    def look(self, photos: Sequence[bytes], crops: Sequence[Crop | None] = ()) -> Looks:
        """As the looker does."""
        asked = [None if one is None else tuple(one) for one in no_crops(photos, crops)]
        keys = [(hashlib.sha256(photo).hexdigest(), crop) for photo, crop in zip(photos, asked, strict=True)]
        found = {key: self._known(key) for key in keys}
        new = {key: place for place, key in enumerate(keys) if found[key] is None}
        if new:
            unseen = [photos[place] for place in new.values()]
            parts = self.find_dogs(unseen, [crop for _, crop in new])
            with self._networks:
                began = time.perf_counter()
                looks = self._looker.look(unseen, parts)
                self.seconds += time.perf_counter() - began
                self.photos += len(new)
            for place, key in enumerate(new):
                found[key] = looks.take([place])
                self._keep(key, found[key])
        return joined([found[key] for key in keys])

    def forget(self, photos: Collection[str]) -> None:
        """What was seen on photographs, by the SHA-256 of their bytes."""
        with self._keeping:
            for key in [key for key in self._kept if key[0] in photos]:
                del self._kept[key]

    def forget_old(self, seconds: float) -> None:
        """What was seen, and not asked for since, longer ago."""
        before = time.monotonic() - seconds
        with self._keeping:
            for key in [key for key, (then, _) in self._kept.items() if then < before]:
                del self._kept[key]

    def _known(self, key: tuple[str, Crop | None]) -> Looks | None:
        with self._keeping:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._kept[key] = (time.monotonic(), kept[1])
            return kept and kept[1]

    def _keep(self, key: tuple[str, Crop | None], looks: Looks) -> None:
        with self._keeping:
            self._kept[key] = (time.monotonic(), looks)
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
