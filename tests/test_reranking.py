"""Re-ranked distances against numbers worked by hand and a slow literal reference, and ranking block by block."""

import tracemalloc
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auxreid.evaluation import ranking, reranking
from auxreid.evaluation.ranking import distance_blocks, rank_blocks, rank_queries, squared_distances, summarise
from auxreid.evaluation.reranking import rerank_blocks, reranked_distances


def literal_final(query, gallery, k1=20, k2=6, weight=0.3):
    """The definition, entry by entry with sets, in double precision; equal distances in the order of entries."""
    entries = np.concatenate([query, gallery]).astype(np.float32).astype(np.float64)
    n = range(len(entries))
    squared = [[float(((entries[i] - entries[j]) ** 2).sum()) for j in n] for i in n]
    original = [[squared[i][j] / (max(squared[i]) or 1) for j in n] for i in n]
    ranks = [sorted(n, key=lambda j, i=i: (j != i, squared[i][j], j)) for i in n]

    def reciprocal(i, k):
        return {j for j in ranks[i][: k + 1] if i in ranks[j][: k + 1]}

    encoding = []
    for i in n:
        first = reciprocal(i, k1)
        expanded = set(first)
        for j in first:
            candidates = reciprocal(j, round(k1 / 2))
            if len(candidates & first) > 2 / 3 * len(candidates):
                expanded |= candidates
        total = sum(exp(-original[i][j]) for j in expanded)
        encoding.append([exp(-original[i][j]) / total if j in expanded else 0.0 for j in n])
    averaged = np.array([np.mean([encoding[j] for j in ranks[i][:k2]], axis=0) for i in n])

    final = np.empty((len(query), len(gallery)))
    for i in range(len(query)):
        for g in range(len(gallery)):
            shared = np.minimum(averaged[i], averaged[len(query) + g]).sum()
            final[i, g] = (1 - weight) * (1 - shared / (2 - shared)) + weight * original[i][len(query) + g]
    return final


def clusters(queries, gallery, identities, dim=16, spread=0.6, seed=0):
    """Query and gallery embeddings and identities; a tenth of the images are outliers far from their cluster."""
    rng = np.random.default_rng(seed)
    identity = np.arange(queries + gallery) % identities + 1
    embedding = rng.normal(size=(identities + 1, dim))[identity] + spread * rng.normal(size=(len(identity), dim))
    outliers = rng.permutation(len(identity))[: len(identity) // 10]
    embedding[outliers] += 1.5 * rng.normal(size=(len(outliers), dim))
    embedding = (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)
    return embedding[:queries], embedding[queries:], identity[:queries], identity[queries:]


@st.composite
def problems(draw, ties=True):
    """Small sets, some of them full of duplicates and equal distances; k1 and k2 may exceed the set."""
    tied = ties and draw(st.booleans())
    queries, gallery, dim = draw(st.integers(1, 4)), draw(st.integers(1, 8 if tied else 30)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = queries + gallery, dim
    entries = (rng.integers(0, 3, shape) if tied else rng.normal(size=shape)).astype(np.float32)
    arguments = {
        "k1": draw(st.sampled_from([1, 2, 3, 5, 8, 20, 50])),
        "k2": draw(st.sampled_from([1, 2, 6, 40])),
        "weight": draw(st.sampled_from([0.0, 0.3, 1.0])),
    }
    return entries[:queries], entries[queries:], arguments


@settings(max_examples=200, deadline=None)
@given(problem=problems())
def test_equals_the_literal_reference(problem):
    query, gallery, arguments = problem
    final = reranked_distances(query, gallery, **arguments)
    assert final.dtype == np.float32
    np.testing.assert_allclose(final, literal_final(query, gallery, **arguments), atol=2e-6)


@pytest.mark.parametrize(("tile", "spare", "pairs"), [(1024, 11, 8192), (16, 0, 7), (7, 3, 1000)])
def test_clusters_equal_the_literal_reference_whatever_the_chunks(monkeypatch, tile, spare, pairs):
    query, gallery, _, _ = clusters(9, 80, 4)
    for name, value in (("TILE", tile), ("SPARE", spare), ("PAIRS", pairs)):
        monkeypatch.setattr(reranking, name, value)
    np.testing.assert_allclose(reranked_distances(query, gallery), literal_final(query, gallery), atol=2e-6)


@pytest.mark.parametrize("k1", [1, 3, 5, 6, 7])  # half of 1, 3, 5, 7 is rounded to 0, 2, 2, 4
def test_half_of_k1_is_rounded_to_even(k1):
    query, gallery, _, _ = clusters(9, 80, 12, dim=4)
    final = reranked_distances(query, gallery, k1=k1, k2=1)
    np.testing.assert_allclose(final, literal_final(query, gallery, k1=k1, k2=1), atol=2e-6)


def test_three_points_worked_by_hand():
    # on a line the query at 0, a at 1, b at 3; with k1 = 1, query and a name each other, and b names a in vain
    final = reranked_distances(np.array([[0.0]]), np.array([[1.0], [3.0]]), k1=1, k2=1)
    # d(query, a) = 1/9, d(a, query) = 1/4
    # V[query] = (.527749, .472251, 0), V[a] = (.437823, .562177, 0), V[b] = (0, 0, 1)
    # s(query, a) = .437823 + .472251, jaccard = 1 - .910074 / 1.089926 = .165013, final = .7 * .165013 + .3 / 9
    np.testing.assert_allclose(final, [[0.148842, 1.0]], atol=2e-6)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_neighbours_too_close_for_float32_are_told_apart(seed):
    rng = np.random.default_rng(seed)
    lattice = rng.permutation([(x, y) for x in range(12) for y in range(12)])[:60]  # full of equal distances
    entries = (lattice @ rng.normal(size=(2, 64))).astype(np.float32)  # unequal by no more than float32's rounding
    for k1, k2 in ((8, 3), (6, 4)):
        expected = literal_final(entries[:20], entries[20:], k1, k2)
        np.testing.assert_allclose(reranked_distances(entries[:20], entries[20:], k1=k1, k2=k2), expected, atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(problem=problems(ties=False), seed=st.integers(0, 1000))
def test_permuting_the_gallery_permutes_the_columns(problem, seed):
    query, gallery, arguments = problem
    order = np.random.default_rng(seed).permutation(len(gallery))
    moved = reranked_distances(query, gallery[order], **arguments)
    np.testing.assert_allclose(moved, reranked_distances(query, gallery, **arguments)[:, order], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(problem=problems(), block=st.integers(1, 5))
def test_blocks_follow_each_other_and_equal_the_whole(problem, block):
    query, gallery, arguments = problem
    blocks = list(rerank_blocks(query, gallery, block=block, **arguments))
    covered = [q for rows, _ in blocks for q in range(rows.start, rows.stop)]
    assert covered == list(range(len(query)))
    assert all(len(distances) == rows.stop - rows.start <= block for rows, distances in blocks)
    whole = reranked_distances(query, gallery, **arguments)
    np.testing.assert_allclose(np.concatenate([distances for _, distances in blocks]), whole, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_distances_lie_from_0_to_1(problem):
    query, gallery, arguments = problem
    final = reranked_distances(query, gallery, **arguments)
    assert final.min() >= 0 and final.max() <= 1


def test_the_largest_distance_is_1_however_it_is_rounded():
    query, gallery, _, _ = clusters(200, 211, 10, dim=67)
    for block in (1, 3, 50):  # shapes for which a matrix product may round otherwise than in the first pass
        assert max(final.max() for _, final in rerank_blocks(query, gallery, block=block, weight=1.0)) <= 1


@pytest.mark.parametrize("scale", [2.0**-80, 1.0, 2.0**80])
@pytest.mark.parametrize("shift", [0, 1000])
def test_scale_and_place_of_the_embeddings_change_nothing(scale, shift):
    rng = np.random.default_rng(3)
    query, gallery = (np.rint(1024 * rng.normal(size=(n, 6))) / 1024 for n in (4, 50))  # float32 holds them shifted
    final = reranked_distances((query + shift) * scale, (gallery + shift) * scale)
    np.testing.assert_allclose(final, literal_final(query, gallery), atol=2e-6)


def test_equal_embeddings_are_at_distance_0_whatever_their_number():
    same = np.full((60, 5), 0.1, np.float32)
    assert reranked_distances(same[:5], same[5:], k1=60).max() < 1e-6
    assert np.isfinite(reranked_distances(same[:5], same[5:])).all()


def test_equal_inputs_give_equal_outputs():
    query, gallery, _, _ = clusters(20, 200, 10)
    assert np.array_equal(reranked_distances(query, gallery), reranked_distances(query, gallery))


def test_the_callers_arrays_are_left_alone():
    query, gallery, _, _ = clusters(3, 30, 3)
    before = query.copy(), gallery.copy()
    reranked_distances(query, gallery)
    assert np.array_equal(query, before[0]) and np.array_equal(gallery, before[1])


def test_mean_average_precision_rises_on_clusters_with_outliers():
    query, gallery, query_identity, gallery_identity = clusters(60, 900, 40)
    labels = query_identity, gallery_identity, np.zeros(60), np.ones(900)
    plain = summarise(rank_blocks(distance_blocks(query, gallery), *labels))["mAP"]
    reranked = summarise(rank_blocks(rerank_blocks(query, gallery), *labels))["mAP"]
    assert reranked > plain + 0.05


def test_no_matrix_of_all_entries_nor_of_queries_and_gallery_is_held(monkeypatch):
    monkeypatch.setattr(reranking, "TILE", 128)
    query, gallery, _, _ = clusters(2000, 3000, 200, dim=8)
    tracemalloc.start()
    for _ in rerank_blocks(query, gallery, block=16):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2000 * 3000 < 4 * 5000**2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k1": 0}, "k1 is 0, must be at least 1"),
        ({"k2": -1}, "k2 is -1, must be at least 1"),
        ({"block": 0}, "block is 0, must be at least 1"),
        ({"weight": 1.2}, "weight is 1.2, must be from 0 to 1"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"gallery": np.ones((4, 3))}, "query embeddings have 2 dimensions, gallery embeddings 3"),
        ({"gallery": np.array([[0.0, 1.0], [np.inf, 0.0]])}, "gallery embeddings: 1 rows are not finite, the first is"),
        ({"query": np.empty((0, 2))}, "0 queries and 5 gallery entries"),
        ({"query": np.ones(2)}, r"query embeddings have shape \(2,\)"),
        ({"gallery": 3e38 * np.array([[1, 0], [-1, 0], [-1, 0]])}, "reach 3e[+]38, their differences overflow"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"query": np.ones((3, 2)), "gallery": np.zeros((5, 2))} | changes
    with pytest.raises(ValueError, match=message):
        list(rerank_blocks(arguments.pop("query"), arguments.pop("gallery"), **arguments))


def test_bad_input_is_found_before_the_first_block_is_asked_for():
    with pytest.raises(ValueError, match="k1 is 0"):
        rerank_blocks(np.ones((3, 2)), np.zeros((5, 2)), k1=0)


def test_ranking_block_by_block_equals_ranking_at_once(monkeypatch):
    query, gallery, query_identity, gallery_identity = clusters(23, 150, 8)
    monkeypatch.setattr(ranking, "CHUNK_BYTES", 4 * 150 * 5)  # five queries a block
    labels = query_identity, gallery_identity, np.arange(23) % 3, np.arange(150) % 3
    blocks = list(distance_blocks(query, gallery))
    assert [rows.stop for rows, _ in blocks] == [5, 10, 15, 20, 23]
    whole = rank_queries(squared_distances(query, gallery), *labels)
    parts = rank_blocks(blocks, *labels)
    assert np.array_equal(parts.average_precision, whole.average_precision, equal_nan=True)
    assert np.array_equal(parts.first_match_rank, whole.first_match_rank)
    for wrong, message in (
        (blocks[:-1], "end at query 20, there are 23"),
        (blocks[1:], "queries 5 to 10, expected 0 on"),
        ([], "end at query 0, there are 23"),
    ):
        with pytest.raises(ValueError, match=message):
            rank_blocks(wrong, *labels)
