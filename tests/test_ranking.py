"""Ranking figures against worked numbers and a slow literal reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auxreid.evaluation import ranking
from auxreid.evaluation.ranking import RankedQueries, cmc_curve, nearest, rank_queries, squared_distances, summarise


def literal_figures(row, identity, group, gallery_identity, gallery_group):
    """AP, INP and first rank by sorting the whole list and walking down it; None without a true match."""
    listed = []
    for g in range(len(row)):
        if gallery_identity[g] == -1:
            continue
        if gallery_identity[g] == identity and gallery_group[g] == group:
            continue
        listed.append((row[g], bool(gallery_identity[g] == identity and identity > 0)))
    listed.sort()  # False before True: a wrong match goes first among equals
    ranks = [rank for rank, (_, is_true) in enumerate(listed, start=1) if is_true]
    if not ranks:
        return None
    precisions = [sum(other <= rank for other in ranks) / rank for rank in ranks]
    return sum(precisions) / len(ranks), len(ranks) / ranks[-1], ranks[0]


def one_query(relevance, **changes):
    """One query of identity 1 whose ranked list has the given relevance."""
    gallery_identity = np.where(np.array(relevance) == 1, 1, 2)
    arguments = {
        "distances": np.arange(len(relevance), dtype=np.float32)[None],
        "query_identity": np.array([1]),
        "gallery_identity": gallery_identity,
        "query_group": np.array([1]),
        "gallery_group": np.full(len(relevance), 2),
    }
    return rank_queries(**(arguments | changes))


@st.composite
def problems(draw):
    """Small rankings full of ties, junk, distractors, same-group entries and queries without a match."""
    queries, gallery = draw(st.integers(1, 6)), draw(st.integers(0, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    distances = rng.integers(0, levels, (queries, gallery)).astype(np.float32)
    return (
        distances,
        rng.integers(-1, 5, queries),
        rng.integers(-1, 4, gallery),
        rng.integers(0, 3, queries),
        rng.integers(0, 3, gallery),
    )


@pytest.mark.parametrize("many_matches", [0, 100])
@settings(max_examples=300, deadline=None)
@given(problem=problems())
def test_equals_the_literal_reference(problem, many_matches):
    distances, query_identity, gallery_identity, query_group, gallery_group = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "MANY_MATCHES", many_matches)  # both ways of counting
        ranked = rank_queries(*problem)
    for q, row in enumerate(distances):
        expected = literal_figures(row, query_identity[q], query_group[q], gallery_identity, gallery_group)
        assert ranked.valid[q] == (expected is not None)
        if expected is None:
            assert np.isnan(ranked.average_precision[q]) and ranked.first_match_rank[q] == 0
        else:
            found = ranked.average_precision[q], ranked.inverse_negative_penalty[q], ranked.first_match_rank[q]
            assert found == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(problem=problems(), seed=st.integers(0, 1000))
def test_gallery_order_and_monotone_transforms_change_nothing(problem, seed):
    distances, query_identity, gallery_identity, query_group, gallery_group = problem
    order = np.random.default_rng(seed).permutation(len(gallery_identity))
    ranked = rank_queries(*problem)
    moved = rank_queries(
        np.sqrt(distances[:, order]) * 3 - 7,
        query_identity,
        gallery_identity[order],
        query_group,
        gallery_group[order],
    )
    assert np.array_equal(ranked.average_precision, moved.average_precision, equal_nan=True)
    assert np.array_equal(ranked.inverse_negative_penalty, moved.inverse_negative_penalty, equal_nan=True)
    assert np.array_equal(ranked.first_match_rank, moved.first_match_rank)


@settings(max_examples=100, deadline=None)
@given(problem=problems(), count=st.integers(1, 30))
def test_nearest_is_the_head_of_the_same_list(problem, count):
    distances, query_identity, gallery_identity, query_group, gallery_group = problem
    entries, is_true = nearest(distances[0], query_identity[0], query_group[0], gallery_identity, gallery_group, count)
    dropped = (gallery_identity == query_identity[0]) & (gallery_group == query_group[0]) | (gallery_identity == -1)
    true = (gallery_identity == query_identity[0]) & (gallery_identity > 0)
    listed = sorted((distances[0, g], true[g], g) for g in np.flatnonzero(~dropped))[:count]
    assert [(distances[0, g], t, g) for g, t in zip(entries, is_true, strict=True)] == listed


def test_average_precision_is_the_standard_definition():
    # (1/1 + 2/3) / 2; the trapezoidal variant would give 0.7917, the formula without rel(k) 1.333
    assert one_query([1, 0, 1, 0]).average_precision[0] == pytest.approx(0.8333, abs=5e-5)
    assert one_query([0, 1, 1, 0]).average_precision[0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert one_query([1, 1, 0, 0]).average_precision[0] == 1.0


def test_inverse_negative_penalty_and_first_rank():
    ranked = one_query([0, 1, 0, 0, 1])
    assert ranked.inverse_negative_penalty[0] == pytest.approx(2 / 5)
    assert ranked.first_match_rank[0] == 2


def test_ties_count_against_us():
    tied = one_query([1, 0, 0], distances=np.zeros((1, 3), np.float32))
    assert tied.first_match_rank[0] == 3


def test_same_group_and_junk_are_dropped_and_distractors_stay():
    dropped = one_query([0, 0, 0, 1], gallery_identity=np.array([1, -1, 0, 1]), gallery_group=np.array([1, 2, 2, 2]))
    assert dropped.first_match_rank[0] == 2  # behind the distractor alone


def test_groups_may_be_words():
    words = one_query([1, 1, 0], query_group=np.array(["walk"]), gallery_group=np.array(["walk", "beach", "walk"]))
    assert words.average_precision[0] == 1.0 and words.first_match_rank[0] == 1


def test_summary_leaves_out_and_counts_queries_without_match():
    distances = np.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    ranked = rank_queries(
        distances, np.array([1, 1, 9]), np.array([2, 1, 1]), np.zeros(3, np.int64), np.ones(3, np.int64)
    )
    summary = summarise(ranked)
    assert summary["mAP"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1.0) / 2)
    assert summary["mINP"] == pytest.approx((2 / 3 + 1) / 2)
    assert (summary["CMC_1"], summary["CMC_5"], summary["CMC_20"]) == (0.5, 1.0, 1.0)
    assert (summary["queries"], summary["queries_without_match"]) == (3, 1)
    assert cmc_curve(ranked, 3).tolist() == [0.5, 1.0, 1.0]


def test_no_query_with_a_match_is_an_error():
    with pytest.raises(ValueError, match="none of the 1 queries"):
        summarise(one_query([0, 0]))


def test_squared_distances_equal_the_definition(monkeypatch):
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=(11, 5)).astype(np.float32)
    expected = ((query[:, None] - gallery[None]) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distances(query, gallery), expected, atol=1e-5)
    monkeypatch.setattr(ranking, "CHUNK_BYTES", 4 * 11 * 2)  # two queries a chunk
    np.testing.assert_allclose(squared_distances(query, gallery), expected, atol=1e-5)
    assert (squared_distances(query, query) >= 0).all()


def test_broken_input_is_named():
    good = np.ones((3, 2), np.float32)
    bad = good.copy()
    bad[1, 0] = np.nan
    with pytest.raises(ValueError, match="gallery embeddings: 1 rows are not finite, the first is row 1"):
        squared_distances(good, bad)
    with pytest.raises(ValueError, match="2 dimensions, gallery embeddings 3"):
        squared_distances(good, np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"gallery_group has shape \(2,\)"):
        one_query([1, 0, 1], gallery_group=np.array([1, 2]))
    with pytest.raises(ValueError, match="query 0 hold NaN"):
        one_query([1, 0], distances=np.array([[np.nan, 1.0]], np.float32))


def test_ranked_queries_validate_themselves():
    one = np.array([0.5])
    with pytest.raises(ValueError, match="NaN exactly"):
        RankedQueries(one, one, np.array([0]), np.array([False]))
    with pytest.raises(ValueError, match="allowed is above 0 up to 1"):
        RankedQueries(one * 4, one, np.array([1]), np.array([True]))
    with pytest.raises(ValueError, match=r"expected four times \[q\]"):
        RankedQueries(one, one, np.array([1, 2]), np.array([True]))
