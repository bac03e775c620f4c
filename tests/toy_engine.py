"""A lost-pet engine that sees colours alone, over generated photographs of dogs: for tests of the service and its page.

`python tests/toy_engine.py --home FOLDER --port 8000` serves it.
"""

import argparse
import hashlib
import io
import json
import sqlite3
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from dog_photos import COLOURS, dog_pixels

from auxreid.lostpets.answer import Understood
from auxreid.lostpets.base.row import Row
from auxreid.lostpets.candidates import Candidates
from auxreid.lostpets.engine import Engine, allowed
from auxreid.lostpets.narrowing import Known
from auxreid.lostpets.service.looking import SharedLooker
from auxreid.plumbing.base.errors import DataError
from auxreid.search.looks import Looks
from auxreid.search.stated import Stated

VOCABULARY = {
    "size": ("small", "medium", "large"),
    "coat_length": ("short", "long"),
    "ears": ("erect", "floppy"),
    "coat_colour": tuple(COLOURS),
    "collar": ("none", "red", "blue"),
    "tail": ("straight", "curled"),
}
RUSSIAN = {"маленькая": ("size", "small"), "большая": ("size", "large"), "белая": ("coat_colour", "white")}
BINS = 4  # of each colour, in the histogram
MODEL = hashlib.sha256(b"toy").hexdigest()
PLACES = (("Riga", 56.95, 24.11), ("Tartu", 58.38, 26.72), ("", None, None))


@dataclass(frozen=True)
class Header:
    model: str = MODEL
    model_name: str = "colours alone"
    dimensions: int = BINS**3
    vocabulary: Mapping[str, Sequence[str]] = None


class ToyLooker:
    """The histogram of colours as the embedding; coat_colour by the mean colour; the rest by the dog's number."""

    model, looked = MODEL, 0

    def look(self, photos, crops=()) -> Looks:
        self.looked += len(photos)
        pixels = [cropped(photo, crop) for photo, crop in zip(photos, crops or [None] * len(photos), strict=True)]
        seen = [probabilities(one) for one in pixels]
        together = {name: np.stack([one[name] for one in seen]) for name in VOCABULARY}
        return Looks(np.stack([histogram(one) for one in pixels]), together)


class ToyFusion:
    """The cosine, scaled, and plain agreement."""

    model = MODEL

    def terms(self, query, gallery, stated) -> dict[str, np.ndarray]:
        found = {"visual": np.zeros(len(gallery))}
        if query is not None:
            found["visual"] = 20 * (gallery.embedding @ query.embedding[0] - 0.8).astype(float)
        for name, words in VOCABULARY.items():
            asked = np.ones(len(words)) / len(words) if query is None else query.probabilities[name][0]
            if name in stated:
                asked = np.array([word in allowed(stated[name], words) for word in words], float)
                asked = asked / asked.sum()
            found[name] = np.log(len(words) * gallery.probabilities[name] @ asked + 0.05)
        return found

    def decide(self, score: float, searched: int, photos: int = 1, stated: int = 0) -> str:
        return "match" if score > 6 else "possible" if score > 2 else "no match"

    def to_json(self) -> str:
        return "{}"


class ToyBase:
    """Rows in SQLite, compared by numpy."""

    def __init__(self, path: Path):
        self.header, self._lock = Header(vocabulary=VOCABULARY), threading.RLock()
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._file.execute("create table if not exists rows (frame text, facts text, arrays blob, small blob)")
        rows = [_row(*parts) for parts in self._file.execute("select facts, arrays, small from rows order by rowid")]
        self.rows = {row.frame: row for row in rows}

    def add(self, rows) -> None:
        with self._lock:
            if twice := [row.frame for row in rows if row.frame in self.rows]:
                raise DataError(f"photograph {twice[0]!r} is there already")
            self._file.execute("begin")
            self._file.executemany("insert into rows values (?, ?, ?, ?)", [(row.frame, *_parts(row)) for row in rows])
            self._file.execute("commit")
            self.rows = self.rows | {row.frame: row for row in rows}

    def remove(self, *, frames=(), source=None) -> int:
        with self._lock:
            gone = {row.frame for row in self.rows.values() if row.frame in frames or row.source == source}
            self._file.executemany("delete from rows where frame = ?", [(frame,) for frame in gone])
            self.rows = {frame: row for frame, row in self.rows.items() if frame not in gone}
            return len(gone)

    def tidy(self) -> bool:
        return False

    def count(self) -> int:
        return len(self.rows)

    def sources(self) -> dict[str, int]:
        names = [row.source for row in self.rows.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    def candidates(self, embedding, facts, most, prefer=None) -> Candidates:
        rows = list(self.rows.values())
        left, filters = Known(rows).narrowed(facts)
        rows = [rows[place] for place in left]
        similarity = np.zeros(len(rows))
        if embedding is not None and rows:
            similarity = looks_of(rows).embedding @ embedding
        return Candidates(rows, looks_of(rows), similarity, filters, len(rows), len({row.dog for row in rows}))

    def record(self, frame: str) -> Row:
        if frame not in self.rows:
            raise DataError(f"{frame}: no such photograph")
        return self.rows[frame]

    def thumbnail(self, frame: str) -> bytes:
        return self.record(frame).thumbnail

    def looks(self, frames) -> Looks:
        return looks_of([self.record(frame) for frame in frames])


def looks_of(rows: Sequence[Row]) -> Looks:
    """What is seen on them."""
    sizes = {name: len(words) for name, words in VOCABULARY.items()}
    columns = {name: [row.probabilities[name] for row in rows] for name in VOCABULARY}
    seen = {name: np.array(columns[name], np.float32).reshape(-1, size) for name, size in sizes.items()}
    return Looks(np.array([row.embedding for row in rows], np.float32).reshape(-1, BINS**3), seen)


def understand(text: str, vocabulary) -> tuple[dict[str, Stated], list[Understood]]:
    """Words of the vocabulary, and three Russian ones."""
    known = {word: (name, word) for name, words in VOCABULARY.items() for word in words} | RUSSIAN
    stated, understood = {}, []
    for word in text.lower().split():
        name, meant = known.get(word.strip(",.;"), (None, None))
        note = "" if name else "not known"
        understood.append(Understood(text=word, attribute=name, words=[meant] if meant else [], note=note))
        if name:
            stated[name] = Stated((meant,))
    return stated, understood


def cropped(photo: bytes, crop) -> np.ndarray:
    """uint8 [32, 32, 3]"""
    left, top, width, height = crop or (0, 0, 1, 1)
    with Image.open(io.BytesIO(photo)) as image:
        wide, high = image.size
        box = (left * wide, top * high, (left + width) * wide, (top + height) * high)
        return np.asarray(image.convert("RGB").resize((32, 32), box=box))


def histogram(pixels: np.ndarray) -> np.ndarray:
    places = (pixels.reshape(-1, 3).astype(int) * BINS // 256) @ (BINS * BINS, BINS, 1)
    values = np.sqrt(np.bincount(places, minlength=BINS**3).astype(np.float32))
    return values / np.linalg.norm(values)


def probabilities(pixels: np.ndarray) -> dict[str, np.ndarray]:
    away = np.linalg.norm(np.array(list(COLOURS.values())) - pixels.reshape(-1, 3).mean(axis=0), axis=1)
    rng = np.random.default_rng(int(away.argmin()))
    found = {name: rng.dirichlet(np.ones(len(words))) for name, words in VOCABULARY.items()}
    found["coat_colour"] = np.exp(-(away - away.min()) / 40)
    return {name: (values / values.sum()).astype(np.float32) for name, values in found.items()}


def _parts(row: Row) -> tuple[str, bytes, bytes]:
    facts, file = asdict(row), io.BytesIO()
    arrays, small = {"embedding": facts.pop("embedding"), **facts.pop("probabilities")}, facts.pop("thumbnail")
    np.savez(file, **arrays)
    return json.dumps(facts | {"date": row.date and row.date.isoformat()}), file.getvalue(), small


def _row(facts: str, arrays: bytes, small: bytes) -> Row:
    facts = json.loads(facts)
    facts["date"] = facts["date"] and date.fromisoformat(facts["date"])
    with np.load(io.BytesIO(arrays)) as kept:
        seen = {name: kept[name] for name in VOCABULARY}
        return Row(**facts, embedding=kept["embedding"], probabilities=seen, thumbnail=small)


def photo_of(dog: str, view: int, size: int = 160, kind: str = "JPEG", **options) -> bytes:
    """A photograph of a generated dog."""
    file = io.BytesIO()
    Image.fromarray(dog_pixels(dog, view, size)).save(file, kind, **options)
    return file.getvalue()


def toy_engine(home: Path, views: int = 3) -> Engine:
    """With all generated dogs but the white one, if its base is new; some without a date or a place."""
    home.mkdir(parents=True, exist_ok=True)
    engine = Engine(SharedLooker(ToyLooker()), ToyBase(home / "toy.db"), ToyFusion(), understand)
    if engine.base.count() == 0:
        engine.base.add(
            [row for number, dog in enumerate(COLOURS) if dog != "white" for row in _dog(number, dog, views)]
        )
    return engine


def _dog(number: int, dog: str, views: int) -> list[Row]:
    photos = [photo_of(dog, view) for view in range(views)]
    looks, (place, latitude, longitude) = ToyLooker().look(photos), PLACES[number % len(PLACES)]
    return [
        Row(
            frame=hashlib.sha256(photo).hexdigest()[:16],
            dog=f"dog-{dog}",
            embedding=looks.embedding[view],
            probabilities={name: values[view] for name, values in looks.probabilities.items()},
            thumbnail=photo,
            sequence=dog,
            date=None if number % 4 == 3 else date(2026, 5, 1) + timedelta(days=number),
            place=place,
            latitude=latitude,
            longitude=longitude,
            source="toy",
        )
        for view, photo in enumerate(photos)
    ]


def main() -> None:
    """Serve the toy, as a study's search is served."""
    from auxreid.lostpets.service.app import create_app
    from auxreid.lostpets.service.serve import bound, serve
    from auxreid.lostpets.service.settings import Settings

    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args()
    settings = Settings(requests_a_minute=100_000, changes_a_minute=100_000)
    with bound("127.0.0.1", asked.port) as taken:
        serve(create_app(toy_engine(asked.home), asked.home, settings), taken)


if __name__ == "__main__":
    main()
