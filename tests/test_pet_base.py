"""The base of photographs: filters, counts and nearest against a slow reference; writers, readers, kills."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pet_base
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pet_rows import DIMENSIONS, HEADER, pet_row, unit

from auxreid.lostpets.answer import Filter
from auxreid.lostpets.base.base import Base
from auxreid.lostpets.base.row import Row
from auxreid.lostpets.base.write_lock import write_lock
from auxreid.lostpets.query import Facts, Near
from auxreid.plumbing.base.errors import ConfigError, DataError

FIRST = date(2024, 1, 1)
EVERYTHING = Facts()
KILLS = 5
HERE = Path(__file__).parent

days = st.none() | st.integers(0, 20).map(lambda number: FIRST + timedelta(number))
places = st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
kinds = st.sampled_from(["base", "lost", "found"])
near = st.builds(Near, st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 21000))
asked = st.builds(Facts, st.none() | near, days, days, st.lists(kinds, max_size=2, unique=True).map(tuple))


@st.composite
def bases(draw) -> list[Row]:
    rows = []
    for number in range(draw(st.integers(1, 12))):
        place, kind = draw(places), draw(kinds)
        latitude, longitude = place or (None, None)
        report = None if kind == "base" else f"report{number}"
        facts = {"date": draw(days), "latitude": latitude, "longitude": longitude, "kind": kind, "report": report}
        rows.append(pet_row(number, **facts))
    return rows


def km(near: Near, row: Row) -> float:
    """By the haversine."""
    one, other = math.radians(near.latitude), math.radians(row.latitude)
    turn = math.radians(row.longitude - near.longitude)
    half = math.sin((other - one) / 2) ** 2 + math.cos(one) * math.cos(other) * math.sin(turn / 2) ** 2
    return 2 * 6371 * math.asin(min(1, math.sqrt(half)))


def reference(rows: list[Row], facts: Facts) -> tuple[list[Row], list[Filter]]:
    """Row by row; `left`, and what each filter did."""
    known = {
        "near": (facts.near, lambda row: row.latitude is None, lambda row: km(facts.near, row) <= facts.near.km),
        "since": (facts.since, lambda row: row.date is None, lambda row: row.date >= facts.since),
        "until": (facts.until, lambda row: row.date is None, lambda row: row.date <= facts.until),
        "kind": (facts.kinds, lambda row: False, lambda row: row.kind in facts.kinds),
    }
    told = []
    for name, (wanted, lacks, passes) in known.items():
        if wanted:
            left = [row for row in rows if lacks(row) or passes(row)]
            lacking = sum(map(lacks, left))
            told.append(Filter(name=name, before=len(rows), after=len(left), lacking=lacking))
            rows = left
    return rows, told


def clear_cut(rows: list[Row], near: Near | None) -> bool:
    """No photograph lies on the circle itself, where the last digit decides."""
    return near is None or all(row.latitude is None or abs(km(near, row) - near.km) > 1e-3 for row in rows)


@settings(max_examples=40, deadline=None)
@given(bases(), asked, st.integers(1, 15), st.sets(st.integers(0, 11), max_size=3))
def test_a_search_is_what_a_slow_one_is(tmp_path_factory, rows, facts, most, removed):
    """Photographs, order, filters, counts of photographs and of dogs; after a removal as well."""
    base = Base.create(tmp_path_factory.mktemp("pets") / "base", HEADER)
    base.add(rows[: len(rows) // 2])
    base.add(rows[len(rows) // 2 :])
    gone = {f"frame{number}" for number in removed}
    assert base.remove(frames=gone) == len(gone & {row.frame for row in rows})
    rows = [row for row in rows if row.frame not in gone]
    if not clear_cut(rows, facts.near):
        return
    query = unit(np.random.default_rng(1000))
    left, told = reference(rows, facts)
    best = sorted(left, key=lambda row: -float(row.embedding @ query))[:most]
    for one in (base, Base.open(base.path, model=HEADER.model)):
        found = one.candidates(query, facts, most)
        assert found.frames == [row.frame for row in best] and found.exact
        assert list(found.filters) == told
        assert (found.searched, found.searched_dogs) == (len(left), len({row.dog for row in left}))
        assert np.allclose(found.similarity, [row.embedding @ query for row in best], atol=1e-5)
        assert [record.date for record in found.records] == [row.date for row in best]
        for place, row in enumerate(best):
            assert np.array_equal(found.looks.embedding[place], row.embedding)
            for name, values in row.probabilities.items():
                assert np.allclose(found.looks.probabilities[name][place], values)


@pytest.fixture
def base(tmp_path) -> Base:
    made = Base.create(tmp_path / "base", HEADER)
    made.add([pet_row(number, source="set") for number in range(6)])
    return made


def test_a_reader_sees_what_a_writer_adds_and_removes(base):
    reader = Base.open(base.path)
    assert reader.count() == 6 and reader.dogs() == 2
    report = [pet_row(number, kind="found", report="r1", source="r1", dog="stray") for number in (10, 11)]
    base.add(report)
    assert reader.sources() == {"set": 6, "r1": 2} and reader.dogs() == 3
    assert reader.candidates(report[0].embedding, EVERYTHING, 1).frames == ["frame10"]
    assert base.remove(report="r1") == 2
    assert reader.sources() == {"set": 6} and reader.dogs() == 2
    base.add([pet_row(12), pet_row(13)])  # as many as were removed
    assert reader.known(["frame10", "frame12", "frame13"]) == {"frame12", "frame13"}
    assert reader.candidates(pet_row(13).embedding, EVERYTHING, 1).frames == ["frame13"]


def test_without_a_photograph_all_that_the_facts_leave_is_gone_through_for_what_is_preferred(base, monkeypatch):
    monkeypatch.setattr("auxreid.lostpets.base.base.BATCH", 2)
    base.add([pet_row(number, kind="lost", report="r") for number in (10, 11)])
    name, values = next(iter(base.looks(["frame3"]).probabilities.items()))
    found = base.candidates(None, Facts(kinds=("base",)), 3, lambda looks: looks.probabilities[name] @ values[0])
    expected = {
        frame: base.looks([frame]).probabilities[name][0] @ values[0]
        for frame in base.known(f"frame{number}" for number in range(6))
    }
    assert found.frames == sorted(expected, key=lambda frame: -expected[frame])[:3] and found.searched == 6
    assert found.exact


def test_what_is_removed_leaves_no_embedding_in_the_copy(base):
    base.remove(frames=["frame2"])
    copied = np.fromfile(next((base.path / "copy").glob("*.f32")), np.float32).reshape(-1, DIMENSIONS + 5)
    assert not copied[2].any() and copied[[0, 1, 3, 4, 5]].any(axis=1).all()


def test_what_a_report_had_is_gone_from_the_disk_and_other_reports_stay(base):
    """Also where everything was joined in one file, of which LanceDB would keep what is deleted."""
    reader = Base.open(base.path)
    for number in range(100, 140):
        base.add([pet_row(number, kind="lost", report=f"r{number}", thumbnail=b"picture of %d" % number)])
    base.tidy()
    assert base.remove(report="r120") == 1
    content = [file.read_bytes() for file in base.path.rglob("*") if file.is_file()]
    secret = pet_row(120).embedding.tobytes()
    assert not any(b"picture of 120" in one or secret in one or b"r120" in one for one in content)
    assert any(b"picture of 121" in one for one in content)
    assert base.count() == reader.count() == 6 + 39
    assert reader.thumbnail("frame121") == b"picture of 121" and reader.record("frame139").report == "r139"


def test_a_photograph_is_found_by_its_name(base):
    base.add([pet_row(7, frame="it's", place="Kraków", date=FIRST)])
    assert base.record("it's").place == "Kraków" and base.thumbnail("it's") == b"jpeg 7"
    assert np.array_equal(base.looks(["frame1", "it's"]).embedding[1], pet_row(7).embedding)
    for look_up in (base.record, base.thumbnail, lambda name: base.looks(["frame1", name])):
        with pytest.raises(DataError, match="'none': no such photograph in the base"):
            look_up("none")


def test_without_a_photograph_the_first_that_are_left_are_answered(base):
    base.add([pet_row(30, kind="lost", report="r1"), pet_row(31, kind="lost", report="r1")])
    found = base.candidates(None, Facts(kinds=("lost",)), 10)
    assert found.frames == ["frame30", "frame31"] and not found.similarity.any()
    assert base.candidates(None, EVERYTHING, 4).frames == [f"frame{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"embedding": np.ones(DIMENSIONS, np.float32)}, "length 2.8"),
        ({"embedding": np.full(DIMENSIONS, np.nan, np.float32)}, "length nan"),
        ({"embedding": np.ones(3, np.float32)}, r"shape \(3,\)"),
        ({"probabilities": {}}, "its attributes are"),
        ({"latitude": 91.0, "longitude": 0.0}, "no place on the earth"),
        ({"latitude": 1.0}, "both or none"),
        ({"kind": "found"}, "its report None"),
        ({"frame": "frame1"}, "there already"),
    ],
)
def test_what_would_falsify_a_search_is_refused_whole(base, changed, message):
    with pytest.raises(DataError, match=message):
        base.add([pet_row(20), replace(pet_row(21), **changed)])
    assert base.count() == 6


def test_another_models_base_is_refused_by_name(base):
    with pytest.raises(ConfigError, match=r"0123abcd \(a small model\).*of ffff: .*auxreid index --rebuild"):
        Base.open(base.path, model="ffff")
    with pytest.raises(ConfigError, match="a base already"):
        Base.create(base.path, HEADER)
    with pytest.raises(DataError, match="no base of photographs here"):
        Base.open(base.path.parent / "elsewhere")
    assert Base.open(base.path, model=HEADER.model).header == HEADER


def test_a_copy_that_is_not_the_tables_is_made_anew(base):
    copy = next((base.path / "copy").glob("*.f32"))
    right = copy.read_bytes()
    for wrong in (b"", right[:100], right[::-1]):
        copy.write_bytes(wrong)
        reader = Base.open(base.path)  # may not write: goes on in memory
        assert reader.candidates(pet_row(4).embedding, EVERYTHING, 1).frames == ["frame4"]
        assert copy.read_bytes() == wrong
        writer = Base.open(base.path, writable=True)
        assert copy.read_bytes() == right
        assert writer.candidates(pet_row(4).embedding, EVERYTHING, 1).frames == ["frame4"]
    shutil.rmtree(copy.parent)
    Base.open(base.path, writable=True)
    assert copy.read_bytes() == right


def test_the_second_writer_is_told_who_the_first_is(base, monkeypatch):
    hold = f"""
import sys; from pathlib import Path
from auxreid.lostpets.base.write_lock import write_lock
with write_lock(Path({str(base.path / ".lock")!r})):
    print("held", flush=True); sys.stdin.read()
"""
    monkeypatch.setattr("auxreid.lostpets.base.base.WAIT", 0.1)
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match=f"written by process {holder.pid} on "):
            base.add([pet_row(30)])
        holder.stdin.close()
    base.add([pet_row(30)])
    with write_lock(base.path / ".lock"), pytest.raises(DataError, match="another thread of this process"):
        threads_error(lambda: base.add([pet_row(31)]))
    with pytest.raises(DataError, match="reading alone"):
        Base.open(base.path).add([pet_row(32)])


def threads_error(work) -> None:
    """What another thread raises is raised here."""
    raised = []

    def guarded() -> None:
        try:
            work()
        except DataError as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    raise raised[0]


def test_searches_during_writes_see_whole_batches_and_never_fewer(base):
    """A writer in another thread adds three dogs at once; another reader stands for another process."""
    done = threading.Event()

    def write() -> None:
        for start in range(100, 190, 9):
            base.add([pet_row(number) for number in range(start, start + 9)])
        done.set()

    seen, readers = {0: 6, 1: 6}, (base, Base.open(base.path))
    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        for who, reader in enumerate(readers):
            searched = reader.candidates(unit(np.random.default_rng(5)), EVERYTHING, 10).searched
            assert searched >= seen[who] and (searched - 6) % 9 == 0
            seen[who] = searched
    thread.join()
    assert [reader.count() for reader in readers] == [96, 96]


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path):
    """Killed while it adds; what it told of is there, whole, and the next writer goes on."""
    path = tmp_path / "base"
    Base.create(path, HEADER)
    acknowledged: list[str] = []
    for kill in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, HERE / "pet_writer.py", path, str(1000 * kill)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3 + 2 * kill):
            acknowledged += writer.stdout.readline().split()
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += writer.stdout.read().rpartition("\n")[0].split()
        writer.wait()
        base = Base.open(path, writable=True)
        assert base.known(acknowledged) == set(acknowledged)
        last = pet_row(int(acknowledged[-1].removeprefix("frame")))
        assert base.candidates(last.embedding, EVERYTHING, 1).frames == [last.frame]
        assert base.count() % 5 == 0


def crowd(dogs: int, rng: np.random.Generator) -> list[Row]:
    """Three photographs of each dog, close to each other."""
    centres = [unit(rng) for _ in range(dogs)]
    near = [centres[number // 3] + 0.1 * unit(rng) for number in range(3 * dogs)]
    return [replace(pet_row(number), embedding=one / np.linalg.norm(one)) for number, one in enumerate(near)]


@pytest.fixture
def indexed(tmp_path, monkeypatch) -> Base:
    """A base that compares 20 rows at most, and 300 of 900 by its index."""
    monkeypatch.setattr("auxreid.lostpets.base.base.EXACT_MOST", 20)
    monkeypatch.setattr("auxreid.lostpets.base.index.EXACT_MOST", 20)
    monkeypatch.setattr("auxreid.lostpets.base.index.COMPARED", (300,))
    made = Base.create(tmp_path / "base", HEADER)
    made.add([replace(row, date=FIRST) for row in crowd(300, np.random.default_rng(3))])
    assert made.tidy() and not made.tidy()
    return made


def test_of_many_rows_an_index_chooses_and_of_few_all_are_compared(indexed):
    """The recall was measured when the index was made, and holds; what is added later is found as well."""
    told = json.loads((indexed.path / "index.json").read_text())
    assert told["rows"] == 900 and told["compared"] == 300
    assert min(one for by in told["recall_by_share_left"].values() for one in by.values()) > 0.6
    rows = crowd(300, np.random.default_rng(3))
    for reader in (indexed, Base.open(indexed.path)):
        found = [reader.candidates(row.embedding, EVERYTHING, 3) for row in rows[:60]]
        assert not any(one.exact for one in found) and {one.searched for one in found} == {900}
        right = [
            len({row.frame for row in rows[3 * (k // 3) : 3 * (k // 3) + 3]} & set(found[k].frames)) for k in range(60)
        ]
        assert np.mean(right) > 2.9
    few = replace(pet_row(1000), date=FIRST + timedelta(5))
    indexed.add([few])
    assert indexed.candidates(few.embedding, EVERYTHING, 1).frames == ["frame1000"]
    alone = Base.open(indexed.path).candidates(rows[0].embedding, Facts(since=FIRST + timedelta(1)), 3)
    assert alone.exact and alone.frames == ["frame1000"]


def test_a_rare_filter_makes_the_index_go_through_more_cells(indexed, monkeypatch):
    """With as many rows to be compared as are left, the index finds what an exact search finds."""
    rows = [replace(pet_row(2000 + number), kind="found", report=f"r{number}") for number in range(100)]
    indexed.add(rows)
    query = unit(np.random.default_rng(9))
    found = indexed.candidates(query, Facts(kinds=("found",)), 10)
    assert not found.exact
    assert found.frames == [row.frame for row in sorted(rows, key=lambda row: -float(row.embedding @ query))[:10]]


def test_tidying_joins_what_was_added_bit_by_bit_and_loses_nothing(base, monkeypatch):
    monkeypatch.setattr("auxreid.lostpets.base.table.MOST_FRAGMENTS", 3)
    for number in range(20, 26):
        base.add([pet_row(number)])
    base.remove(frames=["frame0", "frame22"])
    reader = Base.open(base.path)
    before = reader.candidates(unit(np.random.default_rng(4)), EVERYTHING, 20).frames
    assert base.tidy()
    for one in (base, reader, Base.open(base.path)):
        assert one.candidates(unit(np.random.default_rng(4)), EVERYTHING, 20).frames == before
    assert not base.tidy()


def test_the_benchmark_finds_what_numpy_finds_at_a_small_size():
    *searches, size = pet_base.at_size(1500, queries=4, asked=False)
    assert len(searches) == 4 and not any(row.unreached for row in searches)
    assert "bytes per row" in size.figure
    assert not pet_base.killed(1).unreached
