"""The ingest as a whole: packed files, reports, broken files, leaks, keypoints and contact sheets."""

import hashlib
import io
import json
import subprocess
import sys
from types import SimpleNamespace
from unicodedata import normalize

import cv2
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
from PIL import ExifTags, Image

from auxreid.data.contact_sheet import MAX_BYTES, write_contact_sheet
from auxreid.data.decoding import Look, decode, fingerprint, look
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.data.ingest import ingest, summary_lines
from auxreid.data.near_copies import LEAST, near_copies
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
    assert look(whole) == Look(64, 128, None)
    assert isinstance(look(whole[: int(keep * len(whole))]), str)


@given(keep=st.floats(0.01, 0.98))
def test_a_png_cut_anywhere_does_not_decode(keep):
    whole = picture_bytes(0, ".png", size=(20, 30))
    assert isinstance(look(whole[: int(keep * len(whole))]), str)


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
    assert reasons(report) == {path: f"a copy: equal to {TRAIN_IMAGE}"}
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
    report = tmp_path / "out/report.json"
    with pytest.raises(DataError) as raised:
        pack()
    text = str(raised.value)
    assert (
        "3 of 26 images cannot be used, at most 10% are allowed: bounding_box_train/0002_c1s1_000151_01.jpg (zero"
        in text
    )
    assert text.endswith(f"The report, {report}, names all that is left out.")
    assert not (tmp_path / "out/frames.arrow").exists()
    written = json.loads(report.read_text())
    assert list(reasons(written).values()) == ["zero bytes"] * 3
    assert [(fault["kind"], fault["count"]) for fault in written["faults"]] == [("too many broken images", 1)]


def test_many_faults_of_a_kind_are_counted_and_the_first_ten_named(folder, pack, tmp_path):
    for number in range(2000):
        put(folder / f"query/wrong {number:04d}.jpg", b"x")
    put(folder / "query/-1_c1s1_000151_01.jpg", b"x")
    with pytest.raises(DataError) as raised:
        pack()
    lines = str(raised.value).splitlines()
    assert len(lines) == 1 + 10 + 1 + 1 + 1 and "2001 fault(s)" in lines[0]
    assert "identity -1" in lines[1] and "wrong 0009.jpg: a wrong file name" in lines[11]
    assert lines[12] == "  - a wrong file name: 1990 more, 2000 in all"
    faults = json.loads((tmp_path / "out/report.json").read_text())["faults"]
    assert [(fault["kind"], fault["count"], len(fault["first"])) for fault in faults] == [
        ("junk outside the gallery", 1, 1),
        ("a wrong file name", 2000, 10),
    ]


def test_what_is_left_out_is_told_by_kind_and_listed_in_full(folder, pack):
    for number in range(50):
        put(folder / f"query/._{number:02d}.jpg", b"x")
    broken(folder, "0002_c3s1_000151_01.jpg", b"")
    report = pack()
    lines = [line for line in summary_lines(report) if line.startswith("  left out")]
    assert len(lines) == 12 and len(report["left_out"]) == 51
    assert lines[0] == "  left out: bounding_box_train/0002_c3s1_000151_01.jpg: zero bytes"
    assert lines[-1].endswith("by a file manager): 40 more, 50 in all, listed in the report")


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


# Pictures


def scene(seed, size=(64, 128)):
    """uint8 RGB: blotches, as smooth as photographs are."""
    blotches = np.random.default_rng(seed).integers(0, 256, (12, 8, 3), np.uint8)
    return cv2.resize(blotches, size, interpolation=cv2.INTER_CUBIC)


def saved(pixels, form, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_images_are_turned_upright(form, orientation):
    pixels = scene(0, (160, 96))
    upright = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).transpose(1, 0, 2), 8: np.rot90(pixels),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = saved(pixels, form, exif=exif.tobytes(), quality=95)
    assert np.abs(decode(content).astype(int) - upright).mean() < 8  # of another, 70
    eighth = cv2.resize(upright, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    assert np.abs(decode(content, reduced=True).astype(int) - eighth).mean() < 16
    for large in (False, True):
        assert look(content, large) == Look(*upright.shape[1::-1], None)


def test_webp_with_other_data_is_read_as_it_lies():
    pixels = scene(0)
    for options in ({}, {"icc_profile": b"profile"}, {"exif": Image.Exif().tobytes()}, {"lossless": True}):
        assert np.abs(decode(saved(pixels, "WEBP", **options)).astype(int) - pixels).mean() < 8


@pytest.mark.parametrize(("largest", "bits"), [(1019, 10), (4095, 12), (4096, None), (65535, None), (0, None)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_ten_bits_in_sixteen_are_named(largest, bits, channels):
    values = np.random.default_rng(0).integers(0, largest + 1, (20, 10, channels), np.uint16)
    values[..., 3:] = 65535  # opaque
    values[0, 0, :3] = largest
    found = look(cv2.imencode(".png", values)[1].tobytes())
    if bits is None:
        assert found == Look(10, 20, None)
    else:
        assert found.startswith(f"too dark: of 16 bits {bits} are used (the largest value is {largest})")


def test_a_large_image_that_is_cut_does_not_decode():
    pixels = scene(0, (640, 480))
    for form in ("JPEG", "PNG", "WEBP"):
        content = saved(pixels, form)
        for keep in (0.3, 0.9, 1 - 8 / len(content)):
            assert isinstance(look(content[: int(keep * len(content))], large=True), str)
        assert look(content, large=True) == Look(640, 480, None)


MEASURE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from unicodedata import normalize
from auxreid.data.contact_sheet import write_contact_sheet
from auxreid.data.frames import open_frames
from auxreid.data.ingest import ingest
config, out = SimpleNamespace(**eval(sys.argv[1])), Path(sys.argv[2])
print(ingest(config, out)["images"])
write_contact_sheet(open_frames(out / "frames.arrow"), out / "sheet.jpg")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_three_images_of_169_megapixels_take_less_than_a_gigabyte(tmp_path):
    content = cv2.imencode(".jpg", scene(0, (13000, 13000)))[1].tobytes()
    for end, name in enumerate(
        (TRAIN_IMAGE, "query/0003_c1s1_000151_01.jpg", "bounding_box_test/0003_c2s1_000151_01.jpg")
    ):
        put(tmp_path / "market" / name, content + bytes(end))  # no copies of each other
    given = repr(vars(config(tmp_path / "market", "market1501")))
    command = [sys.executable, "-c", MEASURE, given, str(tmp_path / "out")]
    images, peak_kib = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert images == "3" and int(peak_kib) * 1024 < 0.6 * 10**9
    with Image.open(tmp_path / "out/sheet.jpg") as sheet:
        assert np.asarray(sheet).std() > 20


# Copies that are not equal in bytes


@pytest.mark.parametrize(("quality", "scale"), [(30, 1), (50, 1), (95, 1), (75, 0.5), (75, 0.9), (75, 1.1), (75, 2)])
def test_a_copy_encoded_anew_in_train_and_test_is_noted(folder, pack, quality, scale):
    pixels = scene(1)
    put(folder / TRAIN_IMAGE, saved(pixels, "PNG"))
    copy = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    put(folder / "query/0003_c3s1_000151_01.jpg", saved(copy, "JPEG", quality=quality))
    put(folder / "bounding_box_test/0003_c3s1_000151_01.jpg", saved(scene(2), "JPEG"))
    report = pack()
    note = (
        "1 pairs of images in different parts look like copies, encoded anew or scaled: "
        f"{TRAIN_IMAGE} (train) and query/0003_c3s1_000151_01.jpg (query)"
    )
    assert report["warnings"] == [note] and f"  note: {note}" in summary_lines(report)


def test_of_repeated_splits_a_copy_is_noted_if_any_parts_it(tmp_path):
    root = prid_single(tmp_path / "prid")
    for person, quality in ((2, 95), (5, 50)):
        put(root / f"single_shot/cam_a/person_{person:04d}.png", saved(scene(1), "JPEG", quality=quality))
    for splits, noted in (
        ([{"train": [2, 5], "test": [1, 3]}] * 2, 0),
        ([{"train": [1], "test": [3]}, {"train": [2], "test": [5]}], 1),
    ):
        named = [{half: [f"person_{n:04d}" for n in split[half]] for half in split} for split in splits]
        (root / "s.json").write_text(json.dumps(named))
        report = ingest(config(root, "prid2011", splits="s.json", n_splits=2), tmp_path / "out")
        assert sum("look like copies" in note for note in report["warnings"]) == noted


@given(
    places=st.lists(st.sampled_from(["train", "val", "test", ""]), min_size=2, max_size=60),
    seed=st.integers(0, 99),
)
def test_near_copies_are_those_of_a_plain_search(places, seed):
    rng = np.random.default_rng(seed)
    pictures = [scene(rng.integers(6)) for _ in places]
    pictures = [decode(saved(pixels, "JPEG", quality=int(rng.integers(40, 96)))) for pixels in pictures]
    found = set(near_copies(np.array([fingerprint(one) for one in pictures]), np.array(places, dtype=object)))
    greys = [
        cv2.resize(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (8, 8), interpolation=cv2.INTER_AREA) for one in pictures
    ]
    alike = np.corrcoef([grey.ravel() for grey in greys]) >= LEAST
    assert all(alike[pair] for pair in found)
    apart = {("train", "val"), ("train", "test"), ("val", "test")}
    expected = [(i, j) for i, j in np.argwhere(alike) if (places[i], places[j]) in apart]
    assert {(i, places[j]) for i, j in found} == {(i, places[j]) for i, j in expected}
    assert {(places[i], j) for i, j in found} == {(places[i], j) for i, j in expected}


def test_pictures_with_nothing_to_see_are_like_no_other():
    for grey in (0, 128, 255):
        assert not fingerprint(np.full((40, 20, 3), grey, np.uint8)).any()
    assert np.linalg.norm(fingerprint(scene(0))) == pytest.approx(1)


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


def test_keypoints_of_names_with_backslashes_and_in_another_unicode_form(tmp_path):
    name = normalize("NFD", "Żółty.jpg")
    put(dogs(tmp_path / "dogs") / f"frames/{name}", picture_bytes(99, size=(24, 24)))
    with (tmp_path / "dogs/frames.csv").open("a", encoding="utf-8") as table:
        table.write(f"frames/{name},a,a-4,train,,\n")
    coco(tmp_path / "dogs/k.json", ["frames\\a11.jpg", f"frames\\{normalize('NFC', name)}"], (24, 24))
    report = ingest(config(tmp_path / "dogs", "dogs", keypoints=SimpleNamespace(file="k.json", images=None)), tmp_path)
    assert report["keypoints"]["annotated_images"] == 2 and report["warnings"] == []
    frames = open_frames(tmp_path / "frames.arrow")
    assert set(frames.path[frames.keypoints()[1]]) == {"frames/a11.jpg", f"frames/{name}"}


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
