"""Who asks and who is searched, on frames files written for the purpose; and the pictures of ranked lists."""

import cv2
import numpy as np
import pytest
from PIL import Image

from auxreid.data.frames import FramesMeta, write_frames
from auxreid.evaluation.protocols import Entities, open_evaluated, query_and_gallery
from auxreid.evaluation.ranked_lists import (
    MAX_BYTES,
    TRUE,
    WRONG,
    chosen_queries,
    draw_lists,
    first_places,
    frame_captions,
    ranked_list,
    save_jpeg,
)
from auxreid.evaluation.ranking import rank_queries, squared_distances, summarise
from auxreid.plumbing.base.errors import DataError

LAYOUTS = {"market1501": "market1501", "prid2011_single_shot": "prid2011", "dogs": "dogs"}


def write(path, protocol, rows, splits=()):
    """A frames file with one small image per row, coloured by its identity."""

    def full(number, row):
        colour = np.random.default_rng(abs(row["identity"])).integers(0, 255, 3)
        pixels = np.broadcast_to(colour, (32, 16, 3)).astype(np.uint8)
        image = cv2.imencode(".png", pixels)[1].tobytes()
        return {"path": f"{number}.png", "width": 16, "height": 32, "image": image} | row

    meta = FramesMeta("tiny", LAYOUTS.get(protocol, "prid2011"), protocol, "person", splits=list(splits))
    write_frames(path, [full(number, row) for number, row in enumerate(rows)], meta)
    return path


def row(split, identity, camera=0, sequence=""):
    return {"split": split, "identity": identity, "camera": camera, "sequence": sequence}


@pytest.fixture
def market(tmp_path):
    rows = [
        row("train", 9, 1),
        row("query", 1, 1),
        row("gallery", 1, 1),  # same camera: dropped
        row("gallery", 1, 2),
        row("gallery", -1, 2),  # junk: dropped
        row("gallery", 0, 2),  # distractor: stays
    ]
    return write(tmp_path / "frames.arrow", "market1501", rows)


def figures(path, protocol, embedding, split=0):
    frames = open_evaluated(path, split)
    query, gallery = query_and_gallery(frames, np.array(embedding, np.float32), protocol)
    distances = squared_distances(query.embedding, gallery.embedding)
    return rank_queries(distances, query.identity, gallery.identity, query.group, gallery.group)


def test_market1501_drops_same_camera_and_junk_and_keeps_distractors(market):
    embedding = [[0.0], [0.0], [3.0], [1.0], [2.0]]  # the query, same camera, the match, junk, the distractor
    ranked = figures(market, "market1501", embedding)
    assert ranked.first_match_rank.tolist() == [2]


def test_single_shot_ranks_camera_b_with_its_own_people(tmp_path):
    rows = [row("none", 1, 1), row("none", 1, 2), row("none", 2, 1), row("none", 2, 2), row("gallery", 10300, 2)]
    splits = [{"train": [2], "test": [1]}, {"train": [1], "test": [2]}]
    path = write(tmp_path / "frames.arrow", "prid2011_single_shot", rows, splits)
    frames = open_evaluated(path, 1)
    query, gallery = query_and_gallery(frames, np.eye(3, dtype=np.float32), "prid2011_single_shot")
    assert query.identity.tolist() == [2] and query.group.tolist() == [1]
    assert gallery.identity.tolist() == [2, 10300] and gallery.group.tolist() == [2, 2]


def test_single_shot_refuses_tracks(tmp_path):
    rows = [row("none", 1, 1), row("none", 1, 1), row("none", 1, 2)]
    path = write(tmp_path / "frames.arrow", "prid2011_single_shot", rows, [{"train": [], "test": [1]}])
    with pytest.raises(DataError, match=r"2 images of identity 1 in camera 1 \(the first is 0.png\)"):
        figures(path, "prid2011_single_shot", np.zeros((3, 2)))


def test_multi_shot_ranks_plain_means_of_tracks(tmp_path):
    rows = [row("none", 2, 1), row("none", 1, 1), row("none", 1, 2), row("none", 2, 2), row("none", 1, 1)]
    path = write(tmp_path / "frames.arrow", "prid2011_multi_shot", rows, [{"train": [], "test": [1, 2]}])
    embedding = np.array([[0, 1], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    query, gallery = query_and_gallery(open_evaluated(path, 0), embedding, "prid2011_multi_shot")
    assert query.identity.tolist() == [1, 2] and gallery.identity.tolist() == [1, 2]
    assert [members.tolist() for members in query.members] == [[1, 4], [0]]
    np.testing.assert_array_equal(query.embedding, [[0.5, 0.5], [0, 1]])  # not brought back to length 1
    assert query.representative.tolist() == [4, 0]


def test_multi_shot_map_is_the_mean_reciprocal_rank(tmp_path):
    people = range(1, 13)
    rows = [row("none", person, camera) for person in people for camera in (1, 1, 2, 2)]
    path = write(tmp_path / "frames.arrow", "prid2011_multi_shot", rows, [{"train": [], "test": list(people)}])
    ranked = figures(path, "prid2011_multi_shot", np.random.default_rng(0).normal(size=(48, 3)))
    assert summarise(ranked)["mAP"] == pytest.approx((1 / ranked.first_match_rank).mean())
    assert len(ranked) == 12 and ranked.first_match_rank.max() > 1


def test_dogs_drop_the_query_s_own_sequence_only(tmp_path):
    rows = [
        row("query", 1, sequence="walk"),
        row("query", 2),
        row("gallery", 1, sequence="walk"),
        row("gallery", 1, sequence="beach"),
        row("gallery", 2),  # no sequence known: not the query's
        row("gallery", 2, sequence="walk"),
    ]
    path = write(tmp_path / "frames.arrow", "dogs", rows)
    query, gallery = query_and_gallery(open_evaluated(path, 0), np.eye(6, dtype=np.float32), "dogs")
    assert query.group[0] == gallery.group[0] == gallery.group[3]
    assert query.group[1] not in gallery.group
    ranked = figures(path, "dogs", [[0.0], [0.0], [0.0], [1.0], [2.0], [3.0]])
    assert ranked.first_match_rank.tolist() == [1, 3]


def test_nothing_to_rank_is_said(tmp_path):
    path = write(tmp_path / "frames.arrow", "market1501", [row("query", 1, 1)])
    with pytest.raises(DataError, match="split 0 has no gallery frames"):
        open_evaluated(path, 0)


def test_wrong_protocol_and_wrong_number_of_embeddings(market):
    frames = open_evaluated(market, 0)
    with pytest.raises(DataError, match="protocol 'msmt17', allowed: market1501"):
        query_and_gallery(frames, np.zeros((5, 2)), "msmt17")
    with pytest.raises(DataError, match="4 embeddings for 5 frames of tiny"):
        query_and_gallery(frames, np.zeros((4, 2)), "market1501")


def test_entities_validate_themselves():
    with pytest.raises(ValueError, match="1 entities"):
        Entities(np.zeros((2, 3)), np.zeros(2), np.zeros(2), np.zeros(2), (np.array([0]),))


def ranked_people(path, people=12, cameras=3):
    """Frames, entities and ranking of people whose embeddings are noisy."""
    rows = [row("query", person, 1) for person in range(1, people + 1)]
    rows += [row("gallery", person, camera) for person in range(1, people + 1) for camera in range(1, cameras + 1)]
    frames = open_evaluated(write(path, "market1501", rows), 0)
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(people + 1, 8))[frames.identity] + rng.normal(size=(len(frames), 8))
    query, gallery = query_and_gallery(frames, embedding, "market1501")
    distances = squared_distances(query.embedding, gallery.embedding)
    ranked = rank_queries(distances, query.identity, gallery.identity, query.group, gallery.group)
    return frames, query, gallery, distances, ranked


def test_best_worst_and_random_queries(tmp_path):
    *_, ranked = ranked_people(tmp_path / "frames.arrow")
    chosen = chosen_queries(ranked, 4, seed=3)
    by_precision = np.sort(ranked.average_precision)
    assert ranked.average_precision[chosen["worst"]].tolist() == by_precision[:4].tolist()
    assert ranked.average_precision[chosen["best"]].tolist() == by_precision[::-1][:4].tolist()
    assert len(set(chosen["random"])) == 4
    assert chosen["random"].tolist() == chosen_queries(ranked, 4, seed=3)["random"].tolist()
    assert len(chosen_queries(ranked, 100, seed=0)["random"]) == len(ranked)


def test_pictures_frame_true_matches_green_and_wrong_ones_red(tmp_path):
    frames, query, gallery, distances, ranked = ranked_people(tmp_path / "frames.arrow")
    places = first_places(distances, query, gallery)
    one = ranked_list(0, query, places, ranked, frame_captions(frames))
    assert one[0].is_true is None and len(one) == 11
    assert one[0].caption.endswith(f"AP {ranked.average_precision[0]:.3f}")
    identities = frames.identity[[entry.frame for entry in one[1:]]]
    assert [entry.is_true for entry in one[1:]] == (identities == query.identity[0]).tolist()
    pixels = np.asarray(draw_lists([one], frames.image))

    def has(colour):
        return bool((pixels == colour).all(-1).any())

    assert has(TRUE) == any(entry.is_true for entry in one[1:])
    assert has(WRONG) == any(entry.is_true is False for entry in one[1:])


def test_picture_files_are_small_and_deterministic(tmp_path):
    rng = np.random.default_rng(0)
    frames, query, gallery, distances, ranked = ranked_people(tmp_path / "frames.arrow")
    captions = frame_captions(frames)
    lists = [ranked_list(q, query, first_places(distances, query, gallery), ranked, captions) for q in range(8)]
    noisy = [rng.integers(0, 255, (128, 64, 3), np.uint8) for _ in range(len(frames))]  # the worst case for JPEG
    for name in ("one.jpg", "two.jpg"):
        save_jpeg(draw_lists(lists, noisy.__getitem__), tmp_path / name)
    assert (tmp_path / "one.jpg").read_bytes() == (tmp_path / "two.jpg").read_bytes()
    assert (tmp_path / "one.jpg").stat().st_size <= MAX_BYTES
    assert Image.open(tmp_path / "one.jpg").width < 1600
