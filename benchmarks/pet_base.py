"""The base of the lost-pet search at 200,000 and 1,000,000 generated photographs, beside plain LanceDB and numpy.

    python benchmarks/pet_base.py [--rows 200000] [--large 1000000] [--queries 200] [--kills 30]

Photographs are of dogs, five each, in a few hundred crowds of alike dogs; a query is a new photograph of one of them.
Each base is written in batches, indexed, opened anew and searched without filters and with filters by date and place
that leave 99, 10 and 1 %; 0.2 % of the photographs lack both facts and stay. An answer is 2000 candidates with all that
is known of them. The references search the same rows for as many: numpy all vectors in memory, after the same
filters; LanceDB its own table without an index, by SQL, and it is asked for names alone. Recall is of the ten nearest
that numpy finds. At last a writer is killed in mid-addition, again and again. `--large 0` leaves out the second size.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from result import Asked, Row, finish, times
from sizes import read_sizes

from auxreid.lostpets.base.base import Base
from auxreid.lostpets.base.row import Header
from auxreid.lostpets.base.row import Row as Photo
from auxreid.lostpets.base.table import Tables
from auxreid.lostpets.distance import kilometres
from auxreid.lostpets.query import Facts, Near

ROWS, LARGE, QUERIES, KILLS = 200_000, 1_000_000, 200, 30
DIMENSIONS, WORDS, THUMBNAIL = 512, (5, 3, 3, 3, 3, 4), 200  # bytes: a thumbnail's size is no matter of the base
MOST = 2000  # candidates, as the engine asks
PHOTOS, CROWDS, DIRECTIONS = 5, 300, 96
LACKING = 0.002
BATCH, SMALL = 10_000, 5  # photographs in one addition, and in one of the writer that is killed
FIRST, DAYS = date(2000, 1, 1), 9000
CENTRE = Near(52.0, 21.0, 0.0)
MOST_MS, LEAST_RECALL = 50, 0.99  # asked at ROWS
SHARES = (1.0, 0.99, 0.1, 0.01)
REFERENCE_QUERIES = 20  # of LanceDB, which takes its time


class Dogs:
    """Generated photographs: a crowd's place, a dog's in it, a photograph's near the dog's."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        self.rng, self.rows = np.random.default_rng(seed), rows
        self.falling = (np.arange(1, DIRECTIONS + 1) ** -0.5).astype(np.float32)
        drawn = self.rng.standard_normal((DIMENSIONS, DIRECTIONS))
        self.basis = np.linalg.qr(drawn)[0].T.astype(np.float32)
        crowd = self._spread(CROWDS, 1.0)
        dogs = -(-rows // PHOTOS)
        self.centre = crowd[self.rng.integers(0, CROWDS, dogs)] + self._spread(dogs, 0.6)
        self.dog = self.rng.permutation(np.repeat(np.arange(dogs), PHOTOS))[:rows]
        self.day = self.rng.integers(0, DAYS, rows)
        self.latitude = CENTRE.latitude + self.rng.uniform(-5, 5, rows)
        self.longitude = CENTRE.longitude + self.rng.uniform(-8, 8, rows)
        self.lacks = self.rng.random(rows) < LACKING
        self.km = kilometres(CENTRE.latitude, CENTRE.longitude, self.latitude, self.longitude)

    def _spread(self, number: int, size: float) -> np.ndarray:
        return np.float32(size) * self.rng.standard_normal((number, DIRECTIONS), dtype=np.float32) * self.falling

    def photographed(self, dogs: np.ndarray) -> np.ndarray:
        """A new photograph of each of these dogs, as an embedding."""
        noise = np.float32(0.02) * self.rng.standard_normal((len(dogs), DIMENSIONS), dtype=np.float32)
        seen = (self.centre[dogs] + self._spread(len(dogs), 0.45)) @ self.basis + noise
        return seen / np.linalg.norm(seen, axis=1, keepdims=True)

    def batches(self) -> Iterator[list[Photo]]:
        for start in range(0, self.rows, BATCH):
            number = np.arange(start, min(start + BATCH, self.rows))
            embeddings = self.photographed(self.dog[number])
            probabilities = [self.rng.dirichlet(np.ones(k), len(number)).astype(np.float32) for k in WORDS]
            yield [self._photo(n, embeddings[k], [p[k] for p in probabilities]) for k, n in enumerate(number.tolist())]

    def _photo(self, number: int, embedding: np.ndarray, probabilities: Sequence[np.ndarray]) -> Photo:
        facts = {}
        if not self.lacks[number]:
            facts["date"] = FIRST + timedelta(int(self.day[number]))
            facts |= {"latitude": float(self.latitude[number]), "longitude": float(self.longitude[number])}
        by_name = dict(zip(header().vocabulary, probabilities, strict=True))
        name, dog = f"frame{number:09d}", f"dog{self.dog[number]:08d}"
        return Photo(name, dog, embedding, by_name, bytes(THUMBNAIL), place="Warszawa", source="generated", **facts)

    def asked(self, share: float) -> Facts:
        """A filter that leaves this share: by date, by place, or by both."""
        if share == 1:
            return Facts()
        if share > 0.5:
            return Facts(since=FIRST + timedelta(round(DAYS * (1 - share))))
        since = FIRST + timedelta(DAYS // 2) if share < 0.05 else None
        within = (share - LACKING) * (2 if since else 1)
        return Facts(near=Near(CENTRE.latitude, CENTRE.longitude, float(np.quantile(self.km, within))), since=since)

    def left(self, facts: Facts) -> np.ndarray:
        """Which rows a filter leaves, by numpy."""
        left = np.ones(self.rows, bool)
        if facts.near is not None:
            left &= kilometres(CENTRE.latitude, CENTRE.longitude, self.latitude, self.longitude) <= facts.near.km
        if facts.since is not None:
            left &= self.day >= (facts.since - FIRST).days
        return left | self.lacks


def header() -> Header:
    return Header(
        "generated", "generated", DIMENSIONS, {f"attribute{k}": list("abcde"[:n]) for k, n in enumerate(WORDS)}
    )


def sql(facts: Facts) -> str | None:
    """The same filter for LanceDB; of a circle, the square around it, which is less work."""
    parts = []
    if facts.near is not None:
        height = facts.near.km / 111.2
        width = height / np.cos(np.radians(CENTRE.latitude))
        parts.append(
            f"(latitude IS NULL OR (latitude BETWEEN {CENTRE.latitude - height} AND {CENTRE.latitude + height} AND "
            f"longitude BETWEEN {CENTRE.longitude - width} AND {CENTRE.longitude + width}))"
        )
    if facts.since is not None:
        parts.append(f"(date IS NULL OR date >= date '{facts.since}')")
    return " AND ".join(parts) or None


@dataclass(frozen=True)
class Timed:
    """What a search took for each query, and the names of the nearest."""

    ms: np.ndarray
    found: list[np.ndarray]

    def __str__(self) -> str:
        return f"p50 {np.percentile(self.ms, 50):.1f}, p95 {np.percentile(self.ms, 95):.1f} ms"


def timed(search, queries: np.ndarray) -> Timed:
    """After one search that does not count."""
    search(queries[0])
    ms, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query))
        ms.append(1e3 * (time.perf_counter() - started))
    return Timed(np.array(ms), found)


def memory_mb() -> dict[str, float]:
    """Of this process: its own, and of mapped files what lies in memory, which the system may take back."""
    said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(said[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")}


def built(path: Path, dogs: Dogs) -> tuple[float, float]:
    """Write and index a base: ms of a row that is added, and seconds for the index."""
    base, spent = Base.create(path, header()), 0.0
    for batch in dogs.batches():
        started = time.perf_counter()
        base.add(batch)
        spent += time.perf_counter() - started
    started = time.perf_counter()
    base.tidy()
    indexed = time.perf_counter() - started
    Tables(path).join_files(
        old=timedelta(0)
    )  # as it is an hour later: versions that may still be read are kept so long
    return 1e3 * spent / dogs.rows, indexed


def size_mb(path: Path) -> float:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


def at_size(rows: int, queries: int, asked: bool) -> list[Row]:
    """Build a base of so many photographs, and search it."""
    folder = Path(tempfile.mkdtemp(prefix="pet_base-"))
    try:
        dogs = Dogs(rows)
        ms_per_row, index_s = built(folder / "base", dogs)
        wanted = dogs.photographed(dogs.rng.integers(0, dogs.dog.max() + 1, queries))
        before = memory_mb()
        base = Base.open(folder / "base")
        ours = {share: (timed(searcher(base, dogs.asked(share)), wanted), base) for share in SHARES}
        grown = {name: value - before[name] for name, value in memory_mb().items()}
        found = compare(base, dogs, wanted, {share: one for share, (one, _) in ours.items()}, asked)
        return [*found, whole(folder / "base", base, rows, ms_per_row, index_s, grown)]
    finally:
        shutil.rmtree(folder)


def searcher(base: Base, facts: Facts):
    """Names of the nearest, as numbers."""

    def search(query: np.ndarray) -> np.ndarray:
        return np.array([int(name[5:]) for name in base.candidates(query, facts, MOST).frames[:10]])

    return search


def compare(base: Base, dogs: Dogs, queries: np.ndarray, ours: dict[float, Timed], asked: bool) -> list[Row]:
    """Each filter's row: ours beside numpy and LanceDB."""
    copied = np.fromfile(next((base.path / "copy").glob("*.f32")), np.float32)
    vectors = np.ascontiguousarray(copied.reshape(-1, DIMENSIONS + sum(WORDS))[:, :DIMENSIONS])
    del copied
    table, found = plain_table(base), []
    for share, mine in ours.items():
        facts = dogs.asked(share)
        exact = timed(lambda query, facts=facts: by_numpy(vectors, dogs, facts, query), queries)
        where = sql(facts)
        lance = timed(lambda query, where=where: by_lancedb(table, where, query), queries[:REFERENCE_QUERIES])
        recall = float(np.mean([np.isin(a[:10], b).mean() for a, b in zip(exact.found, mine.found, strict=True)]))
        answer = base.candidates(queries[0], facts, MOST)
        p95 = float(np.percentile(mine.ms, 95))
        wished = (Asked("recall@10", recall, least=LEAST_RECALL), Asked("p95 ms", p95, most=MOST_MS))
        name = f"search, {dogs.rows:,} x {DIMENSIONS}, {answer.searched:,} left"
        remark = f"{'exact' if answer.exact else 'index'}, recall@10 {recall:.4f}; numpy {exact}"
        ratio = times(float(np.median(lance.ms)), float(np.median(mine.ms)))
        found.append(Row(name, "LanceDB, flat", str(lance), str(mine), ratio, wished if asked else wished[:1], remark))
    return found


def plain_table(base: Base):
    import lancedb

    return lancedb.connect(base.path).open_table("rows")


def by_numpy(vectors: np.ndarray, dogs: Dogs, facts: Facts, query: np.ndarray) -> np.ndarray:
    """All vectors where no filter is; numbers of the nearest."""
    if facts == Facts():
        rows, similarity = None, vectors @ query
    else:
        rows = np.flatnonzero(dogs.left(facts))
        similarity = vectors[rows] @ query
    most = min(MOST, len(similarity))
    best = np.argpartition(-similarity, most - 1)[:most]
    best = best[np.argsort(-similarity[best])]
    return best if rows is None else rows[best]


def by_lancedb(table, where: str | None, query: np.ndarray) -> np.ndarray:
    asked = table.search(query, vector_column_name="embedding").distance_type("cosine").bypass_vector_index()
    asked = asked.select(["number", "_distance"]).limit(MOST)
    if where is not None:
        asked = asked.where(where, prefilter=True)
    return asked.to_arrow()["number"].to_numpy()


def whole(path: Path, base: Base, rows: int, ms_per_row: float, index_s: float, grown: dict[str, float]) -> Row:
    """What a row costs on disk, in memory, and to add."""
    on_disk = {name: size_mb(path / name) * 1e6 / rows for name in ("rows.lance", "copy")}
    started = time.perf_counter()
    Base.open(path)
    opened = time.perf_counter() - started
    remark = (
        f"{ms_per_row:.3f} ms per row added, {1e3 * index_s / rows:.3f} ms per row indexed, opened in {opened:.2f} s, "
        f"{grown['RssAnon']:.0f} MB of memory and {grown['RssFile']:.0f} MB of mapped files"
    )
    figure = f"{on_disk['rows.lance']:.0f} + {on_disk['copy']:.0f} bytes per row"
    vector = f"{4 * DIMENSIONS} bytes per vector"
    ratio = f"{sum(on_disk.values()) / (4 * DIMENSIONS):.2f} x"
    return Row(f"base, {rows:,} x {DIMENSIONS}: table + copy", "the vectors", vector, figure, ratio, (), remark)


def killed(kills: int) -> Row:
    """Kill a writer in mid-addition, and look for all that it was told to be safe."""
    folder = Path(tempfile.mkdtemp(prefix="pet_base-"))
    try:
        base = Base.create(folder / "base", header())
        told: list[str] = []
        for kill in range(kills):
            command = [sys.executable, __file__, "--writer", str(folder / "base"), str(kill)]
            writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for _ in range(2 + kill % 7):
                told += writer.stdout.readline().split()
            time.sleep(0.001 * (kill % 11))  # so that it dies at different places
            os.kill(writer.pid, signal.SIGKILL)
            told += writer.stdout.read().rpartition("\n")[0].split()
            writer.wait()
        lost = len(set(told) - Base.open(base.path, writable=True).known(told))
    finally:
        shutil.rmtree(folder)
    asked = (Asked("lost photographs", lost, most=0), Asked("acknowledged", len(told), least=2 * SMALL * kills))
    name = f"writer killed {kills} times in mid-addition"
    return Row(name, "acknowledged", f"{len(told)} photographs", f"{lost} lost", "-", asked)


def write_until_killed(path: Path, kill: int) -> None:
    base, dogs = Base.open(path, writable=True), Dogs(1000, seed=kill)
    photos = next(dogs.batches())
    for start in itertools.count(0, SMALL):
        batch = [photos[number % len(photos)] for number in range(start, start + SMALL)]
        batch = [Photo(**{**vars(one), "frame": f"{kill}-{start + k}"}) for k, one in enumerate(batch)]
        base.add(batch)
        print(*(one.frame for one in batch), flush=True)


def rows(rows: int = ROWS, large: int = 0, queries: int = QUERIES, kills: int = KILLS) -> list[Row]:
    """Both sizes, and the kills."""
    found = at_size(rows, queries, asked=True)
    found += at_size(large, queries, asked=False) if large else []
    return [*found, killed(kills)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--writer"]:
        write_until_killed(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        finish(rows(**read_sizes(__doc__, rows=ROWS, large=LARGE, queries=QUERIES, kills=KILLS)))
