"""Reading the layouts: what their names and tables say, and what is refused."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from unicodedata import normalize

import dataset_folders
import pytest
from dataset_folders import (
    config,
    dog_rows,
    dogs,
    market,
    market_attributes,
    picture_bytes,
    prid_multi,
    prid_single,
    put,
)
from hypothesis import given
from hypothesis import strategies as st
from params import ROOT

from auxreid.data.ingest import examine
from auxreid.data.layouts import listed, market1501, prid2011
from auxreid.data.splits import deal, half_splits, linked_groups, read_splits
from auxreid.data.vocabulary import PERSON_ATTRIBUTES
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.settings.load import load_config


def by_path(root, layout, **changes):
    """The checked images of a data set, and its listing."""
    found = examine(config(root, layout, **changes))
    return {image.source.path: image.source for image in found.images}, found


# Market-1501


def test_market_names_are_read(tmp_path):
    images, found = by_path(market(tmp_path), "market1501")
    assert len(images) == 12 + 4 + 8 + 2
    one = images["bounding_box_train/0002_c1s1_000151_01.jpg"]
    assert (one.split, one.identity, one.identity_name, one.camera, one.sequence) == ("train", 2, "0002", 1, "c1s1")
    assert images["bounding_box_test/-1_c2s3_000002_01.jpg"].identity == -1
    assert images["bounding_box_test/0000_c1s1_000001_01.jpg"].identity == 0
    assert Counter(source.split for source in images.values()) == {"train": 12, "query": 4, "gallery": 10}
    assert found.listing.warnings == []


def test_market_doubled_ending_is_read(tmp_path):
    put(market(tmp_path) / "bounding_box_test/0005_c4s6_001234_03.jpg.jpg", picture_bytes(99))
    images, _ = by_path(tmp_path, "market1501")
    assert images["bounding_box_test/0005_c4s6_001234_03.jpg.jpg"].camera == 4


def test_market_other_files_are_listed_and_not_read(tmp_path):
    put(market(tmp_path) / "query/Thumbs.db", b"thumbnails")
    _, found = by_path(tmp_path, "market1501")
    assert [(one.path, one.reason[:12]) for one in found.listing.left_out] == [("query/Thumbs.db", "not an image")]


@pytest.mark.parametrize("name", ["0002_c1_000151_01.jpg", "2_c1s1_000151_01.jpg", "0002_c7s1_000151_01.jpg", "me.png"])
def test_market_wrong_names_are_a_fault(tmp_path, name):
    put(market(tmp_path) / "query" / name, picture_bytes(99))
    with pytest.raises(DataError, match=f"query/{name}: a wrong file name, allowed: <id>_c<camera>"):
        by_path(tmp_path, "market1501")


def test_market_junk_is_allowed_in_the_gallery_only(tmp_path):
    put(market(tmp_path) / "query/-1_c1s1_000151_01.jpg", picture_bytes(99))
    with pytest.raises(DataError, match=r"identity -1\) belong in the gallery only"):
        by_path(tmp_path, "market1501")


def test_market_attributes_are_found_by_name(tmp_path):
    """Members list their columns in opposite orders, so that reading by position would mix them up."""
    codes = {"train_age": [4, 2], "train_hat": [2, 1], "test_clothes": [1, 2], "test_downbrown": [1, 2]}
    market_attributes(market(tmp_path) / "market_attribute.mat", **codes)
    images, found = by_path(tmp_path, "market1501", attributes="market_attribute.mat")
    two = images["bounding_box_train/0002_c1s1_000151_01.jpg"].attributes
    seven = images["bounding_box_train/0007_c1s1_000151_01.jpg"].attributes
    three = images["query/0003_c1s2_000301_00.jpg"].attributes
    five = images["bounding_box_test/0005_c1s2_000401_02.jpg"].attributes
    assert len(found.listing.attributes) == 27
    assert (two["age"], two["hat"], two["gender"], two["up"]) == ("old", "yes", "male", "long")
    assert (seven["age"], seven["hat"]) == ("teenager", "no")
    assert (three["clothes"], three["downbrown"]) == ("dress", "no")
    assert (five["clothes"], five["downbrown"], five["age"]) == ("pants", "yes", "young")
    assert images["bounding_box_test/0000_c1s1_000001_01.jpg"].attributes == {}


def test_market_attribute_codes_outside_the_vocabulary_are_all_named(tmp_path):
    market_attributes(market(tmp_path) / "market_attribute.mat", train_hat=[1, 3], test_age=[0, 1])
    with pytest.raises(DataError) as raised:
        by_path(tmp_path, "market1501", attributes="market_attribute.mat")
    text = str(raised.value)
    assert "member train, row 1 (identity 0007), column hat: 3, allowed: 1 (no), 2 (yes)" in text
    assert "member test, row 0 (identity 0003), column age: 0, allowed: 1 (young), 2 (teenager)" in text


def test_market_attribute_file_of_another_kind_is_a_fault(tmp_path):
    put(market(tmp_path) / "market_attribute.mat", b"not MATLAB at all")
    with pytest.raises(DataError, match="expected a struct market_attribute"):
        by_path(tmp_path, "market1501", attributes="market_attribute.mat")
    with pytest.raises(DataError, match=r"other\.mat: no such file"):
        by_path(tmp_path, "market1501", attributes="other.mat")


def test_market_attribute_columns_must_be_there_and_of_one_length(tmp_path, monkeypatch):
    path = market_attributes(market(tmp_path) / "market_attribute.mat", test_hat=[1])
    with pytest.raises(DataError, match="member test: not 2 values, one per identity: hat"):
        by_path(tmp_path, "market1501", attributes=path.name)
    hatless = {name: words for name, words in PERSON_ATTRIBUTES.items() if name != "hat"}
    with monkeypatch.context() as patched:  # a copy: putting a key back into the dict itself would change its order
        patched.setattr(dataset_folders, "PERSON_ATTRIBUTES", hatless)
        market_attributes(path)
    with pytest.raises(DataError, match="member train: missing columns: hat"):
        by_path(tmp_path, "market1501", attributes=path.name)


def test_market_missing_folders_are_all_named(tmp_path):
    put(tmp_path / "query/0003_c1s2_000301_00.jpg", picture_bytes(0))
    with pytest.raises(DataError, match=r"(?s)bounding_box_train: no such folder.*bounding_box_test: no such folder"):
        by_path(tmp_path, "market1501")


def test_market_endings_in_capitals_are_read(tmp_path):
    for path in sorted((market(tmp_path)).glob("*/*.jpg")):
        path.rename(path.with_suffix(".JPG"))
    put(tmp_path / "bounding_box_test/0005_c4s6_001234_03.jpg.JPG", picture_bytes(99))
    images, found = by_path(tmp_path, "market1501")
    assert len(images) == 27 and found.listing.left_out == []
    assert images["bounding_box_train/0002_c1s1_000151_01.JPG"].identity == 2


def test_market_an_empty_folder_is_named(tmp_path):
    for path in (market(tmp_path) / "query").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"split query is empty: \S+/query holds no image that can be used"):
        by_path(tmp_path, "market1501")


# What systems leave in folders

LITTER = ("._{0}", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden/{0}", "__MACOSX/{0}")


@pytest.mark.parametrize(
    ("make", "layout", "changes", "image"),
    [
        (market, "market1501", {}, "query/0003_c1s2_000301_00.jpg"),
        (prid_single, "prid2011", {}, "single_shot/cam_a/person_0001.png"),
        (prid_multi, "prid2011", {"protocol": "prid2011_multi_shot"}, "multi_shot/cam_a/person_0001/0001.png"),
        (prid_multi, "prid2011", {"protocol": "prid2011_multi_shot"}, "multi_shot/cam_a/0001.png"),
        (dogs, "dogs", {}, "frames/a11.jpg"),
    ],
)
def test_what_systems_leave_in_folders_changes_nothing(tmp_path, make, layout, changes, image):
    expected, before = by_path(make(tmp_path), layout, **changes)
    for name in LITTER:
        put((tmp_path / image).parent / name.format((tmp_path / image).name), b"no image")
    images, found = by_path(tmp_path, layout, **changes)
    assert images == expected and found.listing.warnings == before.listing.warnings
    assert {one.reason for one in found.listing.left_out} <= {"not an image (hidden, or left by a file manager)"}


# Attributes as CSV


def write_attributes(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_person_csv_takes_names_and_numbers_and_missing_values(tmp_path):
    write_attributes(
        prid_single(tmp_path) / "a.csv", "identity,gender,hat", "person_0001,female,", "2,male,yes", "99,male,no"
    )
    images, found = by_path(tmp_path, "prid2011", attributes="a.csv")
    assert images["single_shot/cam_a/person_0001.png"].attributes == {"gender": "female", "hat": None}
    assert images["single_shot/cam_b/person_0002.png"].attributes == {"gender": "male", "hat": "yes"}
    assert list(found.listing.attributes) == ["gender", "hat"]
    assert any("1 rows describe nobody in the data set: person_0099" in text for text in found.listing.warnings)
    assert any("no attributes of 9 people" in text for text in found.listing.warnings)


def test_person_csv_columns_that_are_not_read_are_named(tmp_path):
    write_attributes(prid_single(tmp_path) / "a.csv", "identity,gender,Up-Black,mood", "1,male,yes,good")
    _, found = by_path(tmp_path, "prid2011", attributes="a.csv")
    path = tmp_path / "a.csv"
    assert found.listing.warnings[:2] == [
        f"{path}: columns that are not read: Up-Black, mood",
        f"{path}: no column upblack; if 'Up-Black' is meant, call it upblack",
    ]


def test_person_csv_word_outside_the_vocabulary_is_named(tmp_path):
    write_attributes(prid_single(tmp_path) / "a.csv", "identity,gender", "1,male", "2,man")
    with pytest.raises(DataError, match=r"a\.csv, line 3 \(identity 2\), column gender: 'man', allowed: male, female"):
        by_path(tmp_path, "prid2011", attributes="a.csv")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["person,gender", "1,male"],
            "missing column identity, found: person, gender; if 'person' is meant, call it id",
        ),
        (["identity,mood", "1,good"], "no attribute column; known are gender"),
        (["identity,hat", "1,no", "person_0001,yes"], r"line 3 .*this identity is listed twice"),
        (["identity,hat", "1,no,yes"], "line 2: 3 cells, the header has 2"),
        (["identity,hat,hat", "1,no,yes"], "must name each column once"),
    ],
)
def test_person_csv_of_another_form_is_a_fault(tmp_path, lines, message):
    write_attributes(prid_single(tmp_path) / "a.csv", *lines)
    with pytest.raises(DataError, match=message):
        by_path(tmp_path, "prid2011", attributes="a.csv")


# PRID2011


def test_prid_single_shot(tmp_path):
    prid_multi(tmp_path)
    images, found = by_path(prid_single(tmp_path), "prid2011")
    assert len(images) == 8 + 9  # the other protocol's images are not packed
    assert images["single_shot/cam_b/person_0003.png"].camera == 2
    only_a, only_b = (images[f"single_shot/{camera}/person_0007.png"] for camera in ("cam_a", "cam_b"))
    assert (only_a.identity, only_a.identity_name, only_a.split) == (20007, "cam_a/person_0007", "none")
    assert (only_b.identity, only_b.identity_name, only_b.split) == (10007, "cam_b/person_0007", "gallery")
    assert len(found.meta.splits) == 3
    for split in found.meta.splits:
        assert sorted(split["train"] + split["test"]) == [1, 2, 3, 4, 5, 6]
        assert len(split["train"]) == 3
    tested = found.meta.splits[0]["test"]
    assert sorted(s.identity for s in images.values() if s.split == "query") == tested
    assert sorted(s.identity for s in images.values() if s.split == "gallery") == [*tested, 10007, 10008, 10009]


def test_prid_multi_shot_takes_people_with_enough_frames_in_both_cameras(tmp_path):
    prid_single(tmp_path)
    images, found = by_path(prid_multi(tmp_path), "prid2011", protocol="prid2011_multi_shot")
    assert len(images) == 3 * 8 + 3 * 9 - 2
    for split in found.meta.splits:
        assert sorted(split["train"] + split["test"]) == [1, 2, 3, 4, 5]
    others = {source.identity: source.split for source in images.values() if source.identity > 5}
    assert others == dict.fromkeys([6, 10007, 10008, 10009, 20007, 20008], "none")


@pytest.mark.parametrize("given", [None, 6])
def test_a_pair_of_cameras_needs_no_counts(tmp_path, given):
    """Whoever both cameras have is one person, with however many frames: 7 and 8 are in both, too."""
    prid_multi(tmp_path)
    absent = {"shared_identities": given, "min_frames": None, "n_splits": None}
    images, found = by_path(tmp_path, "prid2011", protocol="prid2011_multi_shot", **absent)
    together = range(1, 9) if given is None else range(1, 7)  # person 6 has one frame in camera B
    (split,) = found.meta.splits
    assert sorted(split["train"] + split["test"]) == [*together]
    apart = {source.identity_name for source in images.values()} - {f"person_{n:04d}" for n in together}
    more = (
        set() if given is None else {"cam_a/person_0007", "cam_a/person_0008", "cam_b/person_0007", "cam_b/person_0008"}
    )
    assert apart == {"cam_b/person_0009"} | more


def test_a_pair_of_cameras_single_shot_needs_no_counts(tmp_path):
    absent = dict.fromkeys(("shared_identities", "min_frames", "n_splits"))
    images, found = by_path(prid_single(tmp_path), "prid2011", **absent)
    assert len({source.identity for source in images.values()}) == 9
    assert images["single_shot/cam_b/person_0009.png"].split == "gallery"
    assert images["single_shot/cam_b/person_0009.png"].identity_name == "cam_b/person_0009"
    assert sum(map(len, found.meta.splits[0].values())) == 8


def test_why_nobody_takes_part_is_said(tmp_path):
    message = r"those with 4 or more images in each of cam_a and cam_b; .* there: 8 and 9, in both: 6"
    with pytest.raises(DataError, match=message):
        by_path(prid_multi(tmp_path), "prid2011", protocol="prid2011_multi_shot", min_frames=4)


def test_the_shipped_block_of_prid2011_runs_on_folders_alone(tmp_path):
    """With its counts and without a list of splits; numbers above 200 are two people, one in each camera."""
    for camera in ("cam_a", "cam_b"):
        for person, frames in {1: 22, 2: 22, 3: 21, 201: 22}.items():
            for frame in range(frames):
                seed = 100 * person + frame + (50_000 if camera == "cam_b" else 0)
                path = tmp_path / f"multi_shot/{camera}/person_{person:04d}/{frame:04d}.png"
                put(path, picture_bytes(seed, ".png", (8, 8)))
    shipped = load_config(ROOT / "params.yaml").datasets["prid2011"]
    found = examine(shipped.model_copy(update={"folder": str(tmp_path)}))
    assert len(found.meta.splits) == 10
    assert {n for split in found.meta.splits for n in split["train"] + split["test"]} == {1, 2}
    assert {image.source.identity for image in found.images} == {1, 2, 3, 10201, 20201}


def splits_file(path, *splits):
    path.write_text(
        json.dumps([{half: [f"person_{n:04d}" for n in split[half]] for half in split} for split in splits])
    )


def test_prid_splits_file_is_followed(tmp_path):
    splits = [{"train": [1, 3], "test": [2, 5]}, {"train": [2, 5], "test": [3, 1]}]
    splits_file(prid_multi(tmp_path) / "s.json", *splits)
    _, found = by_path(tmp_path, "prid2011", protocol="prid2011_multi_shot", splits="s.json", n_splits=2)
    assert found.meta.splits == [{"train": [1, 3], "test": [2, 5]}, {"train": [2, 5], "test": [1, 3]}]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": [1, 99], "test": [2]}, "split 0: unknown people person_0099; known to this protocol are 5 people"),
        ({"train": [1, 6], "test": [2]}, "split 0: unknown people person_0006"),  # camera B has too few frames
        ({"train": [1, 2], "test": [2]}, "split 0: named more than once: person_0002"),
        ({"train": [1, 2], "test": []}, "split 0: test is empty"),
        ({"train": [1, 2]}, "split 0: expected an object with the lists train and test"),
    ],
)
def test_prid_splits_that_would_falsify_are_a_fault(tmp_path, split, message):
    splits_file(prid_multi(tmp_path) / "s.json", split)
    with pytest.raises(DataError, match=message):
        by_path(tmp_path, "prid2011", protocol="prid2011_multi_shot", splits="s.json", n_splits=1)


def test_prid_splits_file_that_is_missing_or_no_json(tmp_path):
    (prid_single(tmp_path) / "bad.json").write_text("[{")
    with pytest.raises(DataError, match=r"bad\.json: not JSON"):
        by_path(tmp_path, "prid2011", splits="bad.json")
    with pytest.raises(DataError, match=r"none\.json: no such file; without the key `splits`, splits are drawn"):
        by_path(tmp_path, "prid2011", splits="none.json")


def test_prid_splits_file_with_too_few_splits_is_a_fault(tmp_path):
    splits_file(prid_single(tmp_path) / "s.json", {"train": [1], "test": [2]})
    with pytest.raises(DataError, match=r"s\.json: 1 splits, the data set's n_splits is 3"):
        by_path(tmp_path, "prid2011", splits="s.json")


def test_prid_wrong_names_are_all_named(tmp_path):
    put(prid_multi(tmp_path) / "multi_shot/cam_a/person_0001/front.png", picture_bytes(5000, ".png"))
    put(tmp_path / "multi_shot/cam_b/someone/0001.png", picture_bytes(5001, ".png"))
    put(tmp_path / "multi_shot/cam_b/Thumbs.db", b"x")
    listing = prid2011.list_sources(tmp_path, config(tmp_path, "prid2011", protocol="prid2011_multi_shot"))
    assert len(listing.faults) == 2
    assert "person_0001/front.png: a wrong file name" in listing.faults[0].text
    assert "cam_b/someone: a wrong folder name, allowed: person_<four digits>" in listing.faults[1].text
    assert [one.path for one in listing.left_out] == ["multi_shot/cam_b/Thumbs.db"]


def test_prid_person_who_lost_an_image_is_taken_out_of_the_splits(tmp_path):
    put(prid_single(tmp_path) / "single_shot/cam_b/person_0004.png", b"")
    splits_file(tmp_path / "s.json", {"train": [1, 2], "test": [3, 4]})
    _, found = by_path(tmp_path, "prid2011", splits="s.json", n_splits=None)
    assert found.meta.splits == [{"train": [1, 2], "test": [3]}]
    assert any("no usable image left in one camera: person_0004" in text for text in found.listing.warnings)


@given(
    people=st.sets(st.integers(1, 400), min_size=2, max_size=60), n_splits=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_half_splits_are_disjoint_halves_and_seeded(people, n_splits, seed):
    splits = half_splits(sorted(people), n_splits, seed)
    assert len(splits) == n_splits
    for split in splits:
        assert set(split["train"]).isdisjoint(split["test"])
        assert set(split["train"]) | set(split["test"]) == people
        assert len(split["test"]) - len(split["train"]) in (0, 1)
    assert splits == half_splits(sorted(people, reverse=True), n_splits, seed)
    assert splits[:1] == half_splits(sorted(people), 1, seed)  # a split does not depend on how many are drawn


def test_half_splits_differ_from_each_other():
    splits = half_splits(range(1, 201), 10)
    assert len({tuple(split["train"]) for split in splits}) == 10
    with pytest.raises(DataError, match="1 people take part in the splits"):
        half_splits([3], 10)


def test_read_splits_names_every_fault(tmp_path):
    splits_file(tmp_path / "s.json", {"train": [1], "test": [8]}, {"train": [9], "test": []})
    with pytest.raises(DataError, match=r"split 0: unknown people person_0008.*split 1: test is empty.*person_0009"):
        read_splits(tmp_path / "s.json", {"person_0001": 1})


# Dogs


def test_dogs_rows_are_read(tmp_path):
    rows = dog_rows()
    rows[0] |= {"date": "2024-05-01", "place": "park", "color": "brindle_fawn"}
    images, found = by_path(dogs(tmp_path, rows), "dogs")
    one = images["frames/a11.jpg"]
    assert (one.identity, one.identity_name, one.sequence, one.split) == (1, "a", "a-1", "train")
    assert (one.date, one.place, one.attributes) == ("2024-05-01", "park", {"color": "brindle_fawn", "coat": None})
    breed = images["frames/breed3.jpg"]
    assert (breed.identity, breed.identity_name, breed.split) == (-1, "", "test")
    assert breed.attributes == {"color": "grey", "coat": "curly"}
    assert breed.sequence == breed.path  # a photo of no sequence is one of its own
    assert found.listing.warnings == []


def test_dogs_a_third_of_a_test_dogs_sequences_asks(tmp_path):
    images, _ = by_path(dogs(tmp_path), "dogs")
    splits = {path: source.split for path, source in images.items() if source.identity_name in ("d", "e")}
    assert {path for path, split in splits.items() if split == "query"} == {
        f"frames/{d}1{k}.jpg" for d in "de" for k in "12"
    }
    assert Counter(splits.values()) == {"query": 4, "gallery": 8}


def test_dogs_without_sequences_photos_stand_alone(tmp_path):
    rows = [row for row in dog_rows() if row["path"] != "frames/e32.jpg"]
    images, _ = by_path(dogs(tmp_path, rows, ["path", "dog_id", "split"]), "dogs")
    asking = [path for path, source in images.items() if source.split == "query"]
    assert asking == ["frames/d11.jpg", "frames/d12.jpg", "frames/e11.jpg", "frames/e12.jpg"]


def test_dogs_of_one_sequence_never_ask(tmp_path):
    rows = [row for row in dog_rows() if row.get("sequence") not in ("e-2", "e-3")]
    images, found = by_path(dogs(tmp_path, rows), "dogs")
    assert {source.split for source in images.values() if source.identity_name == "e"} == {"gallery"}
    note = "1 test dogs have a single sequence: in the gallery, never a query"
    assert found.listing.warnings == [note]
    rows = [row for row in rows if row.get("sequence") not in ("d-2", "d-3")]
    _, found = by_path(dogs(tmp_path / "none asks", rows), "dogs")  # unknown dogs are in the test data, too
    assert found.listing.warnings == [note.replace("1", "2") + ", so that nothing is asked"]


def test_dogs_only_the_path_is_needed(tmp_path):
    rows = [{"path": f"frames/{n}.jpg"} for n in range(30)]
    images, found = by_path(dogs(tmp_path, rows), "dogs")
    assert {source.identity for source in images.values()} == {-1}
    assert Counter(source.split for source in images.values()) == {"train": 18, "val": 3, "test": 9}
    assert found.meta.attributes == {}
    assert any("gives no split: drawn at random" in text for text in found.listing.warnings)


def test_dogs_unknown_columns_are_not_read_but_reported(tmp_path):
    rows = [row | {"breed": "poodle", "mood": "good"} for row in dog_rows()]
    _, found = by_path(dogs(tmp_path, rows), "dogs")
    assert found.listing.warnings == ["frames.csv: columns that are not read: breed, mood"]


def test_dogs_images_that_are_not_listed_are_reported(tmp_path):
    put(dogs(tmp_path) / "frames/stray.jpg", picture_bytes(99))
    images, found = by_path(tmp_path, "dogs")
    assert "frames/stray.jpg" not in images
    assert found.listing.warnings == ["1 images are not listed in frames.csv: frames/stray.jpg"]


def test_dogs_faults_of_the_table_are_all_named(tmp_path):
    rows = dog_rows()
    rows[0]["split"] = "tset"
    rows[-1]["color"] = "pink"
    rows[-2]["path"] = rows[-1]["path"]
    dogs(tmp_path, rows)
    (tmp_path / "frames/a12.jpg").unlink()
    with pytest.raises(DataError) as raised:
        by_path(tmp_path, "dogs")
    text = str(raised.value)
    assert "line 2 (frames/a11.jpg), column split: 'tset', allowed: train, val, test" in text
    assert "line 3 (frames/a12.jpg): no such file" in text
    assert "line 35 (frames/breed3.jpg), column color: 'pink', allowed: black, white, brown" in text
    assert "line 35 (frames/breed3.jpg): this path is listed twice" in text


def test_dogs_a_path_out_of_the_folder_is_a_fault(tmp_path):
    put(tmp_path / "outside.jpg", picture_bytes(99))
    dogs(tmp_path / "dogs", [*dog_rows(), {"path": "../outside.jpg", "split": "train"}])
    with pytest.raises(DataError, match=r"\.\./outside\.jpg\): the path leads out of the data set's folder"):
        by_path(tmp_path / "dogs", "dogs")


def test_dogs_missing_table_and_missing_column(tmp_path):
    with pytest.raises(DataError, match=r"frames\.csv: no such file"):
        by_path(tmp_path, "dogs")
    dogs(tmp_path, columns=["dog_id", "split"])
    with pytest.raises(DataError, match="missing column path, found: dog_id, split"):
        by_path(tmp_path, "dogs")


def rewrite(root, change):
    """frames.csv with another text."""
    path = root / "frames.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def test_dogs_paths_are_found_with_backslashes_and_in_other_unicode_forms(tmp_path):
    rows = [row | {"path": row["path"].replace("a1", "Żółty")} for row in dog_rows()]
    dogs(tmp_path, rows)
    named = {}
    for form, name in (("NFD", "Żółty1.jpg"), ("NFC", "Żółty2.jpg")):
        (tmp_path / "frames" / name).rename(tmp_path / "frames" / normalize(form, name))
        named[name] = f"frames/{normalize(form, name)}"
    for form in ("NFC", "NFD"):
        rewrite(tmp_path, lambda text, form=form: normalize(form, text.replace("frames/", "frames\\")))
        images, found = by_path(tmp_path, "dogs")
        assert len(images) == 34 and found.listing.warnings == []
        assert {images[path].identity_name for path in named.values()} == {"a"}


def test_dogs_in_two_unicode_forms_are_one(tmp_path):
    rows = [row | {"dog_id": "Żuk"} if row.get("dog_id") == "a" else row for row in dog_rows()]
    rows[0]["dog_id"] = normalize("NFD", "Żuk")
    images, found = by_path(dogs(tmp_path, rows), "dogs")
    assert {source.identity for source in images.values()} == {1, 2, 3, 4, 5, -1} and found.listing.warnings == []


@pytest.mark.parametrize("path", ["C:\\dogs\\a.jpg", "\\\\server\\dogs\\a.jpg", "/dogs/a.jpg", "..\\a.jpg"])
def test_dogs_a_path_of_another_machine_is_a_fault(tmp_path, path):
    rewrite(dogs(tmp_path), lambda text: text.replace("frames/a11.jpg", path))
    with pytest.raises(DataError, match="the path leads out of the data set's folder"):
        by_path(tmp_path, "dogs")


def test_dogs_a_path_in_other_capitals_is_named_with_the_file_that_is_there(tmp_path):
    rewrite(dogs(tmp_path), lambda text: text.replace("frames/a11.jpg", "frames/A11.JPG"))
    with pytest.raises(DataError, match=r"line 2 \(frames/A11\.JPG\): no such file; there is frames/a11\.jpg"):
        by_path(tmp_path, "dogs")


def test_dogs_names_that_may_mean_one_dog_are_noted(tmp_path):
    names = {"a": "Rex", "b": "rex", "c": "7", "d": "07", "e": "7.0"}
    rows = [row | {"dog_id": names.get(row.get("dog_id"), "")} for row in dog_rows()]
    images, found = by_path(dogs(tmp_path, rows), "dogs")
    note = "frames.csv: taken for different dogs, if they are not, write them alike: "
    assert found.listing.warnings == [note + "'07' and '7' and '7.0', 'Rex' and 'rex'"]
    assert len({source.identity for source in images.values()}) == 6


@pytest.mark.parametrize("name", ["identity", "ID", "Dog ID", "dog_name"])
def test_dogs_a_column_that_was_meant_as_dog_id_is_named(tmp_path, name):
    rewrite(dogs(tmp_path), lambda text: text.replace("dog_id", name))
    images, found = by_path(tmp_path, "dogs")
    assert {source.identity for source in images.values()} == {-1}
    assert found.listing.warnings[:3] == [
        f"frames.csv: columns that are not read: {name}",
        f"frames.csv: no column dog_id; if {name!r} is meant, call it dog_id",
        "frames.csv names no dog (column dog_id): it serves attributes, not re-identification",
    ]


def test_dogs_other_columns_in_another_spelling_are_named(tmp_path):
    rewrite(dogs(tmp_path), lambda text: text.replace("color", "Colour"))
    _, found = by_path(tmp_path, "dogs")
    assert "frames.csv: no column color; if 'Colour' is meant, call it color" in found.listing.warnings
    rewrite(tmp_path, lambda text: text.replace("path", "File name"))
    with pytest.raises(DataError, match=r"missing column path, found: .*; if 'File name' is meant, call it path"):
        by_path(tmp_path, "dogs")


def test_dogs_why_there_is_no_query_is_said(tmp_path):
    rows = [row for row in dog_rows() if row["split"] != "test"]
    with pytest.raises(
        DataError, match=r"split query is empty: no usable image of frames\.csv with a value of dog_id is in split"
    ):
        by_path(dogs(tmp_path / "none", rows), "dogs")
    rows += [
        {"path": f"frames/{dog}{k}.jpg", "dog_id": dog, "sequence": dog, "split": "test"} for dog in "xy" for k in "12"
    ]
    with pytest.raises(DataError, match="split query is empty: each of the 2 test dogs has one sequence only"):
        by_path(dogs(tmp_path / "lone", rows), "dogs")
    rows = [row | {"split": "val"} if row["split"] == "train" else row for row in rows]
    with pytest.raises(DataError, match=r"split train is empty: no usable image of frames\.csv is in it"):
        by_path(dogs(tmp_path / "untrained", rows), "dogs")


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 20)), min_size=1, max_size=60))
def test_drawn_dog_splits_share_no_dog_and_no_sequence(pairs):
    """Dog 0 stands for images of no dog."""
    sources = [
        listed.Source(f"{n}.jpg", "", dog or -1, str(dog) if dog else "", sequence=str(sequence))
        for n, (dog, sequence) in enumerate(pairs)
    ]
    of_dogs = config(Path("dogs"), "dogs")
    drawn, _, _ = listed.assign_splits(sources, None, of_dogs)
    part_of = defaultdict(set)
    for source in drawn:
        part = source.split if source.split in ("train", "val") else "test"
        part_of["sequence", source.sequence].add(part)
        if source.identity > 0:
            part_of["dog", source.identity].add(part)
    assert {len(parts) for parts in part_of.values()} == {1}
    assert drawn == listed.assign_splits(sources, None, of_dogs)[0]


@given(st.integers(10, 200))
def test_dealt_groups_of_equal_weight_keep_the_shares(count):
    dealt = Counter(deal(dict.fromkeys(range(count), 1), listed.SHARES).values())
    for part, share in listed.SHARES.items():
        assert abs(dealt[part] - share * count) <= 1


def test_linked_groups_follow_chains():
    groups = linked_groups([("a", 1), ("b", 1), ("b", 2), ("c", 2), ("d", 3), (1, "a")])
    assert groups["a"] == groups["b"] == groups["c"]
    assert len({groups["a"], groups["d"], groups[1]}) == 3  # left 1 is not right 1


def test_reading_is_in_the_order_of_names(tmp_path):
    listing = market1501.list_sources(market(tmp_path), config(tmp_path, "market1501"))
    paths = [source.path for source in listing.sources]
    assert paths[:12] == sorted(paths[:12])
    assert [path.split("/")[0] for path in paths[11:17]] == ["bounding_box_train", *["query"] * 4, "bounding_box_test"]
