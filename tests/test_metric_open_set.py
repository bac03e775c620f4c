"""Verification and identification with strangers, against values worked by hand and slow references."""

import numpy as np
import pytest

from auxreid.evaluation.protocols import Entities
from auxreid.metric.open_set import (
    FARS,
    FPIRS,
    Drawing,
    bounds,
    draw_strangers,
    identification,
    pairs_of,
    resampled,
    roc,
    verification,
)


def entities(identity, group=None) -> Entities:
    identity = np.array(identity)
    rows = np.arange(len(identity))
    group = rows if group is None else np.array(group)
    return Entities(np.zeros((len(identity), 1), np.float32), identity, group, rows, tuple(rows[:, None]))


def slow(cosines, query, gallery, far) -> tuple[float, float]:
    """(TAR, EER) by trying every cosine as a threshold."""
    true, false = [], []
    for q in range(len(query)):
        for g in range(len(gallery)):
            same = query.identity[q] == gallery.identity[g]
            if gallery.identity[g] == -1 or (same and query.group[q] == gallery.group[g]):
                continue
            (true if same else false).append(cosines[q, g])
    tar, best = 0.0, (2.0, 1.0)
    for threshold in sorted(true):
        accepted = np.mean([one >= threshold for one in true])
        wrongly = np.mean([one >= threshold for one in false])
        tar = max(tar, accepted) if wrongly <= far else tar
        best = min(best, (round(abs(wrongly - 1 + accepted), 12), (wrongly + 1 - accepted) / 2))
    return tar, best[1]


def test_verification_by_hand():
    """Two queries; true pairs .9 and .4, false pairs .8, .3, .2, and one of an own group and one of junk that do not
    count. At a FAR of 1 % no false pair may pass: .9 alone is accepted. Accepting from .4 on takes one of three."""
    query, gallery = entities([1, 2], [100, 101]), entities([1, 2, 2, 3, -1], [0, 1, 101, 3, 4])
    cosines = np.array([[0.9, 0.8, -0.5, 0.3, 0.99], [0.2, 0.4, 0.95, -0.9, 0.99]])
    pairs = pairs_of(cosines, query, gallery)
    assert pairs.counts.tolist() == [[1, 3], [1, 2]]
    found = verification(pairs, np.ones((1, 2)))
    assert found["TAR_1"] == found["TAR_0_1"] == [0.5]
    assert found["EER"] == pytest.approx([0.5 * 0.2])  # from .4 on: none is refused, one of five accepted
    only = verification(pairs, np.array([[0.0, 1.0]]))
    assert only["TAR_1"] == [1.0] and only["EER"] == [0.0]
    far, tar = roc(pairs)
    assert tar.tolist() == [1.0, 0.5] and far.tolist() == [0.2, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_verification_is_what_trying_every_threshold_finds(seed):
    rng = np.random.default_rng(seed)
    query, gallery = entities(rng.integers(1, 9, 30), rng.integers(0, 5, 30)), entities(rng.integers(-1, 9, 60))
    gallery = entities(gallery.identity, rng.integers(0, 5, 60))
    same = query.identity[:, None] == gallery.identity
    cosines = np.round(rng.normal(size=(30, 60)) * 0.3 + 0.5 * same, 2)  # with ties
    found = verification(pairs_of(cosines, query, gallery), np.ones((1, len(np.unique(query.identity)))))
    for far, name in zip(FARS, ("TAR_1", "TAR_0_1"), strict=True):
        tar, eer = slow(cosines, query, gallery, far)
        assert found[name] == pytest.approx([tar])
    assert found["EER"] == pytest.approx([eer])


def test_many_thresholds_are_quantiles_and_change_little(monkeypatch):
    rng = np.random.default_rng(0)
    query, gallery = entities(rng.integers(1, 20, 100), np.arange(1000, 1100)), entities(rng.integers(1, 20, 200))
    cosines = rng.normal(size=(100, 200)) * 0.3 + 0.4 * (query.identity[:, None] == gallery.identity)
    ones = np.ones((1, 19))
    exact = verification(pairs_of(cosines, query, gallery), ones)
    monkeypatch.setattr("auxreid.metric.open_set.MOST_THRESHOLDS", 300)
    fewer = verification(pairs_of(cosines, query, gallery), ones)
    assert all(fewer[name] == pytest.approx(exact[name], abs=0.01) for name in exact)


def test_weights_are_copies():
    """An individual with weight 2 counts as its queries asked twice."""
    rng = np.random.default_rng(1)
    identity, gallery = rng.integers(1, 5, 12), entities(rng.integers(1, 5, 40))
    cosines = rng.normal(size=(12, 40))
    weights = np.array([[2.0, 0, 1, 3]])
    copies = np.concatenate([np.flatnonzero(identity == who + 1).repeat(int(w)) for who, w in enumerate(weights[0])])
    one = verification(pairs_of(cosines, entities(identity, range(100, 112)), gallery), weights)
    query = entities(identity[copies], 100 + copies)
    other = verification(pairs_of(cosines[copies], query, gallery), np.ones((1, 3)))
    assert one["TAR_1"] == pytest.approx(other["TAR_1"], abs=1e-9)


def test_pairs_of_both_kinds_are_needed():
    with pytest.raises(ValueError, match="pairs of one individual and pairs of two"):
        pairs_of(np.ones((1, 1)), entities([1]), entities([2]))


def test_identification_by_hand():
    """Known queries: named rightly at .9, rightly at .5, wrongly at .8. Strangers' nearest: .6 and .3. At 1 % no
    stranger may be named: only .9 counts, 1 of 3. Where .6 is 1 of 12, at 10 % the threshold falls to .5: 2 of 3."""
    one = Drawing(
        individual=np.array([0, 0, 1, 2, 3]),
        stranger=np.array([False, False, False, True, True]),
        cosine=np.array([0.9, 0.5, 0.8, 0.6, 0.3]),
        right=np.array([True, True, False, False, False]),
    )
    found = identification([one], np.array([[1.0, 1, 1, 1], [1, 1, 0, 1], [0, 0, 1, 1]]))
    assert FPIRS == (0.01, 0.10)
    assert found["DIR_1"].tolist() == pytest.approx([1 / 3, 2 / 3, np.nan], nan_ok=True)
    assert found["DIR_10"][0] == pytest.approx(1 / 3)
    mostly = identification([one], np.array([[1.0, 1, 1, 11]]))  # 1 of 12 strangers' queries is at .6
    assert mostly["DIR_10"] == pytest.approx([2 / 3]) and mostly["DIR_1"] == pytest.approx([1 / 3])


def test_strangers_are_not_in_the_gallery_and_nothing_else_is_taken_out():
    """Each individual has one gallery image at cosine 1 with its query; a distractor at .5, others at 0."""
    count = 6
    query, gallery = entities(range(1, count + 1), range(100, 100 + count)), entities([*range(1, count + 1), 0, -1])
    cosines = np.concatenate([np.eye(count), np.full((count, 1), 0.5), np.full((count, 1), 2.0)], axis=1)
    drawings = draw_strangers(cosines, query, gallery, 0.5, 8, seed=0)
    assert len(drawings) == 8 and {one.stranger.sum() for one in drawings} == {3}
    assert len({tuple(one.stranger) for one in drawings}) > 3
    for one in drawings:
        assert one.cosine[one.stranger].tolist() == [0.5] * 3 and one.cosine[~one.stranger].tolist() == [1.0] * 3
        assert (one.right == ~one.stranger).all()
    perfect = identification(drawings, np.ones((1, count)))
    assert perfect["DIR_1"] == perfect["DIR_10"] == [1.0]
    with pytest.raises(ValueError, match="two query individuals"):
        draw_strangers(cosines[:1], entities([1]), gallery, 0.5, 1, seed=0)


def test_of_equally_near_entries_a_wrong_one_is_named():
    query, gallery = entities([1, 2], [10, 11]), entities([1, 3, 2])
    (one,) = draw_strangers(np.ones((2, 3)), query, gallery, 0.5, 1, seed=0)
    assert not one.right.any()


def test_resampling_draws_as_many_individuals_and_bounds_cover_seeds():
    weights = resampled(7, 200, seed=0)
    assert weights.shape == (200, 7) and (weights.sum(axis=1) == 7).all() and abs(weights.mean() - 1) < 0.05
    values = np.tile(np.linspace(0, 1, 1001), (1, 1))
    assert bounds(values, 0.9, seed=0) == pytest.approx((0.05, 0.95), abs=1e-6)
    seeds = np.repeat([[0.0], [1.0]], 400, axis=1)  # no individual matters, the seeds alone
    assert bounds(seeds, 0.9, seed=0) == (0.0, 1.0)
