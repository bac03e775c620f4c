"""What similarities and attributes say of two photographs: worked numbers, slow references, properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auxreid.plumbing.base.errors import DataError
from auxreid.search.calibration import (
    Isotonic,
    Logistic,
    balanced,
    best_calibration,
    calibration_record,
    read_calibration,
)
from auxreid.search.confusion import fit_confusion, proven_confusion
from auxreid.search.evidence import attribute_llr, base_rates, paired_llr, stated_vector, through
from auxreid.search.weights import fit_weights

EARS = ("erect", "semi_erect", "drop")


def distributions(rng: np.random.Generator, rows: int, words: int) -> np.ndarray:
    return rng.dirichlet(np.full(words, 0.5), size=rows)


# attributes


def test_the_ratio_worked_by_hand():
    p, q, prior = np.array([[0.8, 0.2]]), np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]]), np.array([0.5, 0.5])
    # 0.8 * 0.9 / 0.5 + 0.2 * 0.1 / 0.5 = 1.48; 0.2 * 1 / 0.5 = 0.4
    assert attribute_llr(p, q, prior) == pytest.approx(np.array([[0.0, np.log(1.48), np.log(0.4)]]))


def test_a_rare_word_that_agrees_says_more_than_a_common_one():
    sure, prior = np.eye(2), np.array([0.9, 0.1])
    agree = attribute_llr(sure, sure, prior).diagonal()
    assert agree == pytest.approx([np.log(1 / 0.9), np.log(1 / 0.1)])


@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_it_is_the_sum_as_written_is_symmetric_and_nothing_known_adds_exactly_nothing(words, seed):
    rng = np.random.default_rng(seed)
    prior = base_rates(rng.integers(-1, words, size=50), words)
    p, q = distributions(rng, 4, words), distributions(rng, 3, words)
    found = attribute_llr(p, q, prior)
    for i, j in np.ndindex(found.shape):
        total = sum(p[i, v] * q[j, v] / prior[v] for v in range(words))
        assert found[i, j] == pytest.approx(np.log(max(total, 1e-9)))
        assert paired_llr(p[[i]], q[[j]], prior)[0] == pytest.approx(found[i, j])
    assert pytest.approx(found) == attribute_llr(q, p, prior).T
    assert (attribute_llr(prior[None], q, prior) == 0).all() and (attribute_llr(p, prior[None], prior) == 0).all()
    nothing = stated_vector((), (), tuple(map(str, range(words))), prior, 0.1)
    assert (attribute_llr(nothing[None], q, prior) == 0).all()


def test_words_that_contradict_each_other_are_not_infinitely_unlike():
    assert np.isfinite(attribute_llr(np.eye(2), np.eye(2), np.full(2, 0.5))).all()


def test_what_is_stated_is_softened_by_the_base_rates():
    prior = np.array([0.5, 0.3, 0.2])
    assert stated_vector(("drop",), (), EARS, prior, 0.1) == pytest.approx([0.05, 0.03, 0.92])
    several = stated_vector(("erect", "semi_erect"), (), EARS, prior, 0.0)
    assert several == pytest.approx([0.625, 0.375, 0.0])
    assert stated_vector((), ("erect",), EARS, prior, 0.0) == pytest.approx([0.0, 0.6, 0.4])
    assert stated_vector(("erect", "drop"), ("erect",), EARS, prior, 0.0) == pytest.approx([0, 0, 1])


@pytest.mark.parametrize(("words", "excluded"), [(("floppy",), ()), ((), EARS), (("drop",), ("drop",)), ((), ("x",))])
def test_a_statement_that_leaves_no_word_or_names_an_unknown_one_is_refused(words, excluded):
    with pytest.raises(DataError, match=r"stated"):
        stated_vector(words, excluded, EARS, np.full(3, 1 / 3), 0.1)


def test_base_rates_count_each_word_once_more():
    assert base_rates(np.array([0, 0, 1, -1]), 3) == pytest.approx([3 / 6, 2 / 6, 1 / 6])


# confusions


def test_confusions_of_probabilities_that_are_true_are_nearly_the_identity():
    rng = np.random.default_rng(0)
    p = distributions(rng, 20_000, 3)
    codes = (rng.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert fit_confusion(p, codes) == pytest.approx(np.eye(3), abs=0.03)


def test_confusions_of_a_classifier_that_is_sure_and_errs_are_the_shares_of_its_errors():
    rng, true = np.random.default_rng(0), np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    predicted = rng.integers(3, size=30_000)
    codes = (rng.random((len(predicted), 1)) > true[predicted].cumsum(axis=1)).sum(axis=1)
    assert fit_confusion(np.eye(3)[predicted], codes) == pytest.approx(true, abs=0.02)


def test_confusions_worked_by_hand_for_sure_predictions():
    # of the first word: 3 labels right, 1 wrong, and the two that are added: 1.9 and 0.1
    found = fit_confusion(np.eye(2)[[0, 0, 0, 0]], np.array([0, 0, 0, 1]))
    assert found == pytest.approx(np.array([[4.9 / 6, 1.1 / 6], [0.05, 0.95]]))


def test_without_labels_nothing_is_changed():
    p = distributions(np.random.default_rng(0), 4, 3)
    assert (through(p, fit_confusion(p, np.full(4, -1))) == p).all()


def test_confusions_are_used_only_where_they_prove_to_be_worth_it():
    rng = np.random.default_rng(0)
    p = distributions(rng, 200, 3)
    codes = (rng.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert (proven_confusion(p, codes, np.arange(200) // 2) == np.eye(3)).all()  # calibrated
    sure = np.eye(3)[rng.integers(3, size=200)]  # as sure as can be, and says nothing
    assert np.diag(proven_confusion(sure, codes, np.arange(200) // 2)).max() < 0.8
    assert (proven_confusion(sure, codes, np.arange(200) // 50) == np.eye(3)).all()  # of four dogs
    assert (proven_confusion(sure, np.full(200, -1), np.arange(200)) == np.eye(3)).all()


# similarities


def likeness(rng: np.random.Generator, ones: int, twos: int) -> tuple[np.ndarray, np.ndarray]:
    """Of normal similarities of unit variance, 2 apart: the log-likelihood ratio is 2 x - 2."""
    same = np.arange(ones + twos) < ones
    return rng.normal(2.0 * same), same


@pytest.mark.parametrize("kind", [Logistic, Isotonic])
def test_calibration_finds_the_ratio_whatever_the_numbers_of_pairs(kind):
    similarity, same = likeness(np.random.default_rng(0), 2_000, 20_000)
    x = np.linspace(-0.5, 2.5, 7)
    assert kind.fit(similarity, same).llr(x) == pytest.approx(2 * x - 2, abs=0.7)


@pytest.mark.parametrize("kind", [Logistic, Isotonic])
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_calibration_loses_no_order(kind, seed, inverted):
    rng = np.random.default_rng(seed)
    similarity, same = likeness(rng, 20, 60)
    similarity = np.round(similarity, 1) / 10  # many are equal
    found = kind.fit(-similarity if inverted else similarity, same)
    x = np.sort(np.concatenate([rng.uniform(-2, 2, 50), similarity])).astype(np.float32)
    x = np.unique(x)
    assert (np.diff(found.llr(x)) > 0).all()


def test_pairs_that_a_threshold_separates_have_finite_ratios():
    similarity, same = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    for kind in (Logistic, Isotonic):
        assert np.isfinite(kind.fit(similarity, same).llr(np.array([-1.0, 0.5, 1.0]))).all()


def test_the_isotonic_steps_worked_by_hand():
    # Each pair weighs 1. The middle two violate the order and are one step.
    similarity, same = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    found = Isotonic.fit(similarity, same)
    assert found.similarities == pytest.approx((0.0, 1.5, 3.0))
    # one pair of weight is added to each step, half of it of one dog: 0.5 / 2, 1.5 / 3, 1.5 / 2
    assert found.llrs == pytest.approx((np.log(1 / 3), 0.0, np.log(3)))


def test_the_kind_with_the_least_held_out_loss_is_taken():
    rng = np.random.default_rng(0)
    similarity, same = likeness(rng, 2_000, 4_000)
    fold = np.repeat(rng.integers(5, size=(len(same), 1)), 2, axis=1)
    assert isinstance(best_calibration(similarity, same, fold)[0], Logistic)
    bent = np.where(similarity > 1, similarity + 50, similarity)  # a gap that no line follows
    assert isinstance(best_calibration(bent, same, fold)[0], Isotonic)


@pytest.mark.parametrize("kind", [Logistic, Isotonic])
def test_a_calibration_is_written_and_read(kind):
    found = kind.fit(*likeness(np.random.default_rng(0), 50, 50))
    assert read_calibration(calibration_record(found)) == found


def test_pairs_of_one_kind_alone_are_refused():
    with pytest.raises(ValueError, match="pairs of one dog and of two, got 3 and 0"):
        balanced(np.ones(3, bool))


# weights


def test_weights_are_those_of_the_model_that_made_the_pairs():
    rng, true = np.random.default_rng(0), np.array([1.0, 0.5, 0.0])
    values = rng.normal(size=(40_000, 3))
    same = rng.random(len(values)) < 1 / (1 + np.exp(-(values @ true - 0.3)))
    found = fit_weights(values, same, np.ones(len(values)), ridge=0.0)
    assert found.weights == pytest.approx(true, abs=0.05) and found.offset == pytest.approx(-0.3, abs=0.05)


def test_evidence_that_speaks_the_wrong_way_gets_no_weight_and_a_copy_shares_one():
    rng = np.random.default_rng(0)
    one = rng.normal(size=20_000)
    same = rng.random(len(one)) < 1 / (1 + np.exp(-one))
    found = fit_weights(np.stack([one, one, -one], axis=1), same, np.ones(len(one)), ridge=1e-4)
    assert found.weights[:2].sum() == pytest.approx(1.0, abs=0.1) and found.weights[2] == 0


def test_what_is_given_is_no_longer_learnt():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20_000, 2))
    same = rng.random(len(values)) < 1 / (1 + np.exp(-values.sum(axis=1)))
    found = fit_weights(values[:, 1:], same, np.ones(len(values)), ridge=0.0, given=values[:, 0])
    assert found.weights == pytest.approx([1.0], abs=0.06)
    assert fit_weights(np.zeros((4, 1)), same[:4], np.ones(4), ridge=1e-3, towards=1.0).weights[0] == 1
