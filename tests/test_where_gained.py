"""Where a row gained: the table behind the figure worked by hand, and what the figure shows."""

import csv
import io

import cv2
import numpy as np
import pytest

from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.evaluation.comparison import Interval, Row
from auxreid.evaluation.ranking import RankedQueries
from auxreid.evaluation.scores import Places, Scores, query_table, read_queries, write_scores
from auxreid.evaluation.statistics import estimate
from auxreid.evaluation.where_gained import (
    ALIKE,
    ALL,
    ANNOTATED,
    CAMERA,
    CAMERAS,
    CONFIDENCE,
    NO_FRAME,
    NONE_WRONG,
    OTHER_PAIRS,
    Lists,
    Part,
    by_cameras,
    by_thirds,
    groupings,
    parts,
    parts_csv,
    read_lists,
    share_of_equal,
)
from auxreid.evaluation.where_gained_figure import reach, where_figure
from auxreid.plumbing.base.errors import DataError
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints

QUERIES = np.arange(10, 16)
OTHER = np.array([0.5, 0.2, 0.4, 0.9, np.nan, 0.3])
# per seed: the row's AP, and for each query the other row's first places with whether they are true
MINE = {0: [0.6, 0.8, 0.4, 0.7, np.nan, 0.3], 1: [0.7, 0.2, 0.5, 0.7, np.nan, 0.2]}
WRONG = {0: [21, 22, 23, None, 21, 24], 1: [21, 21, 23, None, 21, 24]}


def put(root, name, seed, precision):
    """Six queries; each has the right frame 30 first, then the wrong one that WRONG says, if any, then 25."""
    precision = np.array(precision, float)
    valid = ~np.isnan(precision)
    ranked = RankedQueries(precision, precision, valid.astype(np.int64), valid)
    places = [
        Places(np.array([30]), np.array([True]))
        if wrong is None
        else Places(np.array([30, wrong, 25]), np.array([True, False, False]))
        for wrong in WRONG[seed]
    ]
    table = query_table(ranked, QUERIES, *np.ones((3, 6), int), places)
    scores = Scores("d", name, seed, "market1501", 0, 6, 300, {}, None)
    write_scores(root, scores, table)
    return scores


def read_row(root, name, precisions):
    scores = tuple(put(root, name, seed, precision) for seed, precision in precisions.items())
    return Row(name, "added", scores, tuple(read_queries(root, "d", name, seed) for seed in precisions))


@pytest.fixture
def lists(tmp_path):
    other = read_row(tmp_path, "control", {1: OTHER, 0: OTHER})
    return read_lists(tmp_path, read_row(tmp_path, "row", MINE), other)


# number: camera, hat, bag, colour
FRAMES = {
    **{10: (1, "yes", "yes", "red"), 11: (1, "no", "no", "red"), 12: (2, "yes", None, "red")},
    **{13: (2, "no", "no", "blue"), 14: (3, "yes", "yes", "red"), 15: (3, None, None, None)},
    **{21: (2, "yes", "yes", "red"), 22: (1, "no", "yes", "blue"), 23: (2, "yes", "yes", "blue")},
    **{24: (1, "no", "no", "red"), 25: (3, "no", "no", "red"), 30: (1, "no", "no", "red")},
}


@pytest.fixture
def frames(tmp_path):
    image = cv2.imencode(".png", np.zeros((8, 4, 3), np.uint8))[1].tobytes()
    words = {"hat": ["no", "yes"], "bag": ["no", "yes"], "colour": ["red", "blue"]}
    hidden, seen = [1.0, 1.0, 1.0], [0.0, 0.0, 2.0]
    rows = [
        {"frame_id": number, "path": f"{number}.png", "split": "query", "identity": number, "width": 4, "height": 8}
        | {"image": image, "camera": camera, "keypoints": seen * (number % 3) + hidden * (3 - number % 3)}
        | dict(zip((f"attr_{name}" for name in words), known, strict=True))
        for number, (camera, *known) in FRAMES.items()
    ]
    meta = FramesMeta("tiny", "market1501", "market1501", "person", ["a", "b", "c"], attributes=words)
    write_frames(tmp_path / "frames.arrow", rows, meta)
    return {0: open_frames(tmp_path / "frames.arrow")}


def test_lists_are_of_the_seeds_and_queries_that_both_have(lists):
    assert lists.names == ("row", "control") and lists.splits == (0, 0) and lists.frame_id.tolist() == QUERIES.tolist()
    np.testing.assert_allclose(lists.difference[0], [0.1, 0.6, 0.0, -0.2, np.nan, 0.0], atol=1e-12)
    np.testing.assert_allclose(lists.difference[1], [0.2, 0.0, 0.1, -0.2, np.nan, -0.1], atol=1e-12)
    assert lists.wrong.tolist() == [[21, 22, 23, NO_FRAME, 21, 24], [21, 21, 23, NO_FRAME, 21, 24]]


def lines_of(lists, frames, keypoints=None):
    found = parts(lists, groupings(lists, frames, keypoints), 0.95)
    text = parts_csv({lists.names: found})
    return {(line["by"], line["group"]): line for line in csv.DictReader(io.StringIO(text))}


def numbers(line):
    return (*(int(line[name]) for name in ("lists", "gained", "lost")), float(line["difference"]))


def test_the_table_worked_by_hand(lists, frames):
    found = lines_of(lists, frames)
    # all: seed 0 has a mean of 10 points over 5 queries, seed 1 of 0
    assert numbers(found[ALL, ALL]) == (10, 4, 3, 5.0)
    assert {(line["row"], line["against"]) for line in found.values()} == {("row", "control")}
    # shared with the wrong match: query 10 all of 3 under both seeds; 11 none of 3, then 1 (red); 12 one of 2 (its bag
    # is unknown); 15 knows nothing. Known shares are 0, 1/3, 1/2, 1/2, 1, 1, thirds end at 1/3 and 1/2
    assert numbers(found[ALIKE, "up to 33 %"]) == (2, 1, 0, 30.0)
    assert numbers(found[ALIKE, "33 % to 50 %"]) == (2, 1, 0, 5.0)
    assert numbers(found[ALIKE, "above 50 %"]) == (2, 2, 0, 15.0)
    assert numbers(found[ALIKE, NONE_WRONG]) == (2, 0, 2, -20.0)
    # cameras 1, 2 and 3 ask: 10 and 11, 12 and 13, 15 (14 has no true match)
    assert numbers(found[CAMERA, "1"]) == (4, 3, 0, 22.5)
    assert numbers(found[CAMERA, "2"]) == (4, 1, 2, -7.5)
    assert numbers(found[CAMERA, "3"]) == (2, 0, 1, -5.0)
    # 10 with 21: cameras 1 and 2; 11 with 22: 1 alone, with 21: 1 and 2; 12 with 23: 2 alone; 15 with 24: 1 and 3
    assert numbers(found[CAMERAS, "1 alone"]) == (1, 1, 0, 60.0)
    assert numbers(found[CAMERAS, "1 and 2"]) == (3, 2, 0, 10.0)
    assert numbers(found[CAMERAS, "2 alone"]) == (2, 1, 0, 5.0)
    assert numbers(found[CAMERAS, "1 and 3"]) == (2, 0, 1, -5.0)
    assert (CAMERAS, OTHER_PAIRS) not in found
    interval = estimate(lists.difference[:, :2]).interval(0.95)
    assert (float(found[CAMERA, "1"]["low"]), float(found[CAMERA, "1"]["high"])) == pytest.approx(
        [100 * end for end in interval], abs=0.006
    )


def test_visibility_is_the_annotated_joints_or_those_of_the_keypoint_table(lists, frames, tmp_path):
    found = lines_of(lists, frames)
    # number % 3 of 3 joints are seen: 12 and 15 none, 10 and 13 one, 11 two
    assert numbers(found[ANNOTATED, "up to 0 %"]) == (4, 1, 1, 0.0)
    assert numbers(found[ANNOTATED, "0 % to 33 %"]) == (4, 2, 2, -2.5)
    assert numbers(found[ANNOTATED, "above 33 %"]) == (2, 1, 0, 30.0)
    confidence = {10: 0.9, 11: 0.2, 12: 0.4, 13: 0.6, 15: 0.8, 99: 0.0}
    points = np.zeros((len(confidence), 2, 3), np.float32)
    points[..., 2] = np.array(list(confidence.values()))[:, None] + [[-0.1, 0.1]]
    poses = Poses(points, np.zeros((len(confidence), 2), np.float32))
    write_keypoints(tmp_path / "k.parquet", ("a", "b"), [(np.array(list(confidence)), poses)])
    found = lines_of(lists, frames, tmp_path / "k.parquet")
    assert not any(by == ANNOTATED for by, _ in found)
    assert numbers(found[CONFIDENCE, "up to 0.40"]) == (4, 2, 0, 17.5)  # 11 and 12
    assert numbers(found[CONFIDENCE, "0.40 to 0.80"]) == (4, 0, 3, -12.5)  # 13 and 15
    assert numbers(found[CONFIDENCE, "above 0.80"]) == (2, 2, 0, 15.0)  # 10


def test_what_a_data_set_does_not_know_is_no_group(lists, tmp_path):
    image = cv2.imencode(".png", np.zeros((8, 4, 3), np.uint8))[1].tobytes()
    rows = [
        {
            "frame_id": number,
            "path": f"{number}.png",
            "split": "query",
            "identity": 1,
            "width": 4,
            "height": 8,
            "image": image,
        }
        for number in FRAMES
    ]
    write_frames(tmp_path / "plain.arrow", rows, FramesMeta("tiny", "dogs", "dogs", "dog"))
    plain = {0: open_frames(tmp_path / "plain.arrow")}
    assert groupings(lists, plain, None) == [] and [part.by for part in parts(lists, [], 0.95)] == [ALL]
    with pytest.raises(DataError, match="the scores name frame 10, which is not in its frames"):
        by_cameras(lists, {0: plain[0].take(np.flatnonzero(plain[0].frame_id > 10))})


def test_the_attributes_are_those_of_each_seed_s_split(lists, frames):
    other = Lists(lists.names, (0, 7), lists.frame_id, lists.difference, lists.wrong)
    assert len(groupings(other, frames | {7: frames[0]}, None)) == 4
    with pytest.raises(KeyError):
        groupings(other, frames, None)


def test_shares_count_what_is_known_of_both():
    one, other = np.array([[0, 1, 2], [0, -1, -1], [-1, 0, 1]]), np.array([[0, 2, 2], [1, 0, 0], [0, -1, -1]])
    np.testing.assert_allclose(share_of_equal(one, other), [2 / 3, 0, np.nan])


def test_thirds_of_equal_values_stay_together():
    found = by_thirds("x", np.array([[1.0, 1.0, 1.0, 1.0, 2.0, np.nan]]), "{:g}".format)
    assert found.names == ("up to 1", "above 1") and found.codes.tolist() == [[0, 0, 0, 0, 1, -1]]
    found = by_thirds("x", np.array([[3.0, 1.0, 2.0, 4.0, 5.0, 6.0]]), "{:g}".format)
    assert found.names == ("up to 2", "2 to 4", "above 4") and found.codes.tolist() == [[1, 0, 0, 1, 2, 2]]
    assert by_thirds("x", np.ones((1, 3)), "{:g}".format).names == ("1",)
    assert by_thirds("x", np.full((1, 2), np.nan), "{:g}".format) is None


def test_the_figure_has_a_panel_for_each_way_and_shows_its_numbers(lists, frames, tmp_path):
    found = parts(lists, groupings(lists, frames, None), 0.95)
    figure = where_figure("people", lists.names, found, "95 % interval over seeds and queries")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "",
        *(f"by {one}" for one in (ALIKE, ANNOTATED, CAMERA, CAMERAS)),
    ]
    cameras = figure.axes[3]
    assert [label.get_text() for label in cameras.get_yticklabels()] == ["1", "2", "3"]
    assert cameras.lines[-1].get_xdata().tolist() == pytest.approx([22.5, -7.5, -5.0])
    assert next(text.get_text() for text in cameras.texts) == "4 lists, 3 gained, 0 lost"
    assert figure.axes[-1].get_xlabel().startswith("mAP − control, points of per cent, 95 % interval")
    figure.savefig(tmp_path / "where.png")
    assert (tmp_path / "where.png").stat().st_size < 200_000


def test_a_small_group_s_interval_does_not_hide_the_others():
    def part(value, low, high):
        return Part("x", "y", 5, 1, 1, value, Interval(low, high))

    assert reach([part(4.0, 1.0, 7.0)]) == pytest.approx(7.7)
    assert reach([part(4.0, 1.0, 7.0), part(1.0, -400.0, 402.0)]) == pytest.approx(1.1 * 12.0)
    assert reach([part(0.0, np.nan, np.nan)]) == pytest.approx(2.2)
    assert reach([part(80.0, -400.0, 560.0)]) == 100  # there are no greater differences


def test_equal_lists_give_equal_bytes(lists, frames):
    found = {lists.names: parts(lists, groupings(lists, frames, None), 0.95)}
    assert parts_csv(found) == parts_csv(found) and parts_csv({}).startswith("row,against,by,group,lists,")
