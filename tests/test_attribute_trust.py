"""Temperatures, calibration errors and intervals: against worked numbers, other optimisers and plain loops."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import attribute_folds
import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from safetensors import safe_open
from scipy.optimize import minimize, minimize_scalar
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from test_attributes import BACKBONE, VOCABULARY, frames, ignore, settings  # noqa: F401

from auxreid.attributes import train
from auxreid.attributes.calibration import (
    Calibration,
    calibration_error,
    error_of_true_probabilities,
    fit_temperature,
    fit_tilted,
    softmax,
    swept_errors,
)
from auxreid.attributes.dataset import with_labels
from auxreid.attributes.figures import confusion_figure, table_figure, word_figure
from auxreid.attributes.folds import _draws, _errors, cross_validate
from auxreid.attributes.groups import Groups, deal, groups_of, hold_out
from auxreid.attributes.held_out import score_held_out, trust_metrics
from auxreid.attributes.intervals import bootstrap, interval, resamples
from auxreid.attributes.metrics import score_attribute, word_scores
from auxreid.attributes.mistakes import mistake_figures, surest_mistakes
from auxreid.attributes.model import AttributeModel, build_backbone, load_model, save_model
from auxreid.attributes.predict import predict, predict_logits
from auxreid.attributes.table import THESIS_TABLE_1, table_frame, table_markdown, table_rows
from auxreid.attributes.train import fit
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.tensor_file import read_tensors, write_tensors
from auxreid.serving.attribute_model import AttributeClassifier

# temperatures


def cross_entropy(temperature, logits, codes):
    return -np.log(softmax(logits / temperature)[np.arange(len(codes)), codes]).mean()


def test_the_temperature_is_where_the_cross_entropy_is_least():
    rng = np.random.default_rng(0)
    true = 2.0 * rng.normal(size=(400, 3))
    codes = np.array([rng.choice(3, p=softmax(row)) for row in true])
    for factor in (0.5, 1.0, 4.0):
        found = fit_temperature(factor * true, codes)
        bounds = {"bounds": (0.1, 10.0), "method": "bounded", "options": {"xatol": 1e-9}}
        expected = minimize_scalar(cross_entropy, args=(factor * true, codes), **bounds).x
        assert found == pytest.approx(expected, rel=1e-5)
        assert found == pytest.approx(factor, rel=0.2)


def test_the_temperature_by_hand():
    """Logits (a, 0) of which three in four are right: the softmax has to say 3/4, hence a / T = log 3."""
    logits = np.tile([[2.0, 0.0]], (4, 1))
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(2.0 / np.log(3.0), rel=1e-9)
    with_missing = np.array([0, -1, 0, 0, 1])
    assert fit_temperature(np.vstack([logits[:1], [[99.0, -5.0]], logits[1:]]), with_missing) == pytest.approx(
        2.0 / np.log(3.0), rel=1e-9
    )


def test_all_right_or_all_wrong_end_at_the_bounds():
    logits = np.tile([[2.0, 0.0]], (4, 1))
    assert fit_temperature(logits, np.zeros(4, int)) == pytest.approx(0.1)
    assert fit_temperature(logits, np.ones(4, int)) == pytest.approx(10.0)


def tilted_cross_entropy(found, logits, codes, logs):
    return -np.log(softmax(found[0] * logits + found[1] * logs)[np.arange(len(codes)), codes]).mean()


@given(st.integers(0, 50), st.floats(0.3, 3.0), st.floats(0.0, 1.5))
def test_temperature_and_tilt_are_where_the_cross_entropy_is_least(seed, factor, tilt):
    """Beside a search without slopes; what words are drawn by is found again where it is within the bounds."""
    rng = np.random.default_rng(seed)
    true, rates = 2.0 * rng.normal(size=(300, 3)), np.log([0.7, 0.2, 0.1])
    codes = np.array([rng.choice(3, p=softmax(row + tilt * rates)) for row in true])
    missing = np.where(np.arange(600) < 300, np.concatenate([codes, codes]), -1)
    found = fit_tilted(np.vstack([factor * true, 99.0 * true]), missing, rates)
    bounds = {"bounds": [(0.1, 10.0), (0.0, 1.0)], "method": "Powell", "options": {"xtol": 1e-8, "ftol": 1e-12}}
    best = minimize(tilted_cross_entropy, [1.0, 0.5], args=(factor * true, codes, rates), **bounds).fun
    assert 0.1 <= found[0] <= 10 and 0 <= found[1] <= 1
    assert tilted_cross_entropy([1 / found[0], found[1]], factor * true, codes, rates) <= best + 1e-7


def test_logits_that_tell_nothing_leave_the_frequencies():
    """Of training labels 5, 2 and 0 times, each counted once more: 6, 3 and 1 of 10."""
    calibration = Calibration()
    trained = np.array([0] * 5 + [1] * 2 + [-1])
    calibration.fit("color", np.zeros((4, 3)), np.array([0, 0, 0, 1]), "frequencies", trained)
    assert calibration.tilts["color"] == pytest.approx(1.0)
    told = calibration.probabilities({"color": np.zeros((1, 3), np.float32)})["color"]
    np.testing.assert_allclose(told, [[0.6, 0.3, 0.1]], atol=1e-6)
    np.testing.assert_allclose(calibration.scores({"color": np.zeros((1, 3), np.float32)})["color"], 1 / 3, atol=1e-6)


def test_a_training_by_even_words_gets_their_frequencies_back(frames):  # noqa: F811
    """Those of the training labels, to the power of the tilt, times the scores; by temperature there are none."""
    plain, tilted = (
        fit(frames, settings(epochs=2, calibration=kind), ignore) for kind in ("temperature", "frequencies")
    )
    logits = predict_logits(tilted.model, frames, settings())
    calibration, train_frames = tilted.model.calibration, frames.where("train")
    assert not plain.model.calibration.tilts and not plain.model.calibration.frequencies
    for name, words in VOCABULARY.items():
        codes = train_frames.attribute_codes(name)
        counts = np.array([1 + int((codes == place).sum()) for place in range(len(words))])
        assert calibration.frequencies[name] == pytest.approx(counts / counts.sum())
        assert tilted.described()[f"{name}_tilt"] == calibration.tilts[name]
        weighed = calibration.scores(logits)[name] * np.array(calibration.frequencies[name]) ** calibration.tilts[name]
        expected = weighed / weighed.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(calibration.probabilities(logits)[name], expected, atol=1e-6)


def test_table_1_scores_without_the_frequencies_and_all_else_is_with_them(frames):  # noqa: F811
    """Each frame has 1 for its own word and 0 for the others, which an eightfold frequency turns around."""
    logits = {name: np.zeros((len(frames), len(words)), np.float32) for name, words in VOCABULARY.items()}
    logits["color"][np.arange(len(frames)), np.maximum(frames.attribute_codes("color"), 0)] = 1.0
    turned = Calibration({}, {"color": 1.0}, {"color": [1 / 9, 8 / 9]})
    found = score_held_out(frames, logits, VOCABULARY, turned, {"color": {"folds": 0.25, "folds_few": 0.5}})
    codes = found.codes["color"]
    share = (codes[codes >= 0] == 1).mean()  # the second word is named of all
    assert 0 < share < 1 and found.scores["color"].balanced_accuracy == 1.0
    assert found.accuracy["color"] == pytest.approx(share)
    assert found.trust["color"].errors["after"] == pytest.approx(calibration_error(codes, found.probabilities["color"]))
    assert {one.predicted for one in surest_mistakes(found, "color")} == {VOCABULARY["color"][1]}
    table = table_frame(found).set_index("attribute")
    assert table.loc["color", "ece_folds"] == 0.25 and table.loc["color", "ece_folds_few"] == 0.5
    assert table.loc["mean", "accuracy"] == trust_metrics(found)["mean_accuracy"] == np.mean([*found.accuracy.values()])
    assert f"draws of {found.groups.count} of those in folds" in table_markdown("Attributes", found)


# calibration errors


def two_words(confidence):
    return np.stack([confidence, 1 - np.asarray(confidence)], axis=1)


def test_the_calibration_error_by_hand():
    """30 rows in 15 bins of two: 20 rows say .9 and are right, 10 say .6 and every other one is right."""
    probabilities = two_words([0.9] * 20 + [0.6] * 10)
    codes = np.array([0] * 20 + [0, 1] * 5)
    expected = (20 * 0.1 + 10 * 0.1) / 30
    assert calibration_error(codes, probabilities) == pytest.approx(expected)
    codes = np.append(codes, -1)
    assert calibration_error(codes, np.vstack([probabilities, [[1.0, 0.0]]])) == pytest.approx(expected)


def test_fewer_rows_than_bins_have_a_bin_each():
    assert calibration_error(np.array([0, 1]), two_words([0.8, 0.7])) == pytest.approx((0.2 + 0.7) / 2)


def test_true_probabilities_have_the_error_that_is_said_of_them():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(4), 600)
    drawn = [np.array([rng.choice(4, p=row) for row in probabilities]) for _ in range(10)]
    errors = [calibration_error(codes, probabilities) for codes in drawn]
    assert error_of_true_probabilities(drawn[0], probabilities) == pytest.approx(np.mean(errors), rel=0.15)


def test_the_swept_error_by_hand():
    """Six rows: in two bins of three, 1/3 and 2/3 are right; in three of two, 1/2, 0 and 1, which falls."""
    probabilities = two_words([0.55, 0.6, 0.65, 0.7, 0.8, 0.9])
    codes = np.array([0, 1, 1, 1, 0, 0])
    expected = (abs(1 - 1.8) + abs(2 - 2.4)) / 6
    assert calibration_error(codes, probabilities, swept_errors) == pytest.approx(expected)
    some = np.append(codes, -1), np.vstack([probabilities, [[1.0, 0.0]]])
    assert calibration_error(*some, swept_errors) == pytest.approx(expected)
    falls = np.array([0, 0, 0, 1, 0, 1])  # in two bins already: one bin, of 4 right rows that say 4.2
    assert calibration_error(falls, probabilities, swept_errors) == pytest.approx(0.2 / 6)


def test_the_swept_error_has_less_of_the_noise_of_few_rows_and_misses_no_error():
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet(np.ones(3), 300)
    codes = np.array([rng.choice(3, p=row) for row in probabilities])
    plain = error_of_true_probabilities(codes, probabilities)
    assert error_of_true_probabilities(codes, probabilities, swept_errors) < 0.75 * plain
    surer = softmax(4 * np.log(probabilities))
    gap = surer.max(axis=1).mean() - (surer.argmax(axis=1) == codes).mean()
    assert gap > 0.1
    assert calibration_error(codes, surer, swept_errors) >= gap - 1e-9


# groups and intervals


def some_frames(tmp_path, identities, folders):
    image = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    places = enumerate(zip(identities, folders, strict=True))
    rows = [{"path": f"{folder}{number}.png", "identity": identity} for number, (identity, folder) in places]
    rows = [row | {"split": "train", "width": 8, "height": 8, "image": image} for row in rows]
    write_frames(tmp_path / "frames.arrow", rows, FramesMeta("few", "dogs", "dogs", "dog", attributes=VOCABULARY))
    return open_frames(tmp_path / "frames.arrow")


def test_groups_are_individuals_then_folders_then_frames(tmp_path):
    groups = groups_of(some_frames(tmp_path, [7, -1, 7, -1, -1], ["a/", "a/", "b/", "b/", "b/"]))
    assert (groups.unit, groups.count) == ("individuals and folders", 3)
    assert groups.of_frame[0] == groups.of_frame[2] and groups.of_frame[3] == groups.of_frame[4]
    alone = groups_of(some_frames(tmp_path, [-1, -1, -1], ["a/"] * 3))
    assert (alone.unit, alone.count) == ("frames", 3)


def test_whole_groups_are_held_out(tmp_path):
    every = some_frames(tmp_path, [1 + number // 2 for number in range(40)], [""] * 40)
    rest, held_out = hold_out(every)
    assert len(held_out) == 6 and len(rest) == 34
    assert not set(rest.identity) & set(held_out.identity)
    assert hold_out(every)[1].frame_id.tolist() == held_out.frame_id.tolist()
    assert [len(one) for one in hold_out(every.take([0, 1]))] == [2, 0]


def labelled_noise(seed, count):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, 3, count)
    probabilities = rng.dirichlet(np.ones(3), count).round(1)  # with ties
    return codes, probabilities, Groups(rng.integers(0, 8, count), "individuals")


def test_resamples_are_scores_of_the_frames_that_they_repeat():
    codes, probabilities, groups = labelled_noise(1, 120)
    draws = bootstrap({"a": codes}, {"a": probabilities}, groups)["a"]
    for number in (0, 1, 2, 500):
        times = resamples(groups.count)[number][groups.of_frame]
        rows = np.repeat(np.arange(120), np.where(codes >= 0, times, 0))
        chosen, scores = codes[rows], probabilities[rows]
        assert draws.balanced_accuracy[number] == pytest.approx(balanced_accuracy_score(chosen, scores.argmax(1)))
        areas = [roc_auc_score(chosen == word, scores[:, word]) for word in range(3)]
        assert draws.roc_auc[number] == pytest.approx(np.mean(areas))


@limits(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.integers(2, 6))
def test_equal_groups_leave_nothing_to_chance(seed, copies):
    """Whatever whole groups are drawn, equal ones give the same frames: the interval is the score."""
    codes, probabilities, _ = labelled_noise(seed, 30)
    score = score_attribute(codes, probabilities, "abc")
    same = Groups(np.repeat(np.arange(copies), 30), "individuals")
    draws = bootstrap({"a": np.tile(codes, copies)}, {"a": np.tile(probabilities, (copies, 1))}, same)["a"]
    assert interval(draws.balanced_accuracy) == pytest.approx((score.balanced_accuracy,) * 2)
    assert interval(draws.roc_auc) == pytest.approx((score.roc_auc,) * 2)


def test_more_frames_of_the_same_individuals_narrow_nothing():
    codes, probabilities, groups = labelled_noise(2, 80)
    more = Groups(np.tile(groups.of_frame, 5), groups.unit)
    once = bootstrap({"a": codes}, {"a": probabilities}, groups)["a"]
    often = bootstrap({"a": np.tile(codes, 5)}, {"a": np.tile(probabilities, (5, 1))}, more)["a"]
    assert interval(once.roc_auc) == pytest.approx(interval(often.roc_auc))
    alone = Groups(np.arange(400), "frames")
    low, high = interval(bootstrap({"a": np.tile(codes, 5)}, {"a": np.tile(probabilities, (5, 1))}, alone)["a"].roc_auc)
    assert high - low < np.diff(interval(once.roc_auc))[0]


def test_too_few_resamples_with_two_words_give_no_interval():
    codes, probabilities = np.array([0, 0, 1]), two_words([0.9, 0.8, 0.3])
    one = bootstrap({"a": codes}, {"a": probabilities}, Groups(np.zeros(3, np.int64), "individuals"))["a"]
    assert interval(one.roc_auc) == pytest.approx((1.0, 1.0))
    none = bootstrap({"a": codes * 0}, {"a": probabilities}, Groups(np.arange(3), "individuals"))["a"]
    assert interval(none.roc_auc) is None


# the table and its pictures


def held_out_of(frames, temperature=2.0):  # noqa: F811
    """Predictions that know the colour of most frames, and nothing of the shape."""
    codes = {name: frames.attribute_codes(name) for name in VOCABULARY}
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=(len(frames), len(words))) for name, words in VOCABULARY.items()}
    logits["color"][np.arange(len(frames)), codes["color"].clip(0)] += 2.0
    return score_held_out(frames, logits, VOCABULARY, Calibration({"color": temperature}))


def test_the_table_says_what_was_measured(frames):  # noqa: F811
    held_out = held_out_of(frames)
    table = table_frame(held_out).set_index("attribute")
    assert list(table.index) == ["color", "shape", "mean"]
    assert table.loc["color", "frames"] == 16 and table.loc["shape", "words"] == 2  # nothing is a ring
    assert table.loc["shape", "balanced_accuracy_chance"] == 0.5
    for name in ("balanced_accuracy", "roc_auc"):
        assert (table[f"{name}_low"] <= table[name]).all() and (table[name] <= table[f"{name}_high"]).all()
        assert table.loc["mean", name] == pytest.approx(table.loc[["color", "shape"], name].mean())
    probabilities = held_out.probabilities["color"]
    assert table.loc["color", "ece_after"] == pytest.approx(calibration_error(held_out.codes["color"], probabilities))
    assert table.loc["color", "ece_before"] != table.loc["color", "ece_after"]
    metrics = trust_metrics(held_out)
    assert metrics["mean_roc_auc_low"] == table.loc["mean", "roc_auc_low"]
    assert metrics["held_out_groups"] == 16
    right = held_out.probabilities["color"].argmax(axis=1) == held_out.codes["color"]
    assert metrics["color_accuracy"] == table.loc["color", "accuracy"] == right[held_out.codes["color"] >= 0].mean()
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_thesis_stands_beside_its_own_attributes_alone(frames):  # noqa: F811
    held_out = held_out_of(frames)
    header, rows = table_rows(replace(held_out, scores={"shape": held_out.scores["shape"]}))
    assert len(header) == len(rows[0]) == 12 and len(rows) == 2
    every = {name: score_attribute(np.array([0, 1]), np.eye(2), ("a", "b")) for name in THESIS_TABLE_1}
    of_dogs = replace(
        held_out, scores=every, trust=dict.fromkeys(every, held_out.trust["color"]), accuracy=dict.fromkeys(every, 1.0)
    )
    header, rows = table_rows(of_dogs)
    assert header[-2:] == ["thesis: balanced acc.", "thesis: ROC AUC"]
    assert [rows[0][0], *rows[0][-2:]] == ["color", "72.2", "97.2"]
    assert rows[-1][-2:] == ["76.2", "93.5"]
    text = table_markdown("Attributes", of_dogs)
    assert "16 individuals" in text and "own, private frames" in text and text.count("\n|") == 9


def test_nothing_held_out_is_an_error(frames):  # noqa: F811
    with pytest.raises(DataError, match="two different labels"):
        logits = {name: np.zeros((len(frames), len(words))) for name, words in VOCABULARY.items()}
        score_held_out(frames.where("train"), logits, VOCABULARY, Calibration())


def test_precision_and_recall_by_hand():
    codes, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    table = word_scores({"a": score_attribute(codes, np.eye(3)[predicted], "xyz")}, {"a": ("x", "y", "z")})
    assert table["labelled"].tolist() == [3, 1, 0] and table["predicted"].tolist() == [2, 2, 0]
    assert table["precision"].tolist()[:2] == [1.0, 0.5] and table["recall"].tolist()[:2] == [2 / 3, 1.0]
    assert table[["precision", "recall"]].loc[2].isna().all()


def test_the_surest_mistakes_are_wrong_sure_and_of_different_individuals(frames):  # noqa: F811
    held_out = held_out_of(frames)
    mistakes = surest_mistakes(held_out, "shape")
    assert [one.probability for one in mistakes] == sorted((one.probability for one in mistakes), reverse=True)
    for one in mistakes:
        assert one.labelled != one.predicted
        assert VOCABULARY["shape"][held_out.codes["shape"][one.place]] == one.labelled
        assert one.probability == held_out.probabilities["shape"][one.place].max()
    everyone = Groups(np.zeros(16, np.int64), "individuals")
    assert surest_mistakes(replace(held_out, groups=everyone), "shape") == mistakes[:1]


def test_figures_are_drawn(frames, tmp_path):  # noqa: F811
    held_out = held_out_of(frames)
    figures = dict(mistake_figures(held_out)) | {"table": table_figure(held_out)}
    figures["confusion"] = confusion_figure(held_out.scores, VOCABULARY)
    figures["words"] = word_figure(held_out.scores, VOCABULARY)
    assert "shape" in figures
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert cv2.imread(str(tmp_path / f"{name}.png")).std() > 1


# one probability everywhere


@pytest.fixture(scope="module")
def fitted(frames):  # noqa: F811
    return fit(frames, settings(epochs=2), ignore)


def test_training_fits_the_temperatures_on_val(frames, fitted):  # noqa: F811
    val = frames.where("val")
    logits = predict_logits(fitted.model, val, settings())
    for name, temperature in fitted.model.calibration.temperatures.items():
        assert temperature == pytest.approx(fit_temperature(logits[name], val.attribute_codes(name)))
        assert fitted.described()[f"{name}_temperature"] == temperature


FOLDED = {"backbone_lr_factor": 0.0, "views": 1, "folds": 5, "epochs": 4}


def recorded_folds(given, monkeypatch, **changes):
    """The points of a training with folds, what was fitted, and what the cross-validation found."""
    found, points = [], []
    monkeypatch.setattr(train, "cross_validate", lambda *a: found.append(cross_validate(*a)) or found[-1])
    fitted = train.fit(given, settings(**FOLDED | changes), lambda values, _: points.append(values))
    return points, fitted, found[0]


def test_folds_choose_the_epoch_and_the_temperatures_on_all_frames(frames, monkeypatch):  # noqa: F811
    points, fitted, crossed = recorded_folds(frames, monkeypatch)
    known = with_labels(frames.where(("train", "val")))
    for name, temperature in fitted.model.calibration.temperatures.items():
        assert temperature == pytest.approx(fit_temperature(crossed.logits[name], known.attribute_codes(name)))
        assert 0 <= fitted.fold_errors[name]["folds"] <= 1
    scores = [point["val_balanced_accuracy"] for point in crossed.points]
    assert fitted.best_epoch == len(points) == 1 + int(np.argmax(scores))
    assert [point["val_roc_auc"] for point in points] == [p["val_roc_auc"] for p in crossed.points[: len(points)]]
    described = fitted.described()
    assert described["calibrated_on"] == "39 frames of train and val, in 5 folds of 39 individuals and frames"
    assert described["folds_balanced_accuracy"] == max(scores)


def test_so_few_groups_are_drawn_whole_from_the_folds(frames):  # noqa: F811
    """With no more groups than are tested there are no draws; of one each, the mean is that over groups, nearly."""
    groups = groups_of(with_labels(frames.where(("train", "val"))))
    probabilities, codes = two_words(np.linspace(0.5, 0.99, len(groups.of_frame))), np.arange(len(groups.of_frame)) % 2
    logits, folds = {"color": np.log(probabilities)}, deal(groups, 3)
    errors = {
        count: _errors(logits, {"color": codes}, folds, "temperature", _draws(groups, count))["color"]
        for count in (0, 1, groups.count - 1, groups.count, 10**6)
    }
    assert all(errors[count].keys() == {"folds"} for count in (0, groups.count, 10**6))
    assert errors[groups.count - 1]["folds_few"] == pytest.approx(errors[0]["folds"], rel=0.2)
    alone = np.zeros_like(probabilities)
    for fold in range(3):
        temperature = fit_temperature(logits["color"][folds != fold], codes[folds != fold])
        alone[folds == fold] = softmax(logits["color"][folds == fold] / temperature)
    each = [
        calibration_error(codes[groups.of_frame == one], alone[groups.of_frame == one], swept_errors)
        for one in range(groups.count)
    ]
    assert errors[1]["folds_few"] == pytest.approx(np.mean(each), rel=0.2)


def test_draws_are_of_as_many_groups_as_are_held_out_and_calibrated_as_the_recipe_says(frames, monkeypatch):  # noqa: F811
    asked = []
    monkeypatch.setattr(train, "cross_validate", lambda *a: asked.append(a[5]) or cross_validate(*a))
    fitted = {
        kind: train.fit(frames, settings(**FOLDED | {"calibration": kind}), ignore)
        for kind in ("temperature", "frequencies")
    }
    assert asked == [groups_of(with_labels(frames.where(("query", "gallery", "test")))).count] * 2
    assert fitted["temperature"].fold_errors != fitted["frequencies"].fold_errors


def test_no_frame_has_a_part_in_the_logits_that_its_fold_gets(frames, tmp_path, monkeypatch):  # noqa: F811
    """Those of one individual stay as they are whatever its label, while others' change with it."""
    known = with_labels(frames.where(("train", "val")))
    rows = [{"path": f"{n}.png", "split": "train", "identity": int(known.identity[n])} for n in range(len(known))]
    for number, row in enumerate(rows):
        row |= {"width": 40, "height": 40, "image": bytes(known.image_bytes(number))}
        row["attr_color"] = ("red", "blue")[number % 2]
    found = []
    for label in ("red", "blue"):
        rows[7]["attr_color"] = label
        write_frames(tmp_path / "f.arrow", rows, FramesMeta("f", "dogs", "dogs", "dog", attributes=VOCABULARY))
        one = recorded_folds(open_frames(tmp_path / "f.arrow"), monkeypatch, epochs=1, mixup=0.5)[2]
        found.append(one.logits["color"])
    same = (found[0] == found[1]).all(axis=1)
    assert same[7] and not same.all()


def test_the_final_heads_are_those_of_a_training_without_folds(frames, monkeypatch):  # noqa: F811
    """On the frames of train and val together, to the chosen epoch; the cross-validation leaves no trace in them."""
    _, fitted, _ = recorded_folds(frames, monkeypatch, dropout=0.5, mixup=1.0, epochs=1)
    split = train.train_and_val
    monkeypatch.setattr(train, "train_and_val", lambda given, _: split(given, 2))
    plain = fit(frames, settings(**FOLDED | {"folds": None, "dropout": 0.5, "mixup": 1.0, "epochs": 1}), ignore)
    for name, values in plain.model.state_dict().items():
        assert torch.equal(values, fitted.model.state_dict()[name])


def test_stage_file_and_served_model_give_the_same_probabilities(frames, fitted, tmp_path):  # noqa: F811
    fitted.model.calibration = Calibration({"color": 3.0}, {"color": 0.5}, {"color": [0.2, 0.8]})
    path, held_out = tmp_path / "model.safetensors", frames.where("query")
    save_model(path, fitted.model, BACKBONE, settings())
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["auxreid"])["temperatures"] == {"color": 3.0}
    stage = fitted.model.calibration.probabilities(predict_logits(fitted.model, held_out, settings()))
    model, spec = load_model(path)
    again = predict(model, held_out, spec)
    classifier = AttributeClassifier()
    classifier.load_context(SimpleNamespace(artifacts={"model": str(path)}, model_config={"precision": "32-true"}))
    images = pd.DataFrame({"image": [bytes(held_out.image_bytes(number)) for number in range(len(held_out))]})
    served = classifier.predict(None, images)
    for name, words in VOCABULARY.items():
        np.testing.assert_allclose(again[name], stage[name], atol=1e-6)
        np.testing.assert_allclose(served[[f"{name}={word}" for word in words]].to_numpy(), stage[name], atol=1e-6)
    plain = torch.from_numpy(predict_logits(model, held_out, spec)["color"])
    expected = (plain / 3.0 + 0.5 * torch.tensor([0.2, 0.8]).log()).softmax(dim=1)
    np.testing.assert_allclose(stage["color"], expected.numpy(), atol=1e-6)


def test_a_model_of_before_has_no_temperature(tmp_path):
    model = AttributeModel(build_backbone(BACKBONE, None), VOCABULARY)
    path = tmp_path / "model.safetensors"
    save_model(path, model, BACKBONE, settings())
    about, tensors = read_tensors(path, "model")
    header = {name: value for name, value in json.loads(about).items() if name not in asdict(Calibration())}
    write_tensors(path, tensors, json.dumps(header))
    assert load_model(path)[0].calibration == Calibration()


# folds


@pytest.mark.parametrize("by_stage", [True, False])
def test_folds_are_of_whole_groups_and_each_frame_is_predicted_by_others(frames, by_stage):  # noqa: F811
    known = with_labels(frames.where(("train", "val")))
    folds, values = deal(groups_of(known), 3), settings(epochs=1, backbone_lr_factor=0.0)
    assert set(folds) == {0, 1, 2}
    path = frames._store.path
    learn = attribute_folds.by_stage(path, known, values) if by_stage else attribute_folds.by_regression(known, values)
    asked = []

    def watched(rows):
        predict_rows = learn(rows)
        return lambda others: asked.append((set(rows), set(others))) or predict_rows(others)

    figures = attribute_folds.measured(known, folds, watched)
    assert len(figures) == 6 and all(0 <= float(figure) <= 1 for figure in figures)
    assert all(not rows & others for rows, others in asked)
    assert set().union(*(others for _, others in asked)) == set(range(len(known)))
