"""The score, its fit on calibration dogs, and the decision."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_dogs import VOCABULARY, drawn_dogs
from small_frames import small_frames

from auxreid.metric.validation import deal_folds
from auxreid.plumbing.base.errors import DataError
from auxreid.search.calibration import Logistic
from auxreid.search.calibration_dogs import calibration_rows, calibration_set, classifier_learnt, dog_codes
from auxreid.search.decision import Level, Strangers, Thresholds, measured_growth, set_thresholds
from auxreid.search.examples import Extra, limited, predicted_examples, stated_examples
from auxreid.search.fit import fit_fusion, fit_on
from auxreid.search.fusion import Fusion
from auxreid.search.left_out import LeftOut
from auxreid.search.looks import Looks
from auxreid.search.pairs import draw_pairs
from auxreid.search.posterior import Posterior, fit_posterior
from auxreid.search.stated import Stated

NOTHING = Stated()
DROP = Stated(("drop",))


@pytest.fixture(scope="module")
def known():
    return drawn_dogs(60, 2, seed=0)


@pytest.fixture(scope="module")
def fitted(known) -> Fusion:
    return fit_fusion(known, "a-model")


def by_hand() -> Fusion:
    return Fusion(
        model="m",
        vocabulary={"ears": ("erect", "drop")},
        visual=Logistic(10.0, -5.0),
        priors={"ears": np.array([0.5, 0.5])},
        confusions={"ears": np.array([[0.9, 0.1], [0.2, 0.8]])},
        weights={"visual": 0.5, "ears": 2.0},
        stated_weights={"ears": 1.0},
        softness=0.2,
        thresholds=Thresholds((Level(1, 0, 2.0, 0.0),), 1.0, 0.01, 0.1, 100, 50, 99, ""),
        posterior=Posterior(1.0, 0.0),
    )


def looks(embedding, ears) -> Looks:
    return Looks(np.array(embedding, np.float32), {"ears": np.array(ears, np.float32)})


# the score


def test_terms_worked_by_hand():
    query, gallery = looks([[1, 0]], [[1, 0]]), looks([[1, 0], [0.6, 0.8]], [[1, 0], [0, 1]])
    found = by_hand().terms(query, gallery, {})
    # cosines 1 and 0.6; ears through the confusions are (0.9, 0.1), and (0.9, 0.1), (0.2, 0.8)
    assert found["visual"] == pytest.approx([0.5 * 5, 0.5 * 1])
    assert found["ears"] == pytest.approx([2 * np.log(1.64), 2 * np.log(0.52)])


def test_what_is_stated_replaces_what_is_predicted():
    query, gallery = looks([[1, 0]], [[1, 0]]), looks([[1, 0], [0.6, 0.8]], [[1, 0], [0, 1]])
    stated = by_hand().terms(query, gallery, {"ears": DROP})
    # drop, softened by 0.2: (0.1, 0.9)
    assert stated["ears"] == pytest.approx([np.log(2 * (0.09 + 0.09)), np.log(2 * (0.02 + 0.72))])
    assert stated["visual"] == pytest.approx(by_hand().terms(query, gallery, {})["visual"])
    assert (by_hand().terms(query, gallery, {"ears": NOTHING})["ears"] == 0).all()


def test_without_a_photograph_statements_are_all_there_is():
    gallery = looks([[1, 0], [0.6, 0.8]], [[1, 0], [0, 1]])
    found = by_hand().terms(None, gallery, {"ears": DROP})
    assert (found["visual"] == 0).all() and found["ears"][1] > 0 > found["ears"][0]
    assert (by_hand().scores(None, gallery) == 0).all()


@given(st.integers(0, 2**32 - 1))
def test_the_score_is_the_sum_of_terms_is_symmetric_and_does_not_depend_on_the_others(fitted, seed):
    rng = np.random.default_rng(seed)
    one, other = (drawn_dogs(4, 1, int(number)).looks for number in rng.integers(2**31, size=2))
    scores = fitted.scores(one, other)
    for row in range(len(one)):
        terms = fitted.terms(one.take([row]), other, {})
        assert sum(terms.values()) == pytest.approx(scores[row], abs=1e-5)
    assert pytest.approx(scores, abs=1e-5) == fitted.scores(other, one).T
    assert fitted.scores(one, other.take([2])) == pytest.approx(scores[:, [2]], abs=1e-5)


def test_looks_or_words_of_another_vocabulary_are_refused(fitted, known):
    other = Looks(known.looks.embedding, {"ears": known.looks.probabilities["ears"]})
    with pytest.raises(DataError, match=r"so many words: \{'ears': 3\}; the fusion is of \{'color': 4, 'ears': 3\}"):
        fitted.scores(other, known.looks)
    with pytest.raises(DataError, match="stated attribute 'tail', allowed: color, ears"):
        fitted.scores(known.looks, known.looks, {"tail": DROP})
    with pytest.raises(DataError, match="stated word 'pointed', allowed: erect, semi_erect, drop"):
        fitted.scores(known.looks, known.looks, {"ears": Stated(("pointed",))})
    with pytest.raises(ValueError, match="2 photographs ask"):
        fitted.terms(known.looks.take([0, 1]), known.looks, {})


# the file


def test_a_fusion_is_written_and_read(fitted, known):
    text = fitted.to_json()
    again = Fusion.from_json(text)
    assert again.to_json() == text and again.model == "a-model"
    assert (again.scores(known.looks, known.looks) == fitted.scores(known.looks, known.looks)).all()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 1}'])
def test_another_file_is_refused(text):
    with pytest.raises(DataError, match="not a fusion"):
        Fusion.from_json(text)


def test_another_format_is_refused(fitted):
    with pytest.raises(DataError, match="of format 99, this program reads 1"):
        Fusion.from_json(fitted.to_json().replace('"format": 1', '"format": 99'))


def test_without_thresholds_nothing_is_decided_or_written(known):
    unfinished = fit_on(known, np.arange(len(known.dog)), "m", 0)
    with pytest.raises(ValueError, match="thresholds are not set"):
        unfinished.decide(3.0, 10)
    with pytest.raises(ValueError, match="posterior is not fitted"):
        unfinished.probabilities(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="thresholds are not set"):
        unfinished.to_json()


# pairs


def test_pairs_are_of_two_sequences_and_one_fold_each_once_and_weigh_half_and_half():
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(60, 4)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    dog, sequence, fold = np.arange(60) // 6, np.arange(60) // 2, np.arange(60) // 6 % 2
    found = draw_pairs(embedding, dog, sequence, fold, np.arange(12, 60), seed=0)
    assert len(np.unique(np.stack([found.first, found.second]), axis=1).T) == len(found.same)
    assert (found.first >= 12).all() and (fold[found.first] == fold[found.second]).all()
    assert (found.same == (dog[found.first] == dog[found.second])).all()
    assert (sequence[found.first] != sequence[found.second])[found.same].all()
    assert found.same.sum() == 8 * (15 - 3)
    assert found.weight[found.same].sum() == pytest.approx(0.5) and found.weight.sum() == pytest.approx(1)


def test_the_most_alike_weigh_more(known):
    zeros = np.zeros(len(known.dog), np.int64)
    found = draw_pairs(known.looks.embedding, known.dog, known.sequence, zeros, np.arange(len(known.dog)), seed=0)
    cosine = (known.looks.embedding[found.first] * known.looks.embedding[found.second]).sum(axis=1)
    other = ~found.same
    assert np.average(cosine[other], weights=found.weight[other]) > cosine[other].mean() + 0.05


def test_photographs_of_one_sequence_alone_are_refused():
    with pytest.raises(ValueError, match="photographs of two sequences"):
        draw_pairs(
            np.eye(4, dtype=np.float32), np.array([1, 1, 2, 2]), np.array([0, 0, 1, 1]), np.zeros(4), np.arange(4), 0
        )


# the fit


def ranks(scores: np.ndarray) -> np.ndarray:
    """Of the true match, which is the dog of the same number."""
    return (scores >= scores.diagonal()[:, None]).sum(axis=1)


def test_on_other_dogs_fusion_finds_more_than_likeness_alone_and_statements_more_still(fitted):
    tested = drawn_dogs(150, 2, seed=1)
    query, gallery = tested.looks.take(np.arange(0, 300, 2)), tested.looks.take(np.arange(1, 300, 2))
    found = {"visual": ranks(query.embedding @ gallery.embedding.T), "fusion": ranks(fitted.scores(query, gallery))}
    rows = []
    for row in range(150):
        words = {name: Stated((VOCABULARY[name][codes[2 * row]],)) for name, codes in tested.codes.items()}
        rows.append(fitted.scores(query.take([row]), gallery, words)[0])
    found["stated"] = ranks(np.stack(rows))
    means = [(1 / found[name]).mean() for name in ("visual", "fusion", "stated")]
    assert means[0] + 0.05 < means[1] and means[1] + 0.02 < means[2]


def test_evidence_that_likeness_holds_already_is_not_counted_twice(known, fitted):
    # an attribute that is read off the embedding: its word says which half of the sphere it is in
    sure = 1 / (1 + np.exp(-40 * known.looks.embedding[:, 0].astype(np.float64)))
    copied = {**known.looks.probabilities, "ears": np.stack([sure, 1 - sure, 0 * sure], axis=1).astype(np.float32)}
    found = fit_fusion(replace(known, looks=Looks(known.looks.embedding, copied), codes={}), "m")
    assert found.weights["ears"] < 0.3 * fitted.weights["ears"]


def test_attributes_that_are_noise_get_no_weight_and_a_statement_without_labels_counts_in_full(known):
    rng = np.random.default_rng(0)
    noise = {name: rng.dirichlet(np.ones(len(words)), len(known.dog)) for name, words in VOCABULARY.items()}
    found = fit_fusion(replace(known, looks=Looks(known.looks.embedding, noise), codes={}), "m")
    assert all(found.weights[name] < 0.25 for name in VOCABULARY)
    assert found.stated_weights == pytest.approx(dict.fromkeys(VOCABULARY, 1.0)) and found.softness == 0.1


def test_the_fit_is_a_function_of_its_seed(known, fitted):
    assert fit_fusion(known, "a-model").to_json() == fitted.to_json()


def test_of_many_photographs_whole_dogs_are_drawn():
    many = replace(drawn_dogs(50, 3, seed=0), fold=np.repeat(np.arange(50), 3))
    few = limited(many, 100, seed=0)
    assert len(few.dog) == 99 and (np.unique(few.dog, return_counts=True)[1] == 3).all()
    kept = np.isin(many.dog, few.dog)
    assert (few.looks.embedding == many.looks.embedding[kept]).all() and (few.fold == few.dog - 1).all()
    assert (few.codes["ears"] == many.codes["ears"][kept]).all()
    assert limited(many, 150, seed=0) is many


def test_without_attributes_there_is_likeness_alone(known):
    bare = replace(known, looks=Looks(known.looks.embedding, {}), vocabulary={}, priors={}, confusions={}, codes={})
    found = fit_fusion(bare, "m")
    assert found.names == ("visual",)
    order = np.argsort(found.scores(bare.looks, bare.looks)[0])
    assert (order == np.argsort(bare.looks.embedding[0] @ bare.looks.embedding.T)).all()


def test_embeddings_of_two_folds_are_never_compared(known):
    fold = known.dog % 2
    turned = known.looks.embedding.copy()
    turned[fold == 1] = turned[fold == 1][:, ::-1]  # another model's axes
    one = fit_fusion(replace(known, fold=fold), "m")
    other = fit_fusion(replace(known, looks=Looks(turned, known.looks.probabilities), fold=fold), "m")
    assert other.weights == pytest.approx(one.weights, abs=1e-4)
    assert other.thresholds.level().match == pytest.approx(one.thresholds.level().match, abs=1e-3)


def test_feedback_moves_the_weights_towards_what_people_saw(known, fitted):
    raw = {"visual": np.full(400, 0.2), "color": np.zeros(400), "ears": np.repeat([-2.0, 2.0], 200)}
    said = {name: np.zeros(400, bool) for name in VOCABULARY}
    agreeing = Extra(raw, said, np.repeat([False, True], 200))
    contradicting = Extra(raw, said, np.repeat([True, False], 200))
    more, less = (fit_on(known, np.arange(len(known.dog)), "m", 0, one) for one in (agreeing, contradicting))
    assert more.weights["ears"] > fitted.weights["ears"] + 0.05 > less.weights["ears"] + 0.1
    assert more.about["pairs_from_feedback"] == 400


def test_a_statement_takes_the_place_of_the_prediction_in_the_examples(known):
    zeros = np.zeros(len(known.dog), np.int64)
    pairs = draw_pairs(known.looks.embedding, known.dog, known.sequence, zeros, np.arange(len(known.dog)), seed=0)
    plain, stated = predicted_examples(known, pairs), stated_examples(known, pairs, 0.1, (0,), 0.5)
    assert 0.45 < stated.said.mean() < 0.55 and not plain.said.any()
    assert (stated.predicted[stated.said] == 0).all() and (stated.stated[~stated.said] == 0).all()
    assert (stated.predicted[~stated.said] == plain.predicted[~stated.said]).all()
    fusion = fit_on(known, np.arange(len(known.dog)), "m", 0)
    pair = int(np.flatnonzero(stated.said[:, 1])[0])
    first, second = known.looks.take([pairs.first[pair]]), known.looks.take([pairs.second[pair]])
    words = {"ears": Stated((VOCABULARY["ears"][known.codes["ears"][pairs.first[pair]]],))}
    expected = replace(fusion, softness=0.1).raw(first, second, words)["ears"][0, 0]
    assert stated.stated[pair, 1] == pytest.approx(expected, abs=1e-6)


# the decision


def strangers(values, dog, photos=1, stated=0) -> Strangers:
    """A base of one dog."""
    scores = np.array(values, float)[:, None]
    return Strangers(photos, stated, scores, np.array(dog), np.ones(len(scores), int))


def test_thresholds_are_the_lowest_that_so_few_strangers_reach():
    values = np.arange(200.0)
    found = set_thresholds([strangers(values, np.arange(200))])
    assert (values >= found.level().match).sum() == 2 and (values >= found.level().possible).sum() == 20
    assert found.note == "" and (found.strangers, found.dogs, found.searched) == (200, 200, 1)


def test_few_strangers_say_what_they_cannot_show():
    found = set_thresholds([strangers(range(20), np.arange(20) // 2)])
    assert (np.arange(20) >= found.level().match).sum() == 0
    assert found.note == "the thresholds are by 10 strangers, who can show no rate below 10.0 %: not 1 %"
    assert "not 1 %, 10 %" in set_thresholds([strangers(range(6), range(6))]).note
    with pytest.raises(ValueError, match="thresholds need strangers"):
        set_thresholds([strangers([-np.inf] * 3, range(3))])


def test_each_number_of_photographs_and_statements_has_a_level_and_what_was_not_measured_is_added_up():
    kinds = [
        strangers(range(10), range(10)),
        strangers(range(2, 12), range(10), photos=2),
        strangers(range(5, 15), range(10), stated=1),
        strangers(range(-3, 7), range(10), photos=0, stated=1),
        strangers(range(90, 95), range(5), photos=3),  # of fewer dogs
    ]
    found = set_thresholds(kinds)
    base = found.level().match
    assert found.level(2, 0).match == pytest.approx(base + 2) and found.level(1, 1).match == pytest.approx(base + 5)
    assert found.level(0, 1).match == pytest.approx(base - 3)
    assert found.level(2, 1).match == pytest.approx(base + 7)
    assert found.level(3, 4) == found.level(2, 1)
    assert found.decide(base, 1) == "match" and found.decide(base, 1, stated=1) == "no match"


def test_growth_is_how_much_the_best_of_more_dogs_is_above_that_of_fewer():
    rng = np.random.default_rng(0)
    exponential = rng.exponential(size=(1000, 100))  # the best of N rises by log N
    assert measured_growth(exponential, rng) == pytest.approx(1.0, abs=0.1)
    bounded = rng.random(size=(1000, 100))  # it hardly rises any more
    assert measured_growth(bounded, rng) < 0.05
    unequal = np.where(np.arange(100) < 60 + 40 * (np.arange(1000) % 2)[:, None], exponential, -np.inf)
    assert measured_growth(unequal, rng) == pytest.approx(1.0, abs=0.15)


def test_decisions_take_account_of_how_many_were_searched():
    fusion = by_hand()
    assert [fusion.decide(one, 1) for one in (2.0, 1.99, 0.0, -0.01)] == ["match", "possible", "possible", "no match"]
    assert fusion.decide(2.0 + np.log(50), 50) == "match" and fusion.decide(2.0, 50) == "no match"
    with pytest.raises(ValueError, match="no photograph was searched"):
        fusion.decide(2.0, 0)


def test_thresholds_are_by_strangers_whom_neither_the_fit_nor_the_base_knows(known, fitted):
    left_out = LeftOut(known, deal_folds(known.dog, 5, 0), lambda rows: fit_on(known, rows, "m", 0), 0)
    kinds = {(one.photos, one.stated): one for one in left_out.strangers()}
    expected = {kind: np.full((len(known.dog), 60), -np.inf) for kind in ((1, 0), (1, 2), (0, 2))}
    for held, fusion in left_out.folds:
        assert fusion.about["dogs"] == 48
        for row, dog in np.argwhere(known.dog[held][:, None] != np.arange(1, 61)):
            theirs = known.looks.take(np.flatnonzero(known.dog == dog + 1))
            own = known.looks.take([held[row]])
            words = {name: Stated((VOCABULARY[name][codes[held[row]]],)) for name, codes in known.codes.items()}
            asked = {(1, 0): (own, {}), (1, 2): (own, words), (0, 2): (None, words)}
            for kind, (looks, stated) in asked.items():
                expected[kind][held[row], dog] = fusion.scores(looks, theirs, stated).max()
    assert (kinds[1, 0].searched == 118).all()
    for kind, scores in expected.items():
        assert kinds[kind].scores == pytest.approx(scores, abs=1e-4)
    own = left_out.scores()[np.arange(120), left_out.own]
    assert own[0] == pytest.approx(
        float(held_fusion(left_out, 0).scores(*(known.looks.take([n]) for n in (0, 1)))[0, 0])
    )
    assert {(one.photos, one.stated) for one in fitted.thresholds.levels} == kinds.keys() - {(3, 0)}


def held_fusion(left_out: LeftOut, row: int) -> Fusion:
    return next(fusion for held, fusion in left_out.folds if row in held)


def test_what_is_pooled_is_of_the_dog(known):
    left_out = LeftOut(known, deal_folds(known.dog, 5, 0), lambda rows: fit_on(known, rows, "m", 0), 0)
    looks, enough = left_out._pooled(2, np.random.default_rng(0))
    assert len(enough) == 120
    expected = known.looks.take([0, 1]).pooled()
    for row in (0, 1):
        assert looks.take([row]).embedding == pytest.approx(expected.embedding, abs=1e-6)
        assert looks.probabilities["ears"][row] == pytest.approx(expected.probabilities["ears"][0], abs=1e-6)


@pytest.mark.parametrize("stated", [0, 1, 2])
def test_statements_name_no_more_strangers(fitted, stated):
    tested = drawn_dogs(400, 1, seed=9)
    base, named = tested.looks.take(np.arange(340, 400)), []
    for row in range(340):
        names = np.random.default_rng(row).permutation(list(VOCABULARY))[:stated]
        words = {name: Stated((VOCABULARY[name][tested.codes[name][row]],)) for name in names}
        best = sum(fitted.terms(tested.looks.take([row]), base, words).values()).max()
        named.append(fitted.decide(best, 60, stated=stated) != "no match")
    assert 0.02 < np.mean(named) < 0.15


@pytest.mark.parametrize("size", [20, 118, 250])
def test_on_other_dogs_no_more_strangers_are_named_than_was_asked_for(fitted, size):
    tested = drawn_dogs(600 + size, 1, seed=3).looks
    scores = fitted.scores(tested.take(np.arange(600)), tested.take(np.arange(600, 600 + size)))
    decided = [fitted.decide(float(row.max()), size) for row in scores]
    named, sure = np.mean([one != "no match" for one in decided]), np.mean([one == "match" for one in decided])
    assert named < 0.14 and sure < 0.03
    assert named > 0.03 or size != 118  # it is near what was asked for at the size of the calibration


# the posterior


def test_the_posterior_worked_by_hand():
    scores = np.array([[np.log(6), np.log(2), -np.inf], [0.0, 0.0, 0.0]])
    found = Posterior(1.0, 0.0)(scores)
    assert found == pytest.approx(np.array([[0.6, 0.2, 0.0], [1 / 6, 1 / 6, 1 / 6]]))
    assert Posterior(1.0, 0.0)(np.array([[900.0, 0.0]])) == pytest.approx(np.array([[1.0, 0.0]]))


def test_the_posterior_of_ratios_is_what_happens():
    rng, queries, dogs, apart = np.random.default_rng(0), 4000, 12, 3.0
    own = rng.integers(dogs, size=queries)
    x = rng.normal(size=(queries, dogs))
    x[np.arange(queries), own] += apart
    scores = apart * x - apart**2 / 2  # the log-likelihood ratio of normal numbers
    found = fit_posterior(scores, own)
    assert found.scale == pytest.approx(1.0, abs=0.1) and found.offset == pytest.approx(0.0, abs=0.3)
    half = fit_posterior(scores / 2 - 1, own)
    assert half.scale == pytest.approx(2.0, abs=0.2) and half.offset == pytest.approx(2.0, abs=0.5)


def test_probabilities_are_those_of_the_shares_that_are_right(fitted):
    tested = drawn_dogs(300, 2, seed=5)
    query, gallery = tested.looks.take(np.arange(0, 600, 2)), tested.looks.take(np.arange(1, 600, 2))
    scores = fitted.scores(query, gallery)
    scores[:150, :150][np.eye(150, dtype=bool)] = -np.inf  # the first half are strangers
    found = fitted.probabilities(scores)
    right = found.argmax(axis=1) == np.arange(300)
    assert found.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.08)


# who is a calibration dog


@pytest.fixture
def frames(tmp_path):
    words = {number: {"ears": "drop" if number % 2 else "erect"} for number in range(1, 31)}
    return small_frames(tmp_path / "frames.arrow", [*range(1, 31), *range(1, 31)], vocabulary=VOCABULARY, words=words)


def with_splits(frames, split, sequence=None):
    frames.__dict__["split"] = np.array(split, object)
    frames.__dict__["sequence"] = np.array(sequence or [f"s{n}" for n in range(len(split))], object)
    return frames


def test_calibration_dogs_are_known_and_nobody_has_learnt_from_them(frames):
    split = (["train"] * 10 + ["val"] * 12 + ["query"] * 8) * 2
    frames = with_splits(frames, split)
    rows = calibration_rows(frames, classifier_learnt(frames, ("ears",), cross_validated=False))
    assert set(frames.identity[rows]) == set(range(11, 23)) and len(rows) == 24
    with pytest.raises(DataError, match="0 known individuals of split train or val"):
        calibration_rows(frames, classifier_learnt(frames, ("ears",), cross_validated=True))


def test_unlabelled_training_dogs_are_calibration_dogs_too(frames):
    frames = with_splits(frames, ["train"] * 60)
    rows = calibration_rows(frames, classifier_learnt(frames, (), cross_validated=True))
    assert len(rows) == 60


def test_the_set_has_base_rates_of_learnt_labels_where_its_dogs_have_labels(frames):
    frames = with_splits(frames, (["train"] * 10 + ["val"] * 12 + ["query"] * 8) * 2)
    rng = np.random.default_rng(0)
    values = {name: rng.dirichlet(np.ones(len(words)), 60).astype(np.float32) for name, words in VOCABULARY.items()}
    seen = Looks(np.zeros((60, 4), np.float32), values)
    found = calibration_set(frames, seen, VOCABULARY, cross_validated=False)
    assert found.priors["ears"] == pytest.approx(np.array([11, 1, 11]) / 23)
    assert not np.allclose(found.confusions["ears"], np.eye(3)) and (found.confusions["color"] == np.eye(4)).all()
    assert set(found.codes["ears"]) == {0, 2} and set(found.codes["color"]) == {-1}
    mean = seen.probabilities["color"][np.isin(frames.identity, np.arange(11, 23))].sum(axis=0) + 1
    assert found.priors["color"] == pytest.approx(mean / mean.sum())


def test_a_dog_has_the_word_that_most_of_its_labels_say(tmp_path):
    frames = small_frames(tmp_path / "frames.arrow", [1, 1, 1, 2, -1], vocabulary=VOCABULARY)
    frames.attribute_codes = lambda name: np.array([2, 1, 2, -1, 0])
    assert dog_codes(frames, ("ears",))["ears"].tolist() == [2, 2, 2, -1, -1]
