"""Intervals and tests, against literal loops, full enumeration, worked numbers and simulations with a known truth."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auxreid.evaluation import statistics
from auxreid.evaluation.statistics import (
    holm,
    percentile_intervals,
    query_terms,
    resampled_means,
    sign_flip_p_values,
)


def literal_mean(values):
    """Mean over seeds of each seed's mean over its queries; values: one list of numbers per seed, None is no value."""
    means = []
    for per_query in values:
        known = [value for value in per_query if value is not None]
        if known:
            means.append(sum(known) / len(known))
    return sum(means) / len(means)


def literal_resampled_means(values, resamples, seed):
    """One figure at a time, one draw at a time."""
    rng = np.random.default_rng(seed)
    queries = len(values[0])
    found = []
    for _ in range(resamples):
        drawn = rng.integers(0, queries, queries)
        found.append(literal_mean([[per_query[q] for q in drawn] for per_query in values]))
    return found


def listed(values):
    return [[None if np.isnan(value) else float(value) for value in per_query] for per_query in values]


def ragged(figures=3, seeds=4, queries=25, missing=0.4):
    rng = np.random.default_rng(7)
    values = rng.random((figures, seeds, queries))
    values[rng.random(values.shape) < missing] = np.nan
    return values


def test_bootstrap_is_the_literal_loop_on_equal_draws():
    values = ragged()
    found = resampled_means(values, resamples=40, seed=5)
    for figure in range(3):
        expected = literal_resampled_means(listed(values[figure]), 40, seed=5)
        np.testing.assert_allclose(found[:, figure], expected, rtol=1e-12)


def test_bootstrap_does_not_depend_on_the_size_of_its_parts(monkeypatch):
    values = ragged()
    whole = resampled_means(values, resamples=101, seed=1)
    monkeypatch.setattr(statistics, "CHUNK_BYTES", 8 * 25 * 7)
    np.testing.assert_allclose(resampled_means(values, resamples=101, seed=1), whole, rtol=1e-12)


def test_seeds_on_the_same_queries_are_averaged_first():
    values = np.random.default_rng(0).random((1, 3, 50))
    averaged = values.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(resampled_means(values, 30, 2), resampled_means(averaged, 30, 2), rtol=1e-12)


def test_big_samples_have_the_normal_interval():
    values = np.random.default_rng(3).beta(2, 1, 4000)
    low, high = percentile_intervals(resampled_means(values[None, None], 4000, 0), 0.95)[0]
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.08 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.08 * half)


def test_a_resample_without_any_query_of_a_figure_says_nothing_about_it():
    values = np.array([[[1.0, 3.0]], [[np.nan, 5.0]]])  # the second figure lacks the first query
    found = resampled_means(values, 200, seed=0)
    assert set(found[:, 0]) == {1.0, 2.0, 3.0}
    assert np.isnan(found[found[:, 0] == 1.0, 1]).all() and (found[found[:, 0] > 1.0, 1] == 5.0).all()
    assert percentile_intervals(found, 0.95)[1].tolist() == [5.0, 5.0]


def test_percentiles_by_hand():
    distribution = np.arange(101.0)[:, None]
    assert percentile_intervals(distribution, 0.9).tolist() == [pytest.approx([5.0, 95.0])]


def coverage(truth, sample, repetitions, level):
    """Share of random samples whose interval holds the truth; sample: rng -> values [s, n]."""
    rng = np.random.default_rng(11)
    held = 0
    for repetition in range(repetitions):
        low, high = percentile_intervals(resampled_means(sample(rng)[None], 400, repetition), level)[0]
        held += low <= truth <= high
    return held / repetitions


def test_intervals_hold_the_truth_as_often_as_they_say():
    # 600 repetitions at 90 %: standard error 1.2 %; percentile intervals of 80 queries fall short by some 1 %.
    assert 0.86 < coverage(2 / 3, lambda rng: rng.beta(2, 1, (1, 80)), 600, 0.9) < 0.935


def test_intervals_hold_the_truth_where_random_splits_ask_the_same_people():
    """Ten splits, each asking a half of 60 people, who differ in how hard they are: no person counts as five."""

    def sample(rng):
        people = rng.normal(0.5, 0.2, 60)
        values = np.full((10, 60), np.nan)
        for split in values:
            asked = rng.permutation(60)[:30]
            split[asked] = people[asked] + rng.normal(0, 0.1, 30)
        return values

    assert 0.85 < coverage(0.5, sample, 400, 0.9) < 0.94


def test_terms_sum_to_the_figure():
    for values in ragged():
        assert query_terms(values).sum() == pytest.approx(literal_mean(listed(values)), rel=1e-12)


def test_terms_by_hand():
    values = np.array([[0.2, np.nan, 0.4], [0.6, 0.3, np.nan], [np.nan, np.nan, np.nan]])
    np.testing.assert_allclose(query_terms(values), [0.2 / 4 + 0.6 / 4, 0.3 / 4, 0.4 / 4])


def enumerated_p(terms):
    """Two-sided, over all 2^n choices of signs."""
    sums = [
        abs(sum(s * t for s, t in zip(signs, terms, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(terms))
    ]
    return sum(one >= abs(sum(terms)) - 1e-12 for one in sums) / len(sums)


def test_sign_flips_come_to_the_full_enumeration():
    terms = np.random.default_rng(2).normal(0.4, 1, (9, 5))
    found = sign_flip_p_values(terms, flips=40_000, seed=0)
    expected = [enumerated_p(column) for column in terms.T]
    assert max(expected) > 0.3 and min(expected) < 0.1  # the comparison spans small and large p-values
    np.testing.assert_allclose(found, expected, atol=4 * 0.5 / np.sqrt(40_000))


def test_sign_flips_worked_by_hand():
    # 1, 2, 3, 4 all positive: of 16 choices only all + and all - reach 10, p = 2/16; 1, 2, 3, -4: 14 of 16 reach 2, as
    # only two reach none (1 + 4 = 2 + 3, either way round), p = 14/16; no difference at all: every flip reaches it.
    terms = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [3.0, 3.0, 0.0], [4.0, -4.0, 0.0]])
    assert [enumerated_p(column) for column in terms.T] == [2 / 16, 14 / 16, 1.0]
    found = sign_flip_p_values(terms, flips=20_000, seed=1)
    np.testing.assert_allclose(found, [2 / 16, 14 / 16, 1.0], atol=0.01)
    assert found[2] == 1.0


def test_a_p_value_is_never_zero_and_counts_the_figure_itself():
    terms = np.full((60, 1), 1.0)  # no random choice of 60 signs reaches 60
    assert sign_flip_p_values(terms, flips=99, seed=0).tolist() == [0.01]


def test_sums_that_are_equal_but_for_rounding_count_as_reached():
    terms = np.array([[0.1], [0.2], [0.3]])  # 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1 in binary
    assert sign_flip_p_values(terms, 20_000, 0)[0] == pytest.approx(2 / 8, abs=0.012)


def test_the_sign_of_the_difference_does_not_matter():
    terms = np.random.default_rng(4).normal(0.1, 1, (50, 2))
    np.testing.assert_array_equal(sign_flip_p_values(terms, 500, 3), sign_flip_p_values(-terms, 500, 3))


def test_equal_rows_are_told_apart_as_rarely_as_the_level_says():
    rng = np.random.default_rng(6)
    terms = rng.standard_t(3, (40, 1000)) * rng.random((40, 1))  # symmetric around 0, heavy tails, unequal queries
    rejected = (sign_flip_p_values(terms, 999, 0) <= 0.05).mean()
    assert 0.03 < rejected < 0.07  # the standard error is 0.7 %


def test_a_real_difference_is_found():
    terms = np.random.default_rng(8).normal(0.03, 0.1, (400, 1))
    assert sign_flip_p_values(terms, 999, 0)[0] == 0.001


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resampled_means(np.zeros((2, 3)), 10, 0), r"shape \(2, 3\), expected \[k, s, n\]"),
        (lambda: resampled_means(np.zeros((1, 1, 0)), 10, 0), "n above 0"),
        (lambda: resampled_means(np.zeros((1, 1, 2)), 0, 0), "0 random repetitions"),
        (lambda: query_terms(np.full((2, 3), np.nan)), "a value that is not NaN"),
        (lambda: sign_flip_p_values(np.array([[np.nan]]), 10, 0), "finite numbers"),
        (lambda: sign_flip_p_values(np.zeros((3, 1)), 0, 0), "0 random repetitions"),
    ],
)
def test_what_cannot_be_computed_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
