"""The lost-pet service over the base on disk, as it is served: rows of a data set, reports among them, and restarts."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from pets_client import WHITE, pets
from PIL import Image
from search_study import dogs
from toy_engine import VOCABULARY, ToyBase, ToyFusion, ToyLooker, toy_engine, understand
from waiting import wait_until

from auxreid.data.frames import open_frames
from auxreid.lostpets.base.base import Base
from auxreid.lostpets.base.row import Header
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.service.backup import backup, restore
from auxreid.lostpets.service.kept_looks import from_bytes
from auxreid.lostpets.service.looking import SharedLooker
from auxreid.lostpets.service.opening import Large
from auxreid.search.index import frame_names, read_facts


def engine_on_disk(home: Path) -> Engine:
    """The engine of colours over a base on disk with the toy's rows."""
    if not (home / "base").exists():
        toy = toy_engine(home.parent / "toy")
        header = toy.base.header
        words = {name: tuple(words) for name, words in VOCABULARY.items()}
        Base.create(home / "base", Header(header.model, header.model_name, header.dimensions, words)).add(
            list(toy.base.rows.values())
        )
    base = Base.open(home / "base", model=ToyFusion.model, writable=True)
    return Engine(SharedLooker(ToyLooker()), base, ToyFusion(), understand)


def test_reports_live_and_die_in_the_base_on_disk(tmp_path):
    home = tmp_path / "pets"
    home.mkdir()
    with pets(home, engine_on_disk(home)) as service:
        saved = service.save(WHITE[3])
        first, second = service.post(WHITE[0], date="2026-05-01"), service.post(WHITE[1], place={"name": "Riga"})
        third = service.post(WHITE[2], kind="lost")
        assert {one["report"] for one in second["duplicates"]} == {first["report"]}
        assert {one["report"] for one in third["matches"]} == {first["report"], second["report"]}
        service.ask("POST", f"/api/reports/{second['report']}/merge", second["token"], {"into": first["report"]})
        dogs = service.search(WHITE[3]).json()["answer"]["dogs"]
        assert {dog["report"] for dog in dogs[:2]} == {first["report"], third["report"]}
        photo = dogs[0]["photo"]
        assert service.client.get(f"/api/photos/{photo}").status_code == 200
        assert service.client.get(f"/api/photos/{photo}/large").status_code == 200
        assert service.client.get(f"/api/similar/{photo}").status_code == 200
        assert service.client.get("/api/about").json()["sources"] == {"reports": 3, "toy": 21}
        backup(home, tmp_path / "pets.tar")
    with pets(home, engine_on_disk(home)) as service:
        assert f"report-{first['report']}" in service.found(WHITE[3])
        service.ask("POST", f"/api/reports/{third['report']}/close", third["token"], {"reason": "reunited"})
        assert f"report-{third['report']}" not in service.found(WHITE[3])
        assert service.ask("DELETE", f"/api/reports/{first['report']}", first["token"]).status_code == 204
        assert f"report-{second['report']}" in service.found(WHITE[3])
        opened = service.ask("GET", f"/api/searches/{saved['saved']}", saved["token"]).json()
        assert {one["report"] for one in opened["new"]} == {second["report"]}
        assert service.client.get("/api/about").json()["counts"] == {"photographs": 22, "reports": 1}
    restore(tmp_path / "pets.tar", tmp_path / "again")
    with pets(tmp_path / "again", engine_on_disk(tmp_path / "again")) as service:
        assert service.client.get("/api/about").json()["counts"] == {"photographs": 24, "reports": 2}


def test_of_a_deleted_report_no_byte_is_left_in_the_base(tmp_path):
    home = tmp_path / "pets"
    home.mkdir()
    with pets(home, engine_on_disk(home)) as service:
        posted = service.post(WHITE[0])
        looks = from_bytes(service.service.store.row("select looks from report_photos")["looks"])
        thumbnail = service.service.store.row("select thumbnail from photos")["thumbnail"]
        parts = [looks.embedding[0].tobytes(), thumbnail, posted["report"].encode()]
        there = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        assert all(part in there for part in parts)
        assert service.ask("DELETE", f"/api/reports/{posted['report']}", posted["token"]).status_code == 204
        left = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        assert not any(part in left for part in parts)


def test_rows_that_the_base_lost_are_made_anew_from_the_tables(tmp_path):
    home = tmp_path / "pets"
    home.mkdir()
    with pets(home, engine_on_disk(home)) as service:
        posted = service.post(WHITE[0], WHITE[1])
    engine = engine_on_disk(home)
    assert engine.base.remove(source="reports") == 2
    with pets(home, engine) as service:
        assert f"report-{posted['report']}" in service.found(WHITE[2])


def test_another_model_looks_at_the_reports_photographs_again(tmp_path, monkeypatch):
    with pets(tmp_path) as service:
        posted = service.post(WHITE[0], crops=[[0, 0, 0.5, 1]])
        saved = service.save(WHITE[1])
    for place in (ToyLooker, ToyFusion):
        monkeypatch.setattr(place, "model", "e" * 64)
    base = ToyBase(tmp_path / "toy.db")
    base.header = replace(base.header, model="e" * 64)
    engine = Engine(SharedLooker(ToyLooker()), base, ToyFusion(), understand)
    with pets(tmp_path, engine) as service:
        rows = service.service.store.rows("select model from report_photos")
        assert [row["model"] for row in rows] == ["e" * 64]
        assert f"report-{posted['report']}" in service.found(WHITE[2])
        later = service.post(WHITE[3])
        address = f"/api/searches/{saved['saved']}"
        wait_until(lambda: later["report"] in service.ask("GET", address, saved["token"]).text, 20)
        assert service.service.store.row("select model from saved")["model"] == "e" * 64


def test_larger_pictures_are_those_of_the_data_set_and_none_where_it_is_not_here(tmp_path):
    assert Large(tmp_path / "frames.arrow")("any") is None
    dogs(tmp_path / "frames.arrow")
    frames = open_frames(tmp_path / "frames.arrow")
    names = frame_names(read_facts(tmp_path / "frames.arrow", frames.frame_id)["sha256"])
    large = Large(tmp_path / "frames.arrow")
    for place in (0, len(frames) - 1):
        with Image.open(io.BytesIO(large(names[place]))) as image:
            assert image.format == "JPEG" and np.abs(np.asarray(image).mean() - frames.image(place).mean()) < 2
    assert large("other") is None
