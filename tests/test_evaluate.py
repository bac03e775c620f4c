"""What the evaluate stage leaves for comparisons: every query's first places, and the figures after re-ranking."""

import cv2
import evaluate
import numpy as np
import pytest

from auxreid.data.frames import FramesMeta, write_frames
from auxreid.evaluation.protocols import Entities, open_evaluated, query_and_gallery
from auxreid.evaluation.ranked_lists import LIST_LENGTH, first_places
from auxreid.evaluation.ranking import rank_queries, squared_distances, summarise
from auxreid.evaluation.reranking import reranked_distances


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Twelve people, each asked from camera 1 and searched in cameras 1 to 3; frame numbers run downwards from 400."""
    image = cv2.imencode(".png", np.zeros((32, 16, 3), np.uint8))[1].tobytes()
    places = [("query", 1), ("gallery", 1), ("gallery", 2), ("gallery", 3)]
    rows = [
        {"frame_id": 400 - 4 * person - number, "path": f"{person}_{number}.png", "image": image, "width": 16}
        | {"height": 32, "split": split, "identity": person + 1, "camera": camera}
        for person in range(12)
        for number, (split, camera) in enumerate(places)
    ]
    path = tmp_path_factory.mktemp("frames") / "frames.arrow"
    write_frames(path, rows, FramesMeta("tiny", "market1501", "market1501", "person"))
    return open_evaluated(path, 0)


@pytest.fixture(scope="module")
def entities(frames):
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(13, 8))[frames.identity] + 0.8 * rng.normal(size=(len(frames), 8))
    return query_and_gallery(frames, embedding.astype(np.float32), "market1501")


def test_the_table_of_queries_names_the_frames_of_the_first_places(frames, entities):
    query, gallery = entities
    distances = squared_distances(query.embedding, gallery.embedding)
    ranked = rank_queries(distances, query.identity, gallery.identity, query.group, gallery.group)
    table = evaluate.per_query(frames, query, ranked, first_places(distances, query, gallery)).to_pydict()
    assert table["frame_id"] == [400 - 4 * person for person in range(12)]
    for q in range(12):
        order = [g for g in np.argsort(distances[q]) if gallery.identity[g] != q + 1 or gallery.group[g] != 1]
        shown = order[:LIST_LENGTH]
        assert table["place_frame_id"][q] == [400 - 4 * (g // 3) - 1 - g % 3 for g in shown]
        assert table["place_is_true"][q] == [g // 3 == q for g in shown]
        assert table["first_match_rank"][q] == 1 + [g // 3 == q for g in order].index(True)


def figures(distances, query, gallery):
    return summarise(rank_queries(distances, query.identity, gallery.identity, query.group, gallery.group))


def test_reranked_figures_have_no_counts_and_are_switched_off_by_none(entities):
    assert evaluate.reranked_metrics(*entities, None) is None
    found = evaluate.reranked_metrics(*entities, dict(k1=4, k2=2, weight=0.3))
    assert list(found) == ["mAP", "mINP", "CMC_1", "CMC_5", "CMC_10", "CMC_20"]
    assert all(0 < value <= 1 for value in found.values())


def test_reranking_that_gives_the_jaccard_distance_no_weight_changes_no_figure(entities):
    query, gallery = entities
    distances = squared_distances(query.embedding, gallery.embedding)
    plain = figures(distances, query, gallery)
    found = evaluate.reranked_metrics(query, gallery, dict(k1=4, k2=2, weight=1.0))
    assert found == pytest.approx({name: plain[name] for name in found}, abs=1e-6)


def test_reranked_figures_are_those_of_the_reranked_distances(entities):
    query, gallery = entities
    distances = reranked_distances(query.embedding, gallery.embedding, k1=6, k2=3, weight=0.3)
    expected = figures(distances, query, gallery)
    plain = figures(squared_distances(query.embedding, gallery.embedding), query, gallery)
    found = evaluate.reranked_metrics(query, gallery, dict(k1=6, k2=3, weight=0.3))
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-6)
    assert found["mAP"] != pytest.approx(plain["mAP"], abs=1e-4)


def test_junk_in_the_gallery_changes_no_reranked_figure(entities):
    query, gallery = entities
    near = np.repeat(query.embedding, 3, axis=0)  # junk that lies exactly where the queries do
    with_junk = Entities(
        np.concatenate([near, gallery.embedding]),
        np.concatenate([np.full(len(near), -1), gallery.identity]),
        np.concatenate([np.full(len(near), 2), gallery.group]),
        np.concatenate([np.zeros(len(near), np.int64), gallery.representative]),
        (np.array([0]),) * len(near) + gallery.members,
    )
    settings = dict(k1=6, k2=3, weight=0.3)
    assert evaluate.reranked_metrics(query, with_junk, settings) == evaluate.reranked_metrics(query, gallery, settings)
