"""Predicted attributes as vectors whose distances are Bhattacharyya's, their weights, and the choice among them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auxreid.descriptors.evidence import Evidence, fit_evidence, separating_weights
from auxreid.evaluation.ranking import rank_queries, squared_distances, summarise
from auxreid.plumbing.base.errors import DataError

WORDS = {"colour": 3, "hat": 2}


def drawn(seed: int, images: int, sharpness: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.dirichlet([sharpness] * words, images) for name, words in WORDS.items()}


def with_weights(probabilities, **weights: float) -> Evidence:
    return Evidence(weights, {name: np.nanmean(np.sqrt(p), axis=0) for name, p in probabilities.items()})


def half_distances(embedding: np.ndarray) -> np.ndarray:
    return squared_distances(embedding, embedding) / 2


# vectors


@given(st.integers(0, 1000), st.floats(0, 3), st.floats(0, 3))
def test_half_the_squared_distance_is_the_weighted_sum_of_one_minus_bhattacharyya(seed, colour, hat):
    images = drawn(seed, 6, sharpness=0.3)
    found = half_distances(with_weights(images, colour=colour, hat=hat).embedding(images))
    for i, j in product(range(6), repeat=2):
        coefficients = {
            name: sum(np.sqrt(p[i, word] * p[j, word]) for word in range(WORDS[name])) for name, p in images.items()
        }
        expected = colour * (1 - coefficients["colour"]) + hat * (1 - coefficients["hat"])
        assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_two_images_by_hand():
    images = {"hat": np.array([[1.0, 0.0], [0.36, 0.64]])}
    embedding = with_weights(images, hat=4.0).embedding(images)
    np.testing.assert_allclose(embedding, [[2, 0, 0], [1.2, 1.6, 0]], rtol=1e-6)
    assert half_distances(embedding)[0, 1] == pytest.approx(4 * (1 - 0.6))


def test_an_unknown_attribute_is_as_far_from_images_as_they_are_from_each_other():
    images = drawn(0, 400, sharpness=0.5)
    evidence = with_weights(images, colour=1.0, hat=2.0)
    unknown = {name: np.full((1, words), np.nan) for name, words in WORDS.items()}
    known, nothing = evidence.embedding(images), evidence.embedding(unknown)
    assert (known[:, 3] == 0).all() and (known[:, 6] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(nothing), np.linalg.norm(known, axis=1), rtol=1e-5)
    among = half_distances(known).mean()
    assert squared_distances(nothing, known).mean() / 2 == pytest.approx(among, rel=1e-4)


def test_a_word_that_was_not_fitted_is_an_error():
    evidence = with_weights(drawn(0, 5), colour=1.0, hat=1.0)
    with pytest.raises(DataError, match="hat is missing, 2 words were fitted"):
        evidence.embedding({"colour": np.ones((1, 3)) / 3})
    with pytest.raises(DataError, match="colour has 4, 3 words were fitted"):
        evidence.embedding({"colour": np.ones((1, 4)) / 4, "hat": np.ones((1, 2)) / 2})


# weights


def slow_weight(p: np.ndarray, classes: np.ndarray, groups: np.ndarray) -> float:
    """Pair by pair."""
    known = [row for row in range(len(p)) if not np.isnan(p[row]).any()]
    unlike = {True: [], False: []}
    for i, j in product(known, repeat=2):
        same = bool(classes[i] == classes[j])
        if not same or groups[i] != groups[j]:
            unlike[same].append(1 - np.sqrt(p[i] * p[j]).sum())
    one, two = (np.array(unlike[same]) for same in (True, False))
    return max(0.0, (two.mean() - one.mean()) / ((one.var() + two.var()) / 2))


@given(st.integers(0, 1000))
def test_weights_are_those_of_all_pairs(seed):
    images, rng = drawn(seed, 14), np.random.default_rng(seed)
    classes = np.concatenate([[0, 0, 1, 1], rng.integers(0, 4, 10)])
    groups = np.concatenate([[1, 2, 1, 2], rng.integers(1, 4, 10)])
    images["hat"][rng.integers(4, 14)] = np.nan
    found = separating_weights(images, classes, groups)
    for name, p in images.items():
        assert found[name] == pytest.approx(slow_weight(p, classes, groups), rel=1e-6, abs=1e-9)


def test_an_attribute_that_never_varies_weighs_nothing():
    images = {"hat": np.tile([0.3, 0.7], (4, 1))}
    assert separating_weights(images, np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2])) == {"hat": 0.0}


@pytest.mark.parametrize(("classes", "groups"), [([0, 0, 1, 1], [1, 1, 2, 2]), ([0, 0, 0, 0], [1, 2, 1, 2])])
def test_weights_need_pairs_of_both_kinds(classes, groups):
    with pytest.raises(DataError, match="evidence of hat: there must be pairs of one person's images in two groups"):
        separating_weights({"hat": np.full((4, 2), 0.5)}, np.array(classes), np.array(groups))


# the choice


def people(seed: int, told: bool) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, identities, cameras and images' own vectors; the attributes tell people apart, or are noise."""
    rng = np.random.default_rng(seed)
    classes, groups = np.repeat(np.arange(30), 4), np.tile([1, 1, 2, 2], 30)
    centres = {name: rng.dirichlet([0.3] * words, 30)[classes] for name, words in WORDS.items()}
    noise = {name: rng.dirichlet([0.3] * words, len(classes)) for name, words in WORDS.items()}
    share = 0.9 if told else 0.0
    images = {name: share * centres[name] + (1 - share) * noise[name] for name in WORDS}
    own = rng.standard_normal((30, 6))[classes] + 1.2 * rng.standard_normal((len(classes), 6))
    return images, classes, groups, own / np.linalg.norm(own, axis=1, keepdims=True)


def mean_average_precision(own: np.ndarray, classes: np.ndarray, groups: np.ndarray):
    def score(evidence: np.ndarray, rows: np.ndarray) -> float:
        both = np.concatenate([own[rows], evidence], axis=1)
        labels = classes[rows], classes[rows], groups[rows], groups[rows]
        return summarise(rank_queries(squared_distances(both, both), *(one + 1 for one in labels)))["mAP"]

    return score


def test_evidence_that_tells_people_apart_is_taken_and_helps():
    images, classes, groups, own = people(0, told=True)
    score = mean_average_precision(own, classes, groups)
    evidence, scores = fit_evidence(images, classes, groups, score, seed=0)
    assert sum(evidence.weights.values()) > 0 and max(scores.values()) > scores["equal", 0.0] + 0.02
    others, classes, groups, own = people(1, told=True)  # of other people
    score, everyone = mean_average_precision(own, classes, groups), np.arange(len(classes))
    assert score(evidence.embedding(others), everyone) > score(0 * evidence.embedding(others), everyone) + 0.02


def test_noise_gets_little_say():
    images, classes, groups, own = people(2, told=False)
    evidence, scores = fit_evidence(images, classes, groups, mean_average_precision(own, classes, groups), seed=0)
    assert sum(evidence.weights.values()) <= 0.2 and max(scores.values()) < scores["equal", 0.0] + 0.01
    assert scores["equal", 3.2] < scores["equal", 0.0] - 0.02


def test_of_equal_scores_the_smaller_scale_is_taken():
    images, classes, groups, _ = people(3, told=True)
    evidence, scores = fit_evidence(images, classes, groups, lambda found, rows: 0.5, seed=0, scales=(1.0, 0.0, 2.0))
    assert sum(evidence.weights.values()) == 0 and set(scores.values()) == {0.5}


def test_each_half_is_scored_with_weights_of_the_other():
    images, classes, groups, _ = people(4, told=True)
    seen = []
    fit_evidence(images, classes, groups, lambda found, rows: seen.append(rows) or 0.0, seed=0, scales=(1.0,))
    first, second = seen[0], seen[-1]
    assert not set(classes[first]) & set(classes[second]) and len(first) + len(second) == len(classes)
