"""Sets in the forms that their users have: a table of images, and folders like Market-1501's under other names."""

import csv
import re
import sys

import pandas as pd
import pytest
from clones import copy_project, shrink
from dataset_folders import config, picture_bytes, put
from params import raw_params, those_alone

from auxreid.clipreid.feasibility import Study, study_faults
from auxreid.data.frames import open_frames
from auxreid.data.ingest import examine, ingest
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.settings.load import parse_config

DUKE = r"(?P<identity>\d+)_c(?P<camera>\d+)_f(?P<sequence>\d+)"
MSMT = r"\d+_\d+_(?P<camera>\d+)_(?P<sequence>[^_]+)_\d+_\d+"
LISTS = {"train": ["list_train.txt", "list_val.txt"], "query": ["list_query.txt"], "gallery": ["list_gallery.txt"]}


def table(root, rows, name="frames.csv"):
    """A folder with a picture for each row of its table."""
    for seed, row in enumerate(rows):
        put(root / row["path"], picture_bytes(seed))
    with (root / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return root


def people(cameras=("north", "south"), who=("ann", "bo", "cy", "di"), split=lambda name: {}):
    """Two images of each person in each camera."""
    return [
        {"path": f"{name}/{camera}{k}.jpg", "identity": name, "camera": camera} | split(name)
        for name in who
        for camera in cameras
        for k in (1, 2)
    ]


def sources(root, layout="csv", **changes):
    """The data set's images by path, as they are packed, and its notes."""
    found = examine(config(root, layout, **changes))
    return {image.source.path: image.source for image in found.images}, found.listing.warnings


def halves(name):
    return {"split": "test" if name in ("cy", "di") else "train"}


def test_people_of_a_table_ask_once_in_each_camera(tmp_path):
    found, notes = sources(table(tmp_path, people(split=halves)), protocol="market1501")
    assert {path: source.split for path, source in found.items() if "cy" in path} == {
        "cy/north1.jpg": "query",
        "cy/north2.jpg": "gallery",
        "cy/south1.jpg": "query",
        "cy/south2.jpg": "gallery",
    }
    assert {source.camera for path, source in found.items() if "north" in path} == {1}
    assert "frames.csv: cameras are numbered: 1 is north, 2 is south" in notes
    assert [found[f"{name}/north1.jpg"].identity for name in ("ann", "bo", "cy", "di")] == [1, 2, 3, 4]


def test_cameras_keep_the_numbers_that_they_have(tmp_path):
    found, notes = sources(table(tmp_path, people(("7", "12"), split=halves)), protocol="market1501")
    assert {source.camera for source in found.values()} == {7, 12} and not notes


def test_cameras_of_equal_numbers_are_told_apart_by_name(tmp_path):
    found, _ = sources(table(tmp_path, people(("7", "07"), split=halves)), protocol="market1501")
    assert {source.camera for path, source in found.items() if "/07" in path} == {1}


def test_given_queries_are_followed(tmp_path):
    rows = people(split=lambda name: {"split": "train" if name in ("ann", "bo") else "gallery"})
    rows[-1]["split"] = "query"
    found, _ = sources(table(tmp_path, rows), protocol="market1501")
    assert [path for path, source in found.items() if source.split == "query"] == ["di/south2.jpg"]


def test_drawn_splits_of_cameras_are_disjoint_in_people_though_a_sequence_saw_them_all(tmp_path):
    rows = [row | {"sequence": "morning"} for row in people(who=[f"p{n}" for n in range(20)])]
    found, notes = sources(table(tmp_path, rows), protocol="market1501")
    parts = {}
    for source in found.values():
        parts.setdefault(source.identity, set()).add("test" if source.split in ("query", "gallery") else source.split)
    assert all(len(own) == 1 for own in parts.values())
    assert {part for own in parts.values() for part in own} == {"train", "val", "test"}
    assert any(note.startswith("frames.csv gives no split: drawn at random") for note in notes)


def test_animals_of_a_table_ask_by_sequence(tmp_path):
    rows = [
        {"path": f"{cat}/{day}{k}.png", "identity": cat, "sequence": f"{cat} {day}", "split": split, "coat": "short"}
        for cat, split in {"tom": "train", "kit": "train", "felix": "test"}.items()
        for day in ("mon", "tue")
        for k in (1, 2)
    ]
    found, _ = sources(table(tmp_path, rows), word="cat")
    assert {path: source.split for path, source in found.items() if "felix" in path} == {
        "felix/mon1.png": "query",
        "felix/mon2.png": "query",
        "felix/tue1.png": "gallery",
        "felix/tue2.png": "gallery",
    }
    assert found["tom/mon1.png"].attributes == {"coat": "short"}


def test_columns_of_other_names_are_read_under_ours(tmp_path):
    names = {"identity": "label", "path": "path", "camera": "camera"}
    rows = [{names[key]: row[key] for key in names} | halves(row["identity"]) for row in people()]
    root = table(tmp_path, rows, "meta.csv")
    found, _ = sources(root, protocol="market1501", table="meta.csv", columns={"identity": "label"})
    assert {source.identity_name for source in found.values()} == {"ann", "bo", "cy", "di"}
    with pytest.raises(DataError, match=r"meta\.csv: missing column pid, which `columns` takes as identity, found: "):
        sources(root, protocol="market1501", table="meta.csv", columns={"identity": "pid"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("camera"), r"frames\.csv: missing column camera, found: path, identity, split"),
        (lambda row: row.update(camera=""), r"frames\.csv, line 2 \(ann/north1\.jpg\): no camera, of which a true"),
        (lambda row: row.update(split="validation"), r"'validation', allowed: train, val, test, query, gallery or"),
    ],
)
def test_what_a_table_lacks_is_named(tmp_path, change, message):
    rows = people(split=halves)
    for row in rows:
        change(row)
    with pytest.raises(DataError, match=message):
        sources(table(tmp_path, rows), protocol="market1501")


def test_the_feasibility_of_a_table_names_its_columns(tmp_path):
    rows = people(split=lambda name: {"split": "train" if name in ("ann", "bo") else "gallery"})
    for row in rows:
        row["split"] = "query" if row["path"] == "di/north1.jpg" else row["split"]
        row["camera"] = "north" if "di" in row["path"] else row["camera"]
    ingest(config(table(tmp_path / "raw", rows), "csv", protocol="market1501"), tmp_path / "out")
    settings = parse_config(raw_params()).recipes["sample_people"]
    faults = list(study_faults(open_frames(tmp_path / "out/frames.arrow"), Study("small", settings, {}, None)))
    assert faults == [
        "small_csv: protocol market1501: no query has a true match in the gallery: 1 individual is in both, but each "
        "is there in the query's own camera alone, and a match must be of another; see the column camera of the table"
    ]


def duke(root):
    """Names as DukeMTMC's, of eight cameras and ids of any length, some of them PNG."""
    names = {
        "bounding_box_train": ["0001_c2_f0046182.jpg", "0001_c8_f0046300.jpg", "123456_c1_f1.png", "123456_c3_f2.png"],
        "query": ["0005_c2_f0046985.jpg"],
        "bounding_box_test": ["0005_c8_f0051341.jpg", "0006_c2_f0051341.jpg"],
    }
    for seed, path in enumerate(f"{folder}/{name}" for folder, some in names.items() for name in some):
        put(root / path, picture_bytes(seed, path[-4:]))
    return root


def test_names_like_dukes(tmp_path):
    found, _ = sources(duke(tmp_path), "market1501", file_name=DUKE)
    train = found["bounding_box_train/0001_c8_f0046300.jpg"]
    assert (train.identity, train.camera, train.sequence, train.split) == (1, 8, "c8s0046300", "train")
    assert found["bounding_box_train/123456_c3_f2.png"].identity == 123456
    assert {source.split for source in found.values()} == {"train", "query", "gallery"}
    with pytest.raises(DataError, match=r"0001_c2_f0046182\.jpg: a wrong file name, allowed: <id>_c<camera>s"):
        sources(tmp_path, "market1501")
    with pytest.raises(DataError, match=re.escape(r"a wrong file name, allowed: names that match file_name, x(?P")):
        sources(tmp_path, "market1501", file_name="x" + DUKE)


def test_cameras_that_are_counted_from_0_are_cameras(tmp_path):
    names = {"bounding_box_train": "7_c0.jpg", "query": "9_c0.jpg", "bounding_box_test": "9_c3.jpg"}
    for seed, path in enumerate(f"{folder}/{name}" for folder, name in names.items()):
        put(tmp_path / path, picture_bytes(seed))
    found, notes = sources(tmp_path, "market1501", file_name=r"(?P<identity>\d+)_c(?P<camera>\d)")
    assert [source.camera for source in found.values()] == [1, 1, 4]
    assert [note for note in notes if "camera 0 is camera 1" in note]


@pytest.mark.parametrize("name", ["7_cnorth.jpg", "7_.jpg", "ann_c1.jpg", "c1.jpg"])
def test_a_camera_or_an_identity_without_digits_is_a_wrong_name(tmp_path, name):
    put(tmp_path / "query" / name, picture_bytes(0))
    wrong = f"{re.escape(name)}: a wrong file name, allowed: names that match .* with digits for camera and identity"
    with pytest.raises(DataError, match=wrong):
        sources(tmp_path, "market1501", file_name=r"((?P<identity>\w+)_)?(c(?P<camera>\w+))?")


def msmt(root):
    """Folders and lists as MSMT17's: training numbers and test numbers begin at 0 and mean different people."""
    lines = {
        "list_train.txt": ["0000/0000_000_01_0303morning_0015_0.jpg 0", "0000/0000_001_14_0303noon_0015_1.jpg 0"],
        "list_val.txt": ["0001/0001_000_03_0303morning_0033_0.jpg 1"],
        "list_query.txt": ["0000/0000_000_01_0302noon_0003_0.jpg 0"],
        "list_gallery.txt": ["0000/0000_001_04_0302noon_0003_1.jpg 0", "0001/0001_000_04_0302noon_0009_0.jpg 1"],
    }
    for name, some in lines.items():
        folder = "train" if name in LISTS["train"] else "test"
        for line in some:
            path = f"{folder}/{line.split()[0]}"
            put(root / path, picture_bytes(len(path) + sum(path.encode())))
        (root / name).write_text("\n".join(some) + "\n", encoding="utf-8")
    return root


def of_lists(root, file_name=MSMT):
    """The data set's entry, validated."""
    raw = raw_params()
    raw["datasets"]["lists"] = {
        "layout": "market1501",
        "folder": str(root),
        "protocol": "market1501",
        "word": "person",
        "file_name": file_name,
        "folders": FOLDERS,
        "lists": LISTS,
    }
    return parse_config(raw).datasets["lists"]


FOLDERS = {"train": "train", "query": "test", "gallery": "test"}


def test_lists_like_msmt17s(tmp_path):
    found = {one.source.path: one.source for one in examine(of_lists(msmt(tmp_path))).images}
    trained = found["train/0000/0000_001_14_0303noon_0015_1.jpg"]
    asked = found["test/0000/0000_000_01_0302noon_0003_0.jpg"]
    assert (trained.identity_name, trained.camera, trained.split) == ("train/0000", 14, "train")
    assert (asked.identity_name, asked.camera, asked.split) == ("test/0000", 1, "query")
    assert trained.identity != asked.identity and asked.identity == 1  # 0 would be a distractor
    assert found["train/0001/0001_000_03_0303morning_0033_0.jpg"].split == "train"


def test_who_is_on_a_listed_image_is_not_read_from_its_name(tmp_path):
    named = of_lists(msmt(tmp_path), r"(?P<identity>\d+_\d+)_(?P<camera>\d+)_.*")
    assert {one.source.identity_name for one in examine(named).images} == {
        "train/0000",
        "train/0001",
        "test/0000",
        "test/0001",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list_query.txt", "gone.jpg 3\n", r"list_query\.txt, line 1: no such file: .*test/gone\.jpg"),
        ("list_query.txt", "alone.jpg\n", r"list_query\.txt, line 1: 'alone\.jpg', allowed: a path, a space and a"),
        ("list_val.txt", None, r"list_val\.txt: no such file, which `lists` names"),
    ],
)
def test_lists_that_are_wrong_are_named(tmp_path, name, text, message):
    msmt(tmp_path)
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        examine(of_lists(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": "(?P<identity>\\d+"}, r"file_name is not a regular expression: missing \)"),
        ({"file_name": "(?P<identity>\\d+)"}, "file_name has no group camera"),
        ({"table": "meta.csv"}, "table is for layout 'csv'"),
        ({"layout": "csv", "file_name": DUKE}, "file_name is for layout 'market1501'"),
        ({"layout": "csv", "protocol": "prid2011_multi_shot"}, "protocol 'prid2011_multi_shot' does not fit layout"),
        ({"layout": "csv", "attributes": "a.csv"}, "attributes are columns of the table in layout 'csv'"),
    ],
)
def test_keys_of_another_layout_are_refused(change, message):
    raw = raw_params()
    raw["datasets"]["market1501"] = {
        key: value for key, value in raw["datasets"]["market1501"].items() if key != "attributes"
    } | change
    with pytest.raises(ConfigError, match=message):
        parse_config(raw)


def test_each_comes_from_its_folder_to_a_table(tmp_path, stage_python):
    clone = copy_project(tmp_path / "clone")
    clone.take_python(stage_python)
    raw = clone.root / "raw"
    entry = {"protocol": "market1501", "word": "person", "recipe": "sample_people"}
    of_market = {"layout": "market1501", **entry}
    sets = {
        "My-Set": {"layout": "csv", "folder": str(table(raw / "listed", people(split=halves))), **entry},
        "Duke": {"folder": str(duke(raw / "duke")), "file_name": DUKE, **of_market},
        "msmt": {"folder": str(msmt(raw / "msmt")), "file_name": MSMT, "folders": FOLDERS, "lists": LISTS, **of_market},
    }

    def study(params):
        shrink(params)
        params["study"]["datasets"] = list(sets)
        params["datasets"] |= sets
        those_alone(params, ["visual_only_corrected"])
        params["recipes"]["sample_people"]["pretrain"] = None
        params["recipes"]["sample_people"]["finetune"] |= {"epochs": 1, "identities": 2, "milestones": [1]}

    clone.edit(study)
    for command in ("plan", "check"):
        clone.run(sys.executable, "-m", "auxreid.cli", command)
    clone.dvc("repro")
    for name in sets:
        rows = pd.read_csv(clone.root / f"results/compare/{name}/table.csv", index_col="row")["mAP"]
        assert list(rows.index) == ["untrained", "visual_only_corrected"] and rows.between(0.1, 100).all()
