"""Spread over seeds and queries, against literal sums, textbook cases, and simulations whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from auxreid.evaluation.statistics import estimate, holm


def literal_estimate(values):
    """Mean, variance and degrees of freedom by one loop per symbol; values: a list per seed, None is no value."""
    known = [{q: v for q, v in enumerate(seed) if v is not None} for seed in values]
    known = [seed for seed in known if seed]
    means = [sum(seed.values()) / len(seed) for seed in known]
    seeds = len(means)
    mean = sum(means) / seeds
    between = sum((one - mean) ** 2 for one in means) / (seeds - 1) / seeds
    pairs = []
    for s in range(seeds):
        for t in range(s + 1, seeds):
            both = known[s].keys() & known[t].keys()
            covariance = 0.0
            if len(both) > 1:
                products = [(known[s][q] - means[s]) * (known[t][q] - means[t]) for q in both]
                covariance = sum(products) / (len(both) - 1) * len(both) / (len(known[s]) * len(known[t]))
            pairs.append(covariance)
    variance = between + max(sum(pairs) / len(pairs), 0.0)
    shared = (variance - between) * (seeds - 1) / (seeds + 3)
    return mean, variance, (seeds - 1) * (1 + shared / between) ** 2


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(4, 30), st.sampled_from([0.0, 0.4]))
def test_the_estimate_is_the_literal_sum(draw, seeds, queries, missing):
    rng = np.random.default_rng(draw)
    values = rng.random((seeds, queries)) + rng.random(queries)
    values[rng.random(values.shape) < missing] = np.nan
    listed = [[None if np.isnan(v) else float(v) for v in seed] for seed in values]
    if sum(any(v is not None for v in seed) for seed in listed) < 2:
        return
    found = estimate(values)
    assert (found.mean, found.variance, found.freedom) == pytest.approx(literal_estimate(listed), rel=1e-9)


def test_the_balanced_case_is_the_analysis_of_variance():
    """Every seed asks every query: V = (MS_seeds + max(MS_queries - MS_rest, 0)) / (S n), and at most Hillis's df."""
    rng = np.random.default_rng(1)
    seeds, queries = 4, 30
    values = rng.normal(0, 0.1, (seeds, 1)) + rng.normal(0, 1, queries) + rng.normal(0, 0.5, (seeds, queries))
    of_seeds = queries * values.mean(axis=1).var(ddof=1)
    of_queries = seeds * values.mean(axis=0).var(ddof=1)
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    of_rest = (rest**2).sum() / ((seeds - 1) * (queries - 1))
    total = of_seeds + max(of_queries - of_rest, 0)
    found = estimate(values)
    assert found.variance == pytest.approx(total / (seeds * queries))
    assert seeds - 1 < found.freedom < total**2 / (of_seeds**2 / (seeds - 1))


def test_one_seed_is_students_t_over_its_queries_and_claims_nothing():
    values = np.array([[1.0, 2.0, 3.0, 4.0, np.nan]])
    found = estimate(values)
    # mean 2.5, sample variance 5/3, of the mean 5/12; t with 3 degrees of freedom is 3.1824 at 97.5 %
    assert (found.mean, found.variance, found.freedom, found.seeds) == (2.5, pytest.approx(5 / 12), 3, 1)
    half = 3.18245 * np.sqrt(5 / 12)
    assert found.interval(0.95) == pytest.approx((2.5 - half, 2.5 + half), rel=1e-5)
    assert found.interval(0.95) == pytest.approx(stats.t.interval(0.95, 3, 2.5, np.sqrt(5 / 12)))
    with pytest.raises(ValueError, match="one seed"):
        found.p_value()


def test_seeds_that_share_no_query_are_students_t_over_the_seeds():
    values = np.full((3, 9), np.nan)
    for seed, mean in enumerate((0.1, 0.4, 0.7)):
        values[seed, 3 * seed : 3 * seed + 3] = mean + np.array([-0.1, 0.0, 0.1])
    found = estimate(values)
    assert found.freedom == pytest.approx(2) and found.variance == pytest.approx(0.09 / 3)
    assert found.p_value() == pytest.approx(stats.ttest_1samp([0.1, 0.4, 0.7], 0).pvalue)


def test_seeds_that_agree_leave_the_queries_alone():
    values = np.tile(np.random.default_rng(0).normal(0.1, 1, 200), (3, 1))
    found = estimate(values)
    assert found.error == pytest.approx(values[0].std(ddof=1) / np.sqrt(200))
    assert found.p_value() == pytest.approx(2 * stats.norm.sf(abs(found.mean) / found.error))
    assert estimate(np.zeros((3, 4))).p_value() == 1.0 and estimate(np.ones((3, 4))).p_value() == 0.0


def test_the_detectable_difference_has_its_power_by_the_noncentral_t():
    found = estimate(np.random.default_rng(3).normal(0, 1, (4, 12)))
    c4 = stats.chi(found.freedom).mean() / np.sqrt(found.freedom)
    shift = c4 * found.detectable(0.05, 0.8) / found.error
    edge = stats.t.ppf(0.975, found.freedom)
    assert stats.nct.sf(edge, found.freedom, shift) == pytest.approx(0.8, abs=1e-6)


# Points of mAP: how much trainings vary, how much queries do under all of them, and how much both together do. Paired
# differences of rows of the sample's study are of the first kind, collapsed ones of the second.
STUDIES = [(0.015, 0.15, 0.2), (0.03, 0.25, 0.1), (0.0, 0.2, 0.2), (0.01, 0.0, 0.3)]


def drawn_study(rng, seeds, spread, shift=0.0, queries=300, halves=False):
    """Differences [s, n] of a study whose true difference is `shift`; halves: each seed asks a half of the people."""
    trainings, hard, rest = spread
    values = shift + rng.normal(0, trainings, (seeds, 1)) + rng.normal(0, hard, queries)
    values += rest * rng.standard_t(4, (seeds, queries)) / np.sqrt(2)  # heavy tails, of variance 1
    for one in values if halves else ():
        one[rng.permutation(queries)[queries // 2 :]] = np.nan
    return values


def rejections(seeds, spread, repetitions=1000, **how):
    rng = np.random.default_rng(17)
    found = [estimate(drawn_study(rng, seeds, spread, **how)).p_value() for _ in range(repetitions)]
    return np.mean(np.array(found) < 0.05)


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("spread", STUDIES)
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_equal_rows_are_told_apart_in_5_per_cent_of_studies(seeds, spread, halves):
    assert 0.03 <= rejections(seeds, spread, halves=halves) <= 0.07  # of 1,000: the standard error is 0.7 %


@pytest.mark.parametrize("spread", STUDIES)
@pytest.mark.parametrize("seeds", [3, 5])
def test_a_difference_of_the_stated_size_is_found_with_the_stated_power(seeds, spread):
    """The size is what studies of this kind state on average; each one alone states its own guess of it."""
    rng = np.random.default_rng(5)
    stated = np.mean([estimate(drawn_study(rng, seeds, spread)).detectable(0.05, 0.8) for _ in range(300)])
    assert 0.75 <= rejections(seeds, spread, shift=stated) <= 0.85


def test_queries_alone_would_take_noise_of_training_for_a_difference():
    """Why one seed makes no claim: its interval over queries misses the truth far more often than it says."""
    rng = np.random.default_rng(2)
    ends = [estimate(drawn_study(rng, 1, (0.03, 0.15, 0.2))).interval(0.95) for _ in range(1000)]
    assert np.mean([low > 0 or high < 0 for low, high in ends]) > 0.25


@pytest.mark.parametrize(("seeds", "halves"), [(1, False), (3, False), (5, True)])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds, halves):
    rng = np.random.default_rng(11)
    spread = STUDIES[0] if seeds > 1 else (0.0, 0.15, 0.2)  # of one seed, the model is taken as trained
    ends = [estimate(drawn_study(rng, seeds, spread, shift=0.4, halves=halves)).interval(0.9) for _ in range(1000)]
    assert 0.87 < np.mean([low <= 0.4 <= high for low, high in ends]) < 0.93


def test_holm_worked_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04; the last may not fall below the one before it
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_step_down_rule_rejects(p_values, level):
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    rejected = set()
    for rank, place in enumerate(order):
        if p_values[place] * (len(p_values) - rank) > level:
            break
        rejected.add(place)
    adjusted = holm(np.array(p_values))
    assert {place for place in range(len(p_values)) if adjusted[place] <= level} == rejected


@pytest.mark.parametrize("values", [np.zeros(3), np.full((2, 3), np.nan)])
def test_what_cannot_be_computed_is_refused(values):
    with pytest.raises(ValueError, match="a value that is not NaN"):
        estimate(values)
