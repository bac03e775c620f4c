"""`auxreid search`: a study's search from its results alone, with the base in memory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from auxreid.lostpets.dog_crops import dog_crops
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.looker import Looker, reader_of
from auxreid.lostpets.memory import MemoryBase
from auxreid.lostpets.query import Query
from auxreid.lostpets.shown import draw_answer, print_answer
from auxreid.lostpets.study import open_made
from auxreid.serving.photos import image_files, open_photos


def answer_of(
    query: Query,
    photos: Sequence[Path],
    dataset: str | None,
    out: Path | None,
    as_json: bool,
    language: str,
    detector: Path | None = None,
) -> None:
    """Print the answer to a query of these photographs, and draw it where a picture is asked for.

    Args:
        detector: weights by which photographs are cropped to their dogs.

    Raises:
        ConfigError, DataError: there is no search, a photograph cannot be used, or as Engine.search.
    """
    files = image_files(photos)
    images = open_photos(files) if files else ()
    made = open_made(dataset)
    base = MemoryBase(made.rows)
    read = reader_of(made.files, made.fusion) if query.text.strip() else None
    engine = Engine(Looker(made.files) if files else None, base, made.fusion, read=read)
    contents = tuple(path.read_bytes() for path in files)
    crops = () if detector is None else tuple(dog_crops(detector)(contents, ()))
    answer = engine.search(replace(query, photos=contents, crops=crops))
    if as_json:
        print(answer.model_dump_json(indent=2))
    else:
        print_answer(answer, language)
    if out is not None:
        draw_answer(answer, [images.image(place) for place in range(len(images))], base.thumbnail, out, language)
        if not as_json:
            print(out)
