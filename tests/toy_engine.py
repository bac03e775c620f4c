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
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from dog_photos import COLOURS, dog_pixels

from auxreid.lostpets.answer import Answer, Filter, Found, Place, Term, Understood
from auxreid.lostpets.service.rows import Row
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
RUSSIAN = {"маленький": ("size", "small"), "маленькая": ("size", "small"), "белая": ("coat_colour", "white")}
BINS = 4  # of each colour, in the histogram
MODEL = hashlib.sha256(b"toy").hexdigest()
PLACES = (("Riga", 56.95, 24.11), ("Tartu", 58.38, 26.72), ("", None, None))


@dataclass(frozen=True)
class Header:
    model: str = MODEL
    model_name: str = "colours alone"
    dimensions: int = BINS**3
    vocabulary: object = None


class ToyBase:
    """Rows in SQLite, compared by numpy."""

    def __init__(self, path: Path):
        self.header, self._lock = Header(vocabulary=VOCABULARY), threading.RLock()
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._file.execute(
            "create table if not exists rows (frame text primary key, facts text, arrays blob, small blob)"
        )
        self.rows: dict[str, Row] = {}
        for facts, arrays, small in self._file.execute("select facts, arrays, small from rows order by rowid"):
            row = _row(json.loads(facts), arrays, small)
            self.rows[row.frame] = row

    def add(self, rows: list[Row]) -> None:
        with self._lock:
            self._file.execute("begin")
            for row in rows:
                assert row.frame not in self.rows, f"{row.frame} twice"
                self._file.execute("insert into rows values (?, ?, ?, ?)", (row.frame, *_parts(row)))
            self._file.execute("commit")
            self.rows |= {row.frame: row for row in rows}

    def remove(self, frames=(), source=None) -> int:
        with self._lock:
            gone = [row.frame for row in self.rows.values() if row.frame in set(frames) or row.source == source]
            for frame in gone:
                self._file.execute("delete from rows where frame = ?", (frame,))
                del self.rows[frame]
            return len(gone)

    def count(self) -> int:
        return len(self.rows)

    def sources(self) -> dict[str, int]:
        with self._lock:
            names = [row.source for row in self.rows.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    def record(self, frame: str) -> Row:
        if frame not in self.rows:
            raise DataError(f"{frame}: no such photograph")
        return self.rows[frame]

    def thumbnail(self, frame: str) -> bytes | None:
        row = self.rows.get(frame)
        return None if row is None else row.thumbnail

    def looks(self, frames) -> Looks:
        return looks_of([self.record(frame) for frame in frames])


class ToyEngine:
    """The histogram of colours as the embedding; coat_colour by the mean colour; the rest by a hash of the pixels."""

    def __init__(self, base: ToyBase):
        self.base, self.vocabulary = base, VOCABULARY
        self.looked = 0  # photographs

    def look(self, photos, crops=()) -> Looks:
        self.looked += len(photos)
        pixels = [_cropped(photo, crop) for photo, crop in zip(photos, crops or [None] * len(photos), strict=True)]
        probabilities = [_probabilities(one) for one in pixels]
        return Looks(
            np.stack([_histogram(one) for one in pixels]),
            {name: np.stack([one[name] for one in probabilities]) for name in VOCABULARY},
        )

    def search(self, query) -> Answer:
        looks = self.look(query.photos, query.crops).pooled() if query.photos else None
        return self._answer(query, looks, list(self.base.rows.values()))

    def among(self, query, looks, frames) -> Answer:
        return self._answer(query, looks, [self.base.record(frame) for frame in frames])

    def similar(self, frame: str) -> Answer:
        from auxreid.lostpets.query import Query

        own = self.base.record(frame).dog
        rows = [row for row in self.base.rows.values() if row.dog != own]
        return self._answer(Query(), self.base.looks([frame]), rows)

    def _answer(self, query, looks, rows) -> Answer:
        rows, filters = _filtered(query.facts, rows)
        stated, understood = understand(query.text)
        stated |= query.stated
        dogs = {}
        for row in rows:
            terms = _terms(looks, stated, row)
            score = sum(term.value for term in terms)
            dogs.setdefault(row.dog, []).append((score, row, terms))
        ranked = sorted((sorted(found, key=lambda one: -one[0]) for found in dogs.values()), key=lambda one: -one[0][0])
        found = [_found(one, query.facts) for one in ranked[: query.dogs]]
        return Answer(
            decision=found[0].decision if found else "no match",
            dogs=found,
            predicted={}
            if looks is None
            else {n: dict(zip(VOCABULARY[n], map(float, v[0]), strict=True)) for n, v in looks.probabilities.items()},
            stated={
                n: [w for w in VOCABULARY[n] if (not s.words or w in s.words) and w not in s.excluded]
                for n, s in stated.items()
            },
            understood=understood,
            filters=filters,
            searched=len(rows),
            searched_dogs=len(dogs),
            exact=True,
            model=MODEL,
        )


def understand(text: str) -> tuple[dict[str, Stated], list[Understood]]:
    """Words of the vocabulary, and three Russian ones."""
    known = {word: (name, word) for name, words in VOCABULARY.items() for word in words} | RUSSIAN
    stated, understood = {}, []
    for word in text.lower().split():
        name, meant = known.get(word.strip(",.;"), (None, None))
        understood.append(
            Understood(text=word, attribute=name, words=[meant] if meant else [], note="" if name else "not known")
        )
        if name:
            stated[name] = Stated((meant,))
    return stated, understood


def _terms(looks, stated, row) -> list[Term]:
    terms = []
    if looks is not None:
        terms.append(Term(name="visual", value=20 * (float(looks.embedding[0] @ row.embedding) - 0.8)))
    for name, words in VOCABULARY.items():
        if name in stated:
            allowed = [
                w
                for w in words
                if (not stated[name].words or w in stated[name].words) and w not in stated[name].excluded
            ]
            p = np.array([word in allowed for word in words], float)
        elif looks is not None:
            p = looks.probabilities[name][0]
        else:
            continue
        agree = float(p @ row.probabilities[name]) / max(p.sum(), 1e-9) * len(words)
        terms.append(Term(name=name, value=float(np.log(agree + 0.05)), said=name in stated))
    return terms


def _found(photos, facts) -> Found:
    score, row, terms = photos[0]
    dated = facts.since is not None or facts.until is not None
    lacks = [
        name
        for name, asked, value in (("date", dated, row.date), ("place", facts.near, row.latitude))
        if asked and value is None
    ]
    place = (
        Place(name=row.place, latitude=row.latitude, longitude=row.longitude)
        if row.place or row.latitude is not None
        else None
    )
    return Found(
        dog=row.dog,
        score=score,
        decision="match" if score > 6 else "possible" if score > 2 else "no match",
        terms=terms,
        photo=row.frame,
        photos=[one.frame for _, one, _ in photos],
        kind=row.kind,
        report=row.report,
        date=row.date,
        place=place,
        km=None if facts.near is None or row.latitude is None else _km(facts.near, row),
        lacks=lacks,
    )


def _filtered(facts, rows):
    filters = []
    for name, asked, lacks, stays in (
        ("kind", facts.kinds, lambda row: False, lambda row: row.kind in facts.kinds),
        ("since", facts.since, lambda row: row.date is None, lambda row: row.date >= facts.since),
        ("until", facts.until, lambda row: row.date is None, lambda row: row.date <= facts.until),
        ("near", facts.near, lambda row: row.latitude is None, lambda row: _km(facts.near, row) <= facts.near.km),
    ):
        if asked:
            kept = [row for row in rows if lacks(row) or stays(row)]
            filters.append(Filter(name=name, before=len(rows), after=len(kept), lacking=sum(map(lacks, kept))))
            rows = kept
    return rows, filters


def _km(near, row) -> float:
    return 111.2 * float(
        np.hypot(near.latitude - row.latitude, (near.longitude - row.longitude) * np.cos(np.radians(near.latitude)))
    )


def _cropped(photo: bytes, crop) -> np.ndarray:
    with Image.open(io.BytesIO(photo)) as image:
        left, top, width, height = crop or (0, 0, 1, 1)
        box = (left * image.width, top * image.height, (left + width) * image.width, (top + height) * image.height)
        return np.asarray(image.convert("RGB").crop(tuple(map(round, box))).resize((32, 32)))


def _histogram(pixels) -> np.ndarray:
    places = (pixels.reshape(-1, 3).astype(int) * BINS // 256) @ (BINS * BINS, BINS, 1)
    values = np.sqrt(np.bincount(places, minlength=BINS**3).astype(np.float32))
    return values / np.linalg.norm(values)


def _probabilities(pixels) -> dict[str, np.ndarray]:
    mean = pixels.reshape(-1, 3).mean(axis=0)
    away = np.linalg.norm(np.array(list(COLOURS.values())) - mean, axis=1)
    colour = np.exp(-away / 40)
    rng = np.random.default_rng(int(away.argmin()))
    found = {name: rng.dirichlet(np.ones(len(words))) for name, words in VOCABULARY.items()} | {"coat_colour": colour}
    return {name: (values / values.sum()).astype(np.float32) for name, values in found.items()}


def _parts(row: Row):
    file = io.BytesIO()
    np.savez(file, embedding=row.embedding, **{f"attr_{name}": values for name, values in row.probabilities.items()})
    facts = {
        name: getattr(row, name)
        for name in ("frame", "dog", "sequence", "place", "latitude", "longitude", "kind", "report", "source")
    }
    return json.dumps(facts | {"date": row.date and row.date.isoformat()}), file.getvalue(), row.thumbnail


def _row(facts, arrays, small) -> Row:
    with np.load(io.BytesIO(arrays)) as kept:
        probabilities = {name.removeprefix("attr_"): kept[name] for name in kept.files if name.startswith("attr_")}
        facts["date"] = facts["date"] and date.fromisoformat(facts["date"])
        return Row(**facts, embedding=kept["embedding"], probabilities=probabilities, thumbnail=small)


def looks_of(rows) -> Looks:
    return Looks(
        np.stack([row.embedding for row in rows]),
        {name: np.stack([row.probabilities[name] for row in rows]) for name in VOCABULARY},
    )


def photo_of(dog: str, view: int, size: int = 160, kind: str = "JPEG", **options) -> bytes:
    """A photograph of a generated dog."""
    file = io.BytesIO()
    Image.fromarray(dog_pixels(dog, view, size)).save(file, kind, **options)
    return file.getvalue()


def toy_engine(home: Path, views: int = 3) -> ToyEngine:
    """With all generated dogs but the white one, if its base is new; some without a date or a place."""
    home.mkdir(parents=True, exist_ok=True)
    engine = ToyEngine(ToyBase(home / "toy.db"))
    if engine.base.count() == 0:
        for number, dog in enumerate(one for one in COLOURS if one != "white"):
            photos = [photo_of(dog, view) for view in range(views)]
            looks, (place, latitude, longitude) = engine.look(photos), PLACES[number % len(PLACES)]
            day = None if number % 4 == 3 else date(2026, 5, 1) + timedelta(days=number)
            one = Row(
                "", f"dog-{dog}", looks.embedding[0], {}, b"", dog, day, place, latitude, longitude, "base", None, "toy"
            )
            engine.base.add(
                [
                    replace(
                        one,
                        frame=hashlib.sha256(photo).hexdigest()[:16],
                        embedding=looks.embedding[view],
                        probabilities={name: values[view] for name, values in looks.probabilities.items()},
                        thumbnail=photo,
                    )
                    for view, photo in enumerate(photos)
                ]
            )
    return engine


def main() -> None:
    """Serve the toy."""
    import uvicorn

    from auxreid.lostpets.service.app import create_app
    from auxreid.lostpets.service.settings import Settings

    asked = argparse.ArgumentParser()
    asked.add_argument("--home", type=Path, required=True)
    asked.add_argument("--port", type=int, default=8000)
    asked = asked.parse_args()
    settings = Settings(requests_a_minute=100_000, changes_a_minute=100_000)
    app = create_app(toy_engine(asked.home), asked.home, settings)
    uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
