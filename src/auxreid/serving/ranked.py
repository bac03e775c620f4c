"""A gallery of photographs ranked for one individual: the first places as a list and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auxreid.data.captions import fitted
from auxreid.evaluation.ranked_lists import CAPTION_WIDTH, LIST_LENGTH, Entry, draw_lists, query_entry, save_jpeg
from auxreid.evaluation.ranking import squared_distances
from auxreid.plumbing.base.errors import DataError
from auxreid.serving.photos import Photo, Photos


@dataclass(frozen=True)
class Place:
    """A photograph of the gallery, and its squared Euclidean distance to the query, from 0 to 4."""

    photo: Photo
    distance: float


def without_queries(gallery: Sequence[Path], queries: Sequence[Path]) -> list[Path]:
    """The gallery without the files that ask: each would find itself.

    Raises:
        DataError: nothing is left.
    """
    asking = {path.resolve() for path in queries}
    kept = [path for path in gallery if path.resolve() not in asking]
    if not kept:
        raise DataError(f"{gallery[0].parent}: no images but the query's own to be ranked")
    return kept


def rank(query: np.ndarray, gallery: np.ndarray, photos: Sequence[Photo]) -> list[Place]:
    """The first places, nearest first; equal distances in the gallery's order.

    Args:
        query: [q, d] of one individual, which is their plain mean, as of a track in the multi-shot protocol.
        gallery: [n, d] of the photographs.
    """
    (distances,) = squared_distances(query.mean(axis=0, keepdims=True), gallery)
    first = np.argsort(distances, kind="stable")[:LIST_LENGTH]
    return [Place(photos[place], float(distances[place])) for place in first]


def draw(queries: Sequence[Photo], places: Sequence[Place], path: Path) -> None:
    """Write the picture of a ranked list, as the evaluation draws it; no frame says which places are true."""
    shown = [queries[len(queries) // 2], *(place.photo for place in places)]
    names = ["/".join(Path(photo.name).parts[-2:]) for photo in shown]  # files of many folders are all called 0001.png
    captions = [fitted(name, CAPTION_WIDTH) for name in names]
    head = query_entry(0, captions, "query" if len(queries) == 1 else f"of {len(queries)} photos")
    cells = [
        Entry(number, f"{captions[number]}\n{place.distance:.4f}", is_true=None)
        for number, place in enumerate(places, start=1)
    ]
    save_jpeg(draw_lists([[head, *cells]], Photos(shown).image), path)


def print_places(places: Sequence[Place]) -> None:
    """As a table at its full width: a path cut short is of no use."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, side in (("rank", "right"), ("squared distance", "right"), ("photograph", "left")):
        table.add_column(heading, justify=side, no_wrap=True)
    for number, place in enumerate(places, start=1):
        table.add_row(str(number), f"{place.distance:.4f}", escape(place.photo.name))
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=10_000)).maximum)
    console.print(table)
