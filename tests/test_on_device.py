"""What a GPU computes of ranking and re-ranking, here on the CPU's device, against the code without torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random as random_sparse
from test_reranking import clusters, problems

from auxreid.evaluation import on_device
from auxreid.evaluation.on_device import OverlapsOnDevice, PointsOnDevice, gpu
from auxreid.evaluation.ranking import distance_blocks, rank_blocks, rank_queries, squared_distances, summarise
from auxreid.evaluation.reranking import rerank_blocks, reranked_distances

DEVICE = torch.device("cpu")


@pytest.fixture(params=[2**28, 4000])
def block_bytes(request, monkeypatch):
    """All at once, and in blocks of a few rows."""
    monkeypatch.setattr(on_device, "BLOCK_BYTES", request.param)
    return request.param


def test_distances_are_those_of_numpy(block_bytes):
    query, gallery, *_ = clusters(30, 200, 10)
    found = squared_distances(query, gallery, DEVICE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, squared_distances(query, gallery), atol=2e-6)
    np.testing.assert_allclose(found, ((query[:, None] - gallery) ** 2).sum(axis=2), atol=2e-6)
    count = len(list(distance_blocks(query, gallery, DEVICE)))
    assert count == (1 if block_bytes == 2**28 else 6)  # of 5 rows of 200 values


def test_bad_embeddings_are_named_before_the_device_sees_them():
    with pytest.raises(ValueError, match="query embeddings: 1 rows are not finite, the first is row 0"):
        squared_distances(np.array([[np.nan]]), np.zeros((2, 1)), DEVICE)


def test_figures_are_those_of_numpy(block_bytes):
    query, gallery, *identities = clusters(40, 300, 12)
    cameras = np.arange(40) % 3, np.arange(300) % 3
    plain = rank_queries(squared_distances(query, gallery), *identities, *cameras)
    device = rank_blocks(distance_blocks(query, gallery, DEVICE), *identities, *cameras)
    assert summarise(device) == pytest.approx(summarise(plain), abs=1e-9)
    reranked = [
        summarise(rank_blocks(rerank_blocks(query, gallery, device=one), *identities, *cameras))
        for one in (None, DEVICE)
    ]
    assert reranked[1] == pytest.approx(reranked[0], abs=1e-9)
    assert reranked[0]["mAP"] != summarise(plain)["mAP"]


@given(problem=problems())
def test_reranked_distances_are_those_of_numpy(problem):
    query, gallery, arguments = problem
    expected = reranked_distances(query, gallery, **arguments)
    np.testing.assert_allclose(reranked_distances(query, gallery, **arguments, device=DEVICE), expected, atol=1e-5)


def test_many_blocks_change_nothing(block_bytes):
    query, gallery, *_ = clusters(40, 300, 12)
    found = reranked_distances(query, gallery, device=DEVICE)
    np.testing.assert_allclose(found, reranked_distances(query, gallery), atol=2e-6)


@given(seed=st.integers(0, 1000), count=st.integers(1, 9))
def test_the_nearest_are_sorted_by_distance_and_number(seed, count):
    points = np.random.default_rng(seed).integers(0, 3, (12, 2)).astype(np.float32)  # many equal distances
    squares = ((points[:, None] - points) ** 2).sum(axis=2)
    others, distances, furthest = PointsOnDevice(points, DEVICE).nearest(count)
    np.testing.assert_array_equal(furthest, squares.max(axis=1))
    np.fill_diagonal(squares, np.inf)
    np.testing.assert_array_equal(distances, np.sort(squares, axis=1)[:, :count])
    for row in range(12):
        listed = list(zip(distances[row], others[row], strict=True))
        assert listed == sorted(set(listed)) and row not in others[row]
        np.testing.assert_array_equal(squares[row, others[row]], distances[row])


def test_overlaps_are_sums_of_the_smaller_values():
    rng = np.random.default_rng(0)
    own, gallery = (random_sparse(n, 20, 0.3, "csr", np.float32, rng) for n in (4, 7))
    found = OverlapsOnDevice(own, gallery.T.tocsr(), DEVICE)
    expected = np.minimum(own.toarray()[:, None], gallery.toarray()).sum(axis=2)
    np.testing.assert_allclose(np.concatenate([found.of(slice(0, 3)), found.of(slice(3, 4))]), expected, atol=1e-6)


def test_the_gpu_is_the_one_that_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert gpu() == torch.device("cuda")
