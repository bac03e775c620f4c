"""A study's search, opened to be served: its networks, its fusion, and the base in the home folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from auxreid.data.frames import open_frames
from auxreid.lostpets.dog_crops import FindDogs, no_crops
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.indexing.home import open_home_base
from auxreid.lostpets.looker import Looker, reader_of
from auxreid.lostpets.service.looking import SharedLooker
from auxreid.lostpets.study import RESULTS, open_made
from auxreid.search.index import frame_names, read_facts

QUALITY = 90  # of JPEG


@dataclass(frozen=True)
class Opened:
    """An engine, and what has a data set's photographs at their full size."""

    engine: Engine
    larger: Callable[[str], bytes | None]


def open_study(home: Path, dataset: str | None, root: Path = Path(), find_dogs: FindDogs = no_crops) -> Opened:
    """The search of a data set, whose rows are in the home folder's base afterwards.

    Raises:
        ConfigError: no data set has a search, several have and none is named, or the base is of other networks.
        DataError: a part of it is missing or broken.
    """
    made = open_made(dataset, root)
    base = open_home_base(home, made.rows)
    looker = SharedLooker(Looker(made.files), find_dogs)
    engine = Engine(looker, base, made.fusion, read=reader_of(made.files, made.fusion))
    return Opened(engine, Large(root / RESULTS / "ingest" / made.dataset / "frames.arrow"))


class Large:
    """Photographs of a data set by their names in the base, as JPEG; none where its frames are not here."""

    def __init__(self, path: Path):
        self._frames, self._places = None, {}
        if path.is_file():
            self._frames = open_frames(path)
            self._places = dict(_places(path, self._frames.frame_id))

    def __call__(self, frame: str) -> bytes | None:
        if frame not in self._places:
            return None
        pixels = self._frames.image(self._places[frame])
        return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _places(path: Path, frame_id: np.ndarray) -> Iterator[tuple[str, int]]:
    names = frame_names(read_facts(path, frame_id)["sha256"])
    return zip(names.tolist(), range(len(names)), strict=True)
