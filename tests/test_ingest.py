"""The ingest as a whole: packed files, reports, broken files, leaks, keypoints and contact sheets."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from dataset_folders import (
    coco,
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
from PIL import Image

from auxreid.data.checks import decoded_size
from auxreid.data.contact_sheet import MAX_BYTES, write_contact_sheet
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.data.ingest import ingest, summary_lines
from auxreid.plumbing.base.errors import DataError

TRAIN_IMAGE = "bounding_box_train/0002_c1s1_000151_01.jpg"
KEYPOINTS = SimpleNamespace(file="k.json", images="bounding_box_train")


def snapshot(root):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def reasons(report):
    return {one["path"]: one["reason"] for one in report["left_out"]}


@pytest.fixture
def folder(tmp_path):
    return market(tmp_path / "market")


@pytest.fixture
def pack(folder, tmp_path):
    def run(**changes):
        return ingest(config(folder, "market1501", **changes), tmp_path / "out")

    return run


def test_market_round_trip(folder, pack, tmp_path):
    market_attributes(folder / "market_attribute.mat", train_hat=[2, 1])
    before = snapshot(folder)
    report = pack(attributes="market_attribute.mat")
    frames = open_frames(tmp_path / "out/frames.arrow")
    assert len(frames) == report["images"] == 26
    for index, path in enumerate(frames.path):
        assert bytes(frames.image_bytes(index)) == (folder / path).read_bytes()
    assert (frames.meta.dataset, frames.meta.protocol, frames.meta.word) == ("small_market1501", "market1501", "person")
    first = frames.path.tolist().index(TRAIN_IMAGE)
    assert frames.attribute_codes("hat")[first] == 1
    assert frames.size[first].tolist() == [16, 32]
    assert np.array_equal(np.unique(frames.where("train").identity), [2, 7])
    assert snapshot(folder) == before  # nothing under data/ is ever changed
    assert json.loads((tmp_path / "out/report.json").read_text()) == report


def test_report_counts(folder, pack):
    market_attributes(folder / "market_attribute.mat", train_hat=[2, 1])
    report = pack(attributes="market_attribute.mat")
    assert report["identities"] == 4
    assert report["splits"]["train"] == {"images": 12, "identities": 2, "cameras": {"1": 6, "2": 6}}
    assert report["splits"]["gallery"] == {"images": 10, "identities": 2, "cameras": {"1": 5, "2": 5}}
    assert report["attributes"]["hat"] == {"no": 18, "yes": 6, "missing": 2}
    assert report["left_out"] == report["warnings"] == []
    assert summary_lines(report)[1] == "  gallery: 10 images of 2 identities (camera 1: 5, camera 2: 5)"


def test_equal_input_gives_equal_bytes(folder, tmp_path):
    for name in ("one", "two"):
        ingest(config(folder, "market1501"), tmp_path / name)
    for name in ("frames.arrow", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


# Images that the run can do without: left out, listed by name


def broken(folder, name, content):
    put(folder / "bounding_box_train" / name, content)
    return f"bounding_box_train/{name}"


def test_truncated_jpeg_is_left_out(folder, pack):
    path = broken(folder, "0002_c3s1_000151_01.jpg", picture_bytes(50)[:-100])
    report = pack()
    assert report["images"] == 26
    assert "truncated" in reasons(report)[path]


@given(keep=st.floats(0.01, 0.98))
def test_a_jpeg_cut_anywhere_does_not_decode(keep):
    whole = picture_bytes(0, size=(64, 128))
    assert decoded_size(whole) == (64, 128)
    assert isinstance(decoded_size(whole[: int(keep * len(whole))]), str)


@given(keep=st.floats(0.01, 0.98))
def test_a_png_cut_anywhere_does_not_decode(keep):
    whole = picture_bytes(0, ".png", size=(20, 30))
    assert isinstance(decoded_size(whole[: int(keep * len(whole))]), str)


def test_zero_bytes_are_left_out(folder, pack):
    path = broken(folder, "0002_c3s1_000151_01.jpg", b"")
    assert reasons(pack())[path] == "zero bytes"


def test_text_called_jpg_is_left_out(folder, pack):
    path = broken(folder, "0002_c3s1_000151_01.jpg", b"<html>404 Not Found</html>")
    assert reasons(pack())[path] == "does not decode: not in any image format that is known"


def test_other_files_are_listed(folder, pack):
    put(folder / "bounding_box_test/Thumbs.db", b"x")
    assert reasons(pack())["bounding_box_test/Thumbs.db"].startswith("not an image")


def test_a_copy_of_the_same_person_is_left_out(folder, pack):
    path = broken(folder, "0002_c3s1_000151_01.jpg", (folder / TRAIN_IMAGE).read_bytes())
    report = pack()
    assert reasons(report) == {path: f"a copy of {TRAIN_IMAGE}"}
    assert report["images"] == 26


def test_copies_of_different_people_are_both_left_out(folder, pack):
    path = broken(folder, "0007_c3s1_000151_01.jpg", (folder / TRAIN_IMAGE).read_bytes())
    report = pack()
    assert set(reasons(report)) == {path, TRAIN_IMAGE}
    assert reasons(report)[path] == f"copies that contradict each other: {TRAIN_IMAGE}, {path}"
    assert report["images"] == 25


# What would falsify a result: the run stops


def test_too_many_broken_images_stop(folder, pack, tmp_path):
    for path in sorted((folder / "bounding_box_train").iterdir())[:3]:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="3 of 26 images do not decode, at most 10% are allowed"):
        pack()
    assert not (tmp_path / "out/frames.arrow").exists()


def test_an_identity_in_train_and_test_stops(folder, pack):
    put(folder / "bounding_box_test/0007_c3s1_000151_01.jpg", picture_bytes(50))
    put(folder / "query/0002_c3s1_000151_01.jpg", picture_bytes(51))
    with pytest.raises(DataError, match=r"(?s)identity 0002 is in test and train.*identity 0007 is in test and train"):
        pack()


def test_a_copy_in_train_and_test_stops(folder, pack):
    copy = put(folder / "query/0003_c3s1_000151_01.jpg", (folder / TRAIN_IMAGE).read_bytes())
    with pytest.raises(DataError, match=f"one image in test and train: {TRAIN_IMAGE}, query/{copy.name}"):
        pack()


def test_an_empty_split_stops(folder, pack):
    for path in (folder / "query").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="split query is empty"):
        pack()


def test_a_folder_that_is_not_there_stops(tmp_path):
    with pytest.raises(DataError, match=r"no such folder: .*nowhere"):
        ingest(config(tmp_path / "nowhere", "market1501"), tmp_path / "out")


def test_every_fault_is_named_at_once(folder, pack):
    put(folder / "query/wrong.jpg", picture_bytes(50))
    put(folder / "query/0002_c3s1_000151_01.jpg", picture_bytes(51))
    with pytest.raises(DataError, match=r"(?s)2 fault\(s\).*wrong file name.*identity 0002 is in test and train"):
        pack()


def test_a_dog_or_a_sequence_in_train_and_test_stops(tmp_path):
    rows = dog_rows()
    rows[0]["split"] = "test"
    rows.append({"path": "frames/x.jpg", "sequence": "c-1", "split": "train"})
    with pytest.raises(DataError) as raised:
        ingest(config(dogs(tmp_path / "dogs", rows), "dogs"), tmp_path / "out")
    text = str(raised.value)
    assert "identity a is in test and train" in text
    assert "sequence a-1 is in test and train" in text
    assert "sequence c-1 is in train and val" in text


# Keypoints


def test_keypoints_are_packed_beside_their_images(folder, pack, tmp_path):
    names = sorted(path.name for path in (folder / "bounding_box_train").iterdir())
    coco(folder / "k.json", names[:5])
    report = pack(keypoints=KEYPOINTS)
    assert report["keypoints"] == {"joints": 2, "annotated_images": 5}
    frames = open_frames(tmp_path / "out/frames.arrow")
    points, annotated = frames.keypoints()
    assert frames.meta.joints == ["head", "foot"]
    assert frames.meta.skeleton == [[0, 1]]
    assert annotated.sum() == 5
    third = frames.path.tolist().index(f"bounding_box_train/{names[2]}")
    assert points[third].tolist() == [[2, 1, 2], [2, 2, 1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["images"].clear(), "annotation 0: image 0 is not in the file's list of images"),
        (lambda content: content.pop("categories"), "not in COCO's keypoint format .*categories"),
        (lambda content: content["categories"].clear(), "no category names its keypoints"),
        (
            lambda content: content["annotations"][1].update(keypoints=[1, 2, 2]),
            "annotation 1: 3 numbers, expected 3 x 2",
        ),
        (
            lambda content: content["images"][0].update(width=99),
            r"annotated at \(99, 32\) pixels, the image has \(16, 32\)",
        ),
    ],
)
def test_a_broken_keypoint_file_stops(folder, pack, change, message):
    names = sorted(path.name for path in (folder / "bounding_box_train").iterdir())
    content = json.loads(coco(folder / "k.json", names).read_text())
    change(content)
    (folder / "k.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        pack(keypoints=KEYPOINTS)


def test_keypoints_of_no_image_stop_and_of_some_other_image_warn(folder, pack):
    names = sorted(path.name for path in (folder / "bounding_box_train").iterdir())
    coco(folder / "k.json", ["other.jpg"])
    with pytest.raises(DataError, match=r"annotates no image of the data set .*bounding_box_train/other\.jpg"):
        pack(keypoints=KEYPOINTS)
    coco(folder / "k.json", [*names, "other.jpg"])
    report = pack(keypoints=KEYPOINTS)
    assert any("1 annotated images are not packed" in text for text in report["warnings"])


def test_of_several_annotations_the_largest_is_taken(folder, pack, tmp_path):
    name = TRAIN_IMAGE.split("/")[1]
    content = json.loads(coco(folder / "k.json", [name]).read_text())
    small = {"id": 9, "image_id": 0, "category_id": 1, "keypoints": [7, 7, 2, 8, 8, 2], "bbox": [0, 0, 4, 4]}
    content["annotations"].insert(0, small)
    (folder / "k.json").write_text(json.dumps(content))
    report = pack(keypoints=KEYPOINTS)
    points, annotated = open_frames(tmp_path / "out/frames.arrow").keypoints()
    assert points[annotated].tolist() == [[[0, 1, 2], [0, 2, 1]]]
    assert any("1 images have several annotations" in text for text in report["warnings"])


# The other layouts, packed


@pytest.mark.parametrize(("make", "shot"), [(prid_single, "single_shot"), (prid_multi, "multi_shot")])
def test_prid_splits_are_resolved_when_opened(tmp_path, make, shot):
    root = make(tmp_path / "prid")
    report = ingest(config(root, "prid2011", protocol=f"prid2011_{shot}"), tmp_path / "out")
    assert len(report["repeated_splits"]) == 3
    for number in range(3):
        frames = open_frames(tmp_path / "out/frames.arrow", number)
        split = frames.meta.splits[number]
        assert sorted(set(frames.where("train").identity)) == split["train"]
        query, gallery = frames.where("query"), frames.where("gallery")
        assert (sorted(set(query.identity)), set(query.camera)) == (split["test"], {1})
        alone = [10007, 10008, 10009] if shot == "single_shot" else []
        assert (sorted(set(gallery.identity)), set(gallery.camera)) == ([*split["test"], *alone], {2})
    written = open_frames(tmp_path / "out/frames.arrow")
    assert report["splits"]["query"]["images"] == len(written.where("query"))


def test_dogs_are_packed_with_their_missing_values(tmp_path):
    report = ingest(config(dogs(tmp_path / "dogs"), "dogs"), tmp_path / "out")
    frames = open_frames(tmp_path / "out/frames.arrow")
    assert report["attributes"]["coat"] == {
        "short": 0, "medium": 0, "long": 0, "wire": 0, "curly": 4, "missing": 30,
    }  # fmt: skip
    assert (frames.attribute_codes("coat") == 4).sum() == 4
    assert len(frames.where("test")) == 1
    assert len(frames.where(("query", "gallery"))) == 12
    assert set(frames.where("val").identity) == {3, -1}


def test_queries_without_a_match_are_reported(folder, pack):
    for path in (folder / "bounding_box_test").glob("0003_c2*"):
        path.unlink()
    report = pack()
    assert report["warnings"] == ["1 query views have no true match in the gallery and cannot be scored"]


def test_a_file_changed_in_mid_run_stops(folder, pack, monkeypatch):
    def meddling_write(path, rows, meta):
        (folder / TRAIN_IMAGE).write_bytes(picture_bytes(70))
        return write_frames(path, rows, meta)

    monkeypatch.setattr("auxreid.data.ingest.write_frames", meddling_write)
    with pytest.raises(DataError, match="changed while the data set was being read"):
        pack()


# Contact sheets


def test_contact_sheet_shows_people_by_camera(pack, tmp_path):
    pack()
    write_contact_sheet(open_frames(tmp_path / "out/frames.arrow"), tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        sheet.load()
        assert sheet.width == 8 + 2 * (112 + 8)  # two cameras
        assert sheet.height == 8 + 4 * (224 + 18 + 8)  # four people


def test_contact_sheet_of_unknown_dogs_and_its_size(tmp_path):
    rows = [
        {"path": str(n), "split": "train", "identity": -1, "width": 112, "height": 224, "image": image}
        for n, image in enumerate(picture_bytes(seed, size=(112, 224)) for seed in range(60))
    ]
    write_frames(tmp_path / "frames.arrow", rows, FramesMeta("noise", "dogs", "dogs", "dog"))
    write_contact_sheet(open_frames(tmp_path / "frames.arrow"), tmp_path / "sheet.jpg")
    assert (tmp_path / "sheet.jpg").stat().st_size <= MAX_BYTES  # of pure noise, the worst case


def test_packed_hashes_are_those_of_the_files(folder, pack, tmp_path):
    pack()
    with pa.memory_map(str(tmp_path / "out/frames.arrow")) as source:
        table = pa.ipc.open_file(source).read_all().select(["path", "sha256"]).to_pylist()
    for one in table:
        assert one["sha256"] == hashlib.sha256((folder / one["path"]).read_bytes()).hexdigest()
