"""Which queries gained and lost most, and the pictures of both ranked lists."""

import cv2
import numpy as np
import pytest

from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.evaluation.comparison import Row
from auxreid.evaluation.gained_lost import Change, draw_changes, most_changed, read_changes
from auxreid.evaluation.ranked_lists import BORDER, CELL, GAP, LINE, MARGIN, TRUE, WRONG
from auxreid.evaluation.ranking import RankedQueries
from auxreid.evaluation.scores import Places, Scores, query_table, read_queries, write_scores
from auxreid.plumbing.base.errors import DataError

PRECISION = {"clip_reid": [0.5, 0.2, np.nan, 0.9, 0.4, 0.3], "other": [0.6, 0.8, np.nan, 0.1, 0.4, 0.9]}


def test_the_greatest_changes_come_first_and_no_change_is_neither():
    difference = np.array([0.1, np.nan, -0.5, 0.0, 0.3, 0.1, -0.1])
    gained, lost = most_changed(difference, 2)
    assert (gained.tolist(), lost.tolist()) == ([4, 0], [2, 6])
    gained, lost = most_changed(difference, 99)
    assert (gained.tolist(), lost.tolist()) == ([4, 0, 5], [2, 6])
    assert [len(one) for one in most_changed(np.array([0.0, np.nan]), 3)] == [0, 0]


def put(root, name, seed, precision):
    """A row's score files: six queries, frames 10 to 15, each with two places, the first of which is wrong."""
    precision = np.array(precision)
    valid = ~np.isnan(precision)
    ranked = RankedQueries(precision, precision, valid.astype(np.int64), valid)
    first = 100 if name == "clip_reid" else 200
    places = [Places(np.array([first + q, first + 50 + q]), np.array([False, True])) for q in range(6)]
    table = query_table(ranked, np.arange(10, 16), *np.ones((3, 6), int), places)
    scores = Scores("d", name, seed, "market1501", 0, 6, 300, {}, None)
    write_scores(root, scores, table)
    return scores


def read_row(root, name, seeds):
    scores = tuple(put(root, name, seed, PRECISION[name]) for seed in seeds)
    return Row(name, "thesis", scores, tuple(read_queries(root, "d", name, seed) for seed in seeds))


def test_changes_name_the_query_both_precisions_and_both_lists(tmp_path):
    reference, other = read_row(tmp_path, "clip_reid", (0, 3)), read_row(tmp_path, "other", (3,))
    changes = read_changes(tmp_path, other, reference, 2)
    assert [one.frame_id for one in changes] == [11, 15, 13]  # +0.6 twice, in query order, then the one loss
    assert changes[2].average_precision == (0.9, 0.1)
    assert [places.frame_id.tolist() for places in changes[2].places] == [[103, 153], [203, 253]]
    assert changes[2].places[0].is_true.tolist() == [False, True]


def test_equal_rows_have_no_changes_and_rows_without_a_common_seed_are_refused(tmp_path):
    reference = read_row(tmp_path, "clip_reid", (0,))
    assert read_changes(tmp_path, reference, reference, 4) == []
    with pytest.raises(ValueError, match=r"other has seeds \(1,\), clip_reid \(0,\): none in common"):
        read_changes(tmp_path, read_row(tmp_path, "other", (1,)), reference, 4)


@pytest.fixture
def frames(tmp_path):
    """Frames 5 to 44 in descending order, each of a colour of its own, 32 x 64 pixels."""

    def row(number):
        pixels = np.full((64, 32, 3), (number, 255 - number, 5 * number), np.uint8)  # blue, green, red
        image = cv2.imencode(".png", pixels)[1].tobytes()
        body = {"split": "query", "identity": number, "width": 32, "height": 64}
        return body | {"frame_id": number, "path": f"{number}.png", "image": image, "camera": 1}

    meta = FramesMeta("tiny", "market1501", "market1501", "person")
    write_frames(tmp_path / "frames.arrow", [row(number) for number in range(44, 4, -1)], meta)
    return open_frames(tmp_path / "frames.arrow")


WHITE = (255, 255, 255)


def colour(number):
    return (5 * number, 255 - number, number)


def test_a_query_stands_before_the_reference_s_places_and_above_the_other_row_s(frames):
    places = (
        Places(np.array([20, 30]), np.array([True, False])),
        Places(np.arange(31, 41), np.array([False] * 9 + [True])),
    )
    picture = np.asarray(draw_changes([Change(7, (0.25, 0.75), places)], ("clip_reid", "other"), frames))
    first, second = (cells_of_line(picture, line) for line in (0, 1))
    assert [cell[0] for cell in first[:3]] == [colour(number) for number in (7, 20, 30)]
    assert [cell[1] for cell in first[1:3]] == [TRUE, WRONG]
    assert first[3:] == [(WHITE, WHITE)] * 8  # its list ends after two places
    assert [cell[0] for cell in second] == [WHITE, *(colour(number) for number in range(31, 41))]
    assert [cell[1] for cell in second[1:]] == [*[WRONG] * 9, TRUE]


def cells_of_line(picture, line):
    """Colours of the middle and of the frame of the 11 cells of a line, found by the layout of the picture."""
    step = (picture.shape[0] - 2 * MARGIN + GAP) / 2
    width = (picture.shape[1] - 2 * MARGIN - 2 * GAP + GAP) / 11  # the places are set off by 2 GAP
    assert (step, width) == (int(step), int(width))
    top, found = MARGIN + line * int(step) + LINE + GAP, []
    for column in range(11):
        middle = MARGIN + column * int(width) + 2 * GAP * (column > 0) + (int(width) - GAP) // 2
        found.append((tuple(picture[top + CELL // 2, middle]), tuple(picture[top + BORDER // 2, middle])))
    return found


def test_names_and_precisions_are_written_above_their_lines(frames):
    places = (Places(np.array([20]), np.array([True])), Places(np.array([20]), np.array([True])))

    def titles(precision, names):
        picture = np.asarray(draw_changes([Change(7, precision, places)], names, frames))
        step = (picture.shape[0] - 2 * MARGIN + GAP) // 2
        return [picture[MARGIN + line * step :][:LINE] for line in (0, 1)]

    plain = titles((0.25, 0.75), ("a", "b"))
    for number, other in enumerate([titles((0.5, 0.75), ("a", "b")), titles((0.25, 0.5), ("a", "b"))]):
        assert (plain[number] != other[number]).any() and (plain[1 - number] == other[1 - number]).all()
    other = titles((0.25, 0.75), ("a", "c"))
    assert (plain[0] == other[0]).all() and (plain[1] != other[1]).any()


def test_a_frame_that_is_not_there_is_named(frames):
    places = (Places(np.array([20]), np.array([True])), Places(np.array([99]), np.array([True])))
    with pytest.raises(DataError, match="tiny: the scores name frame 99, which is not in its frames"):
        draw_changes([Change(7, (0.25, 0.75), places)], ("a", "b"), frames)
