"""The frames file: what is written comes back, selections and pickles follow, and bad rows are refused."""

import pickle

import cv2
import numpy as np
import pyarrow as pa
import pytest
from dataset_folders import picture_bytes
from torch.utils.data import DataLoader

from auxreid.data import frames as module
from auxreid.data.frames import FramesMeta, open_frames, resolve_split, write_frames
from auxreid.plumbing.base.errors import DataError

META = FramesMeta(
    dataset="small",
    layout="market1501",
    protocol="market1501",
    word="person",
    joints=["head", "foot"],
    skeleton=[[0, 1]],
    attributes={"hat": ["no", "yes"]},
)


def row(number: int, **changes) -> dict:
    values = {
        "path": f"folder/{number}.png",
        "split": ("train", "query", "gallery")[number % 3],
        "identity": number // 3,
        "identity_name": f"{number // 3:04d}",
        "camera": number % 2 + 1,
        "sequence": f"s{number % 4}",
        "width": 16,
        "height": 32,
        "image": picture_bytes(number, ".png"),
        "keypoints": [number, 1, 2, number, 2, 0] if number % 2 else None,
        "attr_hat": ("no", "yes", None)[number % 3],
    }
    return values | changes


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 4)  # several record batches from a few rows
    path = tmp_path / "frames.arrow"
    assert write_frames(path, (row(number) for number in range(10)), META) == 10
    return path


def test_columns_come_back(path):
    frames = open_frames(path)
    assert frames.meta == META
    assert len(frames) == 10
    assert frames.frame_id.tolist() == list(range(10))
    assert frames.identity.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert frames.camera.tolist() == [1, 2] * 5
    assert frames.split[:3].tolist() == ["train", "query", "gallery"]
    assert frames.path[9] == "folder/9.png"
    assert frames.sequence[5] == "s1"
    assert frames.identity_name[9] == "0003"
    assert frames.size.tolist() == [[16, 32]] * 10


def test_images_come_back_from_every_record_batch(path):
    frames = open_frames(path)
    for number in range(10):
        content = picture_bytes(number, ".png")
        assert bytes(frames.image_bytes(number)) == content
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(frames.image(number), bgr[:, :, ::-1])


def test_images_are_not_copied(path):
    frames = open_frames(path)
    first, again = (np.frombuffer(frames.image_bytes(3), np.uint8) for _ in range(2))
    assert first.ctypes.data == again.ctypes.data
    assert not first.flags.writeable


def test_keypoints_and_attributes_mark_what_is_missing(path):
    points, annotated = open_frames(path).keypoints()
    assert annotated.tolist() == [False, True] * 5
    assert points.dtype == np.float32
    assert points.shape == (10, 2, 3)
    assert points[3].tolist() == [[3, 1, 2], [3, 2, 0]]
    assert not points[4].any()
    assert open_frames(path).attribute_codes("hat").tolist() == [0, 1, -1, 0, 1, -1, 0, 1, -1, 0]


def test_selections_keep_their_order_and_nest(path):
    frames = open_frames(path)
    some = frames.take([7, 1, 4])
    assert some.frame_id.tolist() == [7, 1, 4]
    assert bytes(some.image_bytes(0)) == picture_bytes(7, ".png")
    assert some.keypoints()[1].tolist() == [True, True, False]
    assert some.take(some.identity > 0).frame_id.tolist() == [7, 4]
    assert frames.where("query").frame_id.tolist() == [1, 4, 7]
    assert frames.where(("query", "gallery")).frame_id.tolist() == [1, 2, 4, 5, 7, 8]
    assert len(frames.take([])) == 0
    with pytest.raises(DataError, match="split 'tset', allowed: train"):
        frames.where("tset")


def test_a_pickled_selection_opens_the_file_again(path):
    some = open_frames(path).where("query")
    some.image(0)
    text = pickle.dumps(some)
    assert len(text) < 1000  # row numbers, no images
    assert np.array_equal(pickle.loads(text).image(2), some.image(2))


class Means:
    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        return float(self.frames.image(index).mean())


def test_workers_read_the_same_images(path):
    means = Means(open_frames(path))
    loader = DataLoader(means, batch_size=None, num_workers=1)
    assert list(loader) == pytest.approx([means[index] for index in range(10)])


def test_equal_rows_give_equal_bytes_and_a_table_can_be_written_again(path, tmp_path):
    write_frames(tmp_path / "again.arrow", (row(number) for number in range(10)), META)
    assert (tmp_path / "again.arrow").read_bytes() == path.read_bytes()
    with pa.memory_map(str(path)) as source:
        write_frames(tmp_path / "copy.arrow", pa.ipc.open_file(source).read_all(), META)
    assert (tmp_path / "copy.arrow").read_bytes() == path.read_bytes()


def test_rotated_photos_are_shown_upright(tmp_path):
    """EXIF orientation 6: the camera was turned, so that the stored picture must be turned clockwise."""
    from PIL import Image

    stored = np.zeros((20, 40, 3), np.uint8)
    stored[:, :20] = 255  # the left half, which becomes the upper half
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(stored).save(tmp_path / "turned.jpg", exif=exif)
    content = (tmp_path / "turned.jpg").read_bytes()
    rows = [row(0, image=content, width=20, height=40)]
    write_frames(tmp_path / "frames.arrow", rows, META)
    image = open_frames(tmp_path / "frames.arrow").image(0)
    assert image.shape == (40, 20, 3)
    assert image[:15].min() > 200 > 50 > image[25:].max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "tset"}, "row 1 .*split 'tset', allowed: train"),
        ({"attr_hat": "maybe"}, r"row 1 .*attr_hat is 'maybe', allowed: \['no', 'yes'\]"),
        ({"keypoints": [1, 2, 3]}, "3 keypoint numbers, expected 3 x 2 joints"),
        ({"breed": "poodle"}, r"unknown columns \['breed'\]"),
    ],
)
def test_a_bad_row_is_refused_and_leaves_no_file(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        write_frames(tmp_path / "frames.arrow", [row(0), row(1, **changes)], META)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_named(tmp_path):
    incomplete = row(0)
    del incomplete["width"]
    with pytest.raises(DataError, match=r"missing columns \['width'\]"):
        write_frames(tmp_path / "frames.arrow", [incomplete], META)


def test_files_that_are_no_frames_file_are_refused(path, tmp_path):
    with pytest.raises(DataError, match="no such frames file"):
        open_frames(tmp_path / "none.arrow")
    (tmp_path / "text.arrow").write_text("no Arrow file at all")
    with pytest.raises(DataError, match="not a complete frames file"):
        open_frames(tmp_path / "text.arrow")
    (tmp_path / "half.arrow").write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="not a complete frames file"):
        open_frames(tmp_path / "half.arrow")
    table = pa.table({"x": [1]})
    with pa.OSFile(str(tmp_path / "other.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match="not a frames file"):
        open_frames(tmp_path / "other.arrow")


def test_an_unknown_attribute_is_named(path):
    with pytest.raises(DataError, match="no attribute 'hair'; the data set has: hat"):
        open_frames(path).attribute_codes("hair")


def test_repeated_splits_are_resolved_when_a_file_is_opened(tmp_path):
    splits = [{"train": [1], "test": [2]}, {"train": [2], "test": [1]}, {"train": [2], "test": [3]}]
    meta = FramesMeta("small", "prid2011", "prid2011_single_shot", "person", splits=splits)
    people = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (10007, 2), (20007, 1)]
    rows = [
        {
            "path": str(number),
            "identity": identity,
            "camera": camera,
            "split": "gallery" if identity == 10007 else "none",
            "width": 16,
            "height": 32,
            "image": picture_bytes(number),
        }
        for number, (identity, camera) in enumerate(people)
    ]
    write_frames(tmp_path / "frames.arrow", rows, meta)
    opened = [open_frames(tmp_path / "frames.arrow", split).split.tolist() for split in range(3)]
    assert opened[0] == ["train", "train", "query", "gallery", "none", "none", "gallery", "none"]
    assert opened[1] == ["query", "gallery", "train", "train", "none", "none", "gallery", "none"]
    assert opened[2] == ["none", "none", "train", "train", "query", "gallery", "gallery", "none"]
    with pytest.raises(DataError, match=r"split 3 was asked for, allowed are 0\.\.2"):
        open_frames(tmp_path / "frames.arrow", 3)


def test_resolving_keeps_the_column_of_people_outside_the_splits():
    written = np.array(["gallery", "none"], dtype=object)
    resolved = resolve_split(written, np.array([9, 8]), np.array([2, 1]), [{"train": [1], "test": [2]}], 0)
    assert resolved.tolist() == ["gallery", "none"]
