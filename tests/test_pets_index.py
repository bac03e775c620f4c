"""`auxreid index`: a study's rows and photographs of one's own in the base of the service, here and on a cluster."""

import csv
import datetime
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from params import ROOT
from ray_cluster import two_nodes
from search_study import DATASET, SIDE, search_params, write_inputs
from tiny_study import run_study
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.lostpets.base.base import Base
from auxreid.lostpets.indexing.home import open_home_base
from auxreid.lostpets.indexing.photographs import listed
from auxreid.lostpets.indexing.run import index_photographs
from auxreid.lostpets.looker import Looker
from auxreid.lostpets.query import Facts
from auxreid.lostpets.study import open_made
from auxreid.plumbing.base.errors import ConfigError, DataError

HOME = Path("pets")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a study whose search is built."""
    stages = ("metric_features", "metric", "index", "search")
    folder = run_study(tmp_path_factory.mktemp("study"), search_params(), write_inputs, stages)
    (folder / "dvc.yaml").touch()  # by which the command knows the folder
    return folder


@pytest.fixture
def made(finished, monkeypatch):
    monkeypatch.chdir(finished)
    shutil.rmtree(HOME, ignore_errors=True)
    return open_made()


@pytest.fixture
def photos(tmp_path) -> Path:
    """Five dogs, three photographs of each, and a file that is none."""
    return photographs(tmp_path / "shelter", 5)


def photographs(folder: Path, dogs: int) -> Path:
    rng = np.random.default_rng(7)
    for dog in range(dogs):
        (folder / f"dog{dog}").mkdir(parents=True)
        colour = rng.integers(40, 220, 3)
        for number in range(3):
            pixels = np.clip(colour + rng.normal(scale=20, size=(SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"dog{dog}/{number}.png"), pixels)
    (folder / "dog0/broken.png").write_bytes(b"no image")
    return folder


def command(*words: str) -> str:
    result = CliRunner().invoke(app, ["index", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_study_s_rows_come_in_once_and_a_folder_s_photographs_beside_them(made, photos):
    assert f"{len(made.rows)} photographs of" in command()
    assert HOME.stat().st_mode & 0o777 == 0o700
    told = command(str(photos))
    assert (
        "15 photographs added, 0 were there, " in told and "ms each; 1 cannot be used" in told and "broken.png" in told
    )
    assert "0 photographs added, 15 were there" in command(str(photos))
    base = Base.open(HOME / "base", model=made.fusion.model)
    assert base.sources() == {DATASET: len(made.rows), "shelter": 15}
    content = (photos / "dog3/1.png").read_bytes()
    found = base.candidates(Looker(made.files).look([content]).embedding[0], Facts(), 1)
    assert found.dogs == ["dog3"] and found.similarity[0] == pytest.approx(1, abs=1e-4)
    assert base.thumbnail(found.frames[0])[:2] == b"\xff\xd8"


def test_what_changed_in_the_study_is_replaced_and_nothing_else_is_touched(made, photos):
    from dataclasses import replace

    open_home_base(HOME, made.rows)
    index_photographs(HOME, made, photos)
    dog = made.rows.dog.copy()
    dog[3] = "another"
    before = Base.open(HOME / "base")
    fewer = replace(made.rows, dog=dog)
    base = open_home_base(HOME, fewer)
    assert base.sources() == before.sources() == {DATASET: len(made.rows), "shelter": 15}
    assert base.record(str(made.rows.frame[3])).dog == "another"
    version = base._tables.look_again()
    assert open_home_base(HOME, fewer)._tables.look_again() == version  # nothing to do: nothing written


def test_a_folder_that_is_called_as_the_data_set_stays(made, photos):
    here = photos.rename(photos.with_name(DATASET))
    assert "15 photographs added" in command(str(here))
    assert f"{len(made.rows) + 15} photographs of" in command()
    assert open_home_base(HOME, made.rows).sources() == {DATASET: len(made.rows), f"{DATASET}, own": 15}


def test_what_was_indexed_before_it_was_of_the_study_becomes_the_study_s(made, photos):
    from dataclasses import replace

    index_photographs(HOME, made, photos)
    frame = made.rows.frame.copy()
    frame[0] = hashlib.sha256((photos / "dog3/1.png").read_bytes()).hexdigest()
    base = open_home_base(HOME, replace(made.rows, frame=frame))
    assert base.sources() == {DATASET: len(made.rows), "shelter": 14}
    assert base.record(str(frame[0])).dog == str(made.rows.dog[0])


def test_a_killed_one_goes_on_where_it_was(made, photos, monkeypatch):
    monkeypatch.setattr("auxreid.lostpets.indexing.run.BATCH", 4)

    def stops(files, source, batches):
        from auxreid.lostpets.indexing.run import _looked_here

        for number, one in enumerate(_looked_here(files, source, batches)):
            if number == 2:
                raise KeyboardInterrupt
            yield one

    with pytest.raises(KeyboardInterrupt):
        index_photographs(HOME, made, photos, stops)
    done = index_photographs(HOME, made, photos)
    assert (done.added, done.known) == (15 - 7, 7)  # the broken one was in a batch of four


def test_another_models_base_is_refused_until_it_is_made_anew(made, photos):
    from dataclasses import replace

    other = replace(made.rows, header=replace(made.rows.header, model="0ther"))
    open_home_base(HOME, other)
    index_photographs(HOME, replace(made, rows=other), photos)
    with pytest.raises(ConfigError, match=r"of the model 0ther.*auxreid index --rebuild"):
        command()
    told = command("--rebuild")
    assert "no longer has the photographs of shelter" in told
    assert Base.open(HOME / "base", model=made.fusion.model).sources() == {DATASET: len(made.rows)}


def test_a_list_says_what_is_known_of_each_photograph(made, photos, tmp_path):
    rows = [
        {"path": "shelter/dog1/0.png", "dog": "Rex", "date": "2024-05-17", "latitude": "52.2", "longitude": "21"},
        {"path": "shelter/dog1/1.png", "dog": "Rex", "place": "park"},
    ]
    file = tmp_path / "list.csv"
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, ["path", "dog", "date", "place", "latitude", "longitude"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    first, second = listed(file)
    assert (first.date, first.latitude, first.longitude) == (datetime.date(2024, 5, 17), 52.2, 21.0)
    assert (second.date, second.latitude, second.place) == (None, None, "park")
    assert index_photographs(HOME, made, file).added == 2
    record = Base.open(HOME / "base").record(first.frame())
    assert (record.dog, record.date, record.latitude) == ("Rex", first.date, 52.2)


def test_a_place_is_kept_to_a_kilometre(made, photos, tmp_path):
    """Who asks for small circles one after the other would find an exact one."""
    from dataclasses import replace

    exact = np.full(len(made.rows), 52.2345678), np.full(len(made.rows), 21.0123456)
    study = replace(made, rows=replace(made.rows, latitude=exact[0], longitude=exact[1]))
    file = tmp_path / "list.csv"
    file.write_text("path,dog,latitude,longitude\nshelter/dog1/0.png,Rex,52.2345678,21.0123456\n")
    assert index_photographs(HOME, study, file).added == 1
    base = Base.open(HOME / "base")
    records = [record for source in base.sources() for record, _ in base.of_source(source)]
    places = {(record.latitude, record.longitude) for record in records}
    assert len(records) == len(made.rows) + 1
    assert len(places) == 1 and places.pop() == (52.23, pytest.approx(21.0123456, abs=0.02))
    assert all("21.0123456" not in str(record) for record in records)


def test_a_file_that_cannot_be_read_is_left_out_and_the_others_are_added(made, photos, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("path,dog\nshelter/dog1/0.png,Rex\n/proc/self/mem,Max\n")
    done = index_photographs(HOME, made, file)
    assert done.added == 1 and [one.path for one in done.left_out] == ["/proc/self/mem"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,name\n", "its columns are path, name; needed are path, dog"),
        ("path,dog\n", "lists no photographs"),
        ("path,dog\na.png,Rex\n", "line 2: .*a.png: no such file"),
        ("path,dog\nlist.csv,\n", "line 2: names no dog"),
        ("path,dog,date\nlist.csv,Rex,17.5.2024\n", "line 2: date '17.5.2024' is no day as 2024-05-17"),
        ("path,dog,latitude,longitude\nlist.csv,Rex,1,\n", "one of latitude and longitude alone"),
        ("path,dog,latitude,longitude\nlist.csv,Rex,91,0\n", "latitude '91' is no number from -90 to 90"),
        ("path,dog\nlist.csv\n", "another number of cells"),
        ("path,dog,dog\nlist.csv,Rex,Max\n", "its columns are path, dog, dog"),
        ("path,dog\n,Rex\n", "line 2: names no photograph"),
        (f"path,dog\n{'a' * 5000},Rex\n", "line 2: .*a: no such file"),
        ('path,dog\nlist.csv,"R\nex"\n\nb.png,Max\n', "line 5: .*b.png: no such file"),
        (f"path,dog\nlist.csv,{'R' * 200_000}\n", "line 2: field larger than"),
        ("path,dog\nlist.csv,Жучка\n".encode("cp1251"), "line 2: is not UTF-8"),
    ],
)
def test_a_wrong_list_is_refused_by_its_line(tmp_path, text, told):
    (tmp_path / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=told):
        listed(tmp_path / "list.csv")


def test_a_photograph_in_no_subfolder_is_of_no_dog(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"a.png: lies in no subfolder"):
        listed(tmp_path)


@pytest.mark.slow
def test_a_cluster_of_two_nodes_gives_the_base_that_this_process_gives(made, tmp_path):
    """By Ray Data, as `auxreid index --address` runs it."""
    folder = photographs(tmp_path / "shelter", 60)
    here = Path("here")
    shutil.rmtree(here, ignore_errors=True)
    index_photographs(here, made, folder)
    environment = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    with two_nodes(environment) as cluster:
        words = ["-m", "auxreid.cli", "index", str(folder), "--address", cluster.address]
        done = subprocess.run(
            [sys.executable, *words], env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "180 photographs added, 0 were there" in done.stdout
    one, other = (Base.open(home / "base") for home in (here, HOME))
    assert one.sources() == other.sources()
    ours = {record.frame: (record, vector) for record, vector in one.of_source("shelter")}
    for record, vector in other.of_source("shelter"):
        assert ours[record.frame][0] == record
        np.testing.assert_allclose(vector, ours[record.frame][1], atol=1e-5)
