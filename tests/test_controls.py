"""Rows beside their controls: the pairs, their correction and what may be said of a row."""

import csv
import io
from itertools import product

import compare as compare_stage
import numpy as np
import pytest
from params import CONFIG
from test_comparison import FORMS, SEEDS, precisions, put
from test_statistics import drawn_study

from auxreid.evaluation.comparison import Interval, Significance, read_comparison, significances
from auxreid.evaluation.controls import (
    ABOVE,
    BELOW,
    NO_CLAIM,
    NOT_APART,
    UNCORRECTED,
    Against,
    compare_controls,
    estimate_pair,
    first_control,
    verdict,
)
from auxreid.evaluation.controls_tables import controls_csv, controls_markdown, controls_table
from auxreid.evaluation.scores import read_queries
from auxreid.evaluation.statistics import estimate

CONTROLS = {"clip_reid": ("visual_only", "pretrained"), "keypoints": ("clip_reid", "keypoints_shuffled", "gone")}
REASON = {"keypoints_shuffled": "the data set has no keypoints"}


@pytest.fixture
def root(tmp_path):
    """Rows at 10 to 40.5 % in seed 0, two points more in seed 1; each training moves a little by itself."""
    means = dict(zip(FORMS, (0.1, 0.2, 0.3, 0.4, 0.405), strict=True))
    for number, (name, mean) in enumerate(means.items()):
        for seed in (0, 1):
            moved = 0.002 * number * (1 if seed else -1)
            put(tmp_path, name, seed, precisions(mean + 0.02 * seed + moved, seed=10 * number + seed))
    return tmp_path


def compared(root, controls=CONTROLS, seeds=SEEDS, reference="clip_reid"):
    forms = FORMS | dict.fromkeys(REASON, "added")
    settings = CONFIG.compare.replaced({"controls": {row: list(names) for row, names in controls.items()}})
    return read_comparison(
        root, "d", "listed", forms, seeds, reference, settings=settings, not_applicable=REASON, predictions={}
    )


def values(root, name, seeds=(0, 1)):
    return np.stack([read_queries(root, "d", name, seed).ranked.average_precision for seed in seeds])


def test_pairs_are_compared_as_the_first_table_does_and_corrected_over_all_of_them(root):
    found = compare_controls(compared(root))
    expected = {
        pair: estimate(values(root, pair[0]) - values(root, pair[1]))
        for pair in (("clip_reid", "visual_only"), ("clip_reid", "pretrained"), ("keypoints", "clip_reid"))
    }
    assert list(found.pairs) == [(row, one) for row, controls in CONTROLS.items() for one in controls]
    for pair, one in expected.items():
        against = found.pairs[pair]
        assert against.value == pytest.approx(100 * one.mean) == pytest.approx(against.mAP[0] - against.mAP[1])
        interval = against.interval.low, against.interval.high
        assert interval == pytest.approx(tuple(100 * end for end in one.interval(0.95)))
        assert against.test.p == pytest.approx(one.p_value())
        assert against.test.detectable == pytest.approx(100 * one.detectable(0.05 / 3, 0.8))
    # Holm by hand: ascending, the smallest times 3, the next times 2, none below the one before it
    small, middle, large = sorted(expected, key=lambda pair: expected[pair].p_value())
    first = 3 * expected[small].p_value()
    second = max(first, 2 * expected[middle].p_value())
    by_hand = {small: first, middle: second, large: max(second, expected[large].p_value())}
    assert {pair: found.pairs[pair].test.p_holm for pair in by_hand} == pytest.approx(
        {pair: min(1.0, p) for pair, p in by_hand.items()}
    )


def test_rows_and_controls_that_are_not_there_are_named_and_leave_no_claim(root):
    comparison = compared(root, CONTROLS | {"lost": ("clip_reid",)})
    found = compare_controls(comparison)
    assert found.missing == {
        ("keypoints", "keypoints_shuffled"): "keypoints_shuffled is not applicable: the data set has no keypoints",
        ("keypoints", "gone"): "gone is not among the rows of this study",
        ("lost", "clip_reid"): "lost is not among the rows of this study",
    }
    assert found.verdicts["keypoints"] == found.verdicts["lost"] == NO_CLAIM
    lines = {(line["row"], line["control"]): line for line in csv.DictReader(io.StringIO(controls_csv(found)))}
    assert list(lines) == list(found.pairs)
    gone = lines["keypoints", "gone"]
    assert (gone["seeds"], gone["difference"], gone["remark"]) == ("0", "", found.missing["keypoints", "gone"])
    one = found.pairs["clip_reid", "visual_only"]
    written = lines["clip_reid", "visual_only"]
    assert float(written["difference"]) == pytest.approx(one.value, abs=0.006) and written["seeds"] == "2"
    assert float(written["control_mAP"]) == pytest.approx(comparison.rows[2].mean("mAP"), abs=0.006)
    assert float(written["p_holm"]) == pytest.approx(one.test.p_holm, abs=1e-6) and written["remark"] == ""
    text = controls_markdown(found)
    assert "- keypoints, gone: gone is not among the rows of this study." in text
    assert "- Not in the table: lost is not among the rows of this study.\n" in text
    assert sum(line.startswith("| ") for line in text.splitlines()) == 1 + 5  # the heading, and the pairs of rows there
    assert controls_table(compare_controls(compared(root, {"lost": ("clip_reid",)}))) is None


def test_the_notes_tell_how_many_pairs_there_are_and_what_could_have_been_found(root):
    found = compare_controls(compared(root))
    sizes = sorted(one.detectable for one in found.tests)
    note = controls_table(found).note
    assert "Holm's correction is over every pair that is tested, 3 in all." in note
    assert f"finds a difference of {sizes[1]:.1f} points (by pair {sizes[0]:.1f} to {sizes[2]:.1f})" in note
    assert "probability of 80 %" in note and "single seed" not in note


def test_of_a_single_common_seed_there_is_no_p_and_no_claim(root):
    found = compare_controls(compared(root, {"clip_reid": ("visual_only",)}, SEEDS | {"visual_only": (1,)}))
    one = found.pairs["clip_reid", "visual_only"]
    assert one.test is None and one.seeds == (1,) and one.interval.low > 0
    assert found.verdicts == {"clip_reid": NO_CLAIM} and found.tests == []
    table = controls_table(found)
    assert table.cells["p (Holm)"].tolist() == ["-"] and "nothing is claimed" in table.note and "Holm" not in table.note
    assert not any(name.endswith("_p") for name in compare_stage.control_summary(found))


def test_without_a_common_seed_the_pair_is_named(root):
    put(root, "keypoints", 7, precisions(0.9))
    found = compare_controls(compared(root, {"keypoints": ("clip_reid",)}, SEEDS | {"keypoints": (7,)}))
    assert found.missing == {("keypoints", "clip_reid"): "no seed in common"}


def test_no_controls_no_table(root):
    found = compare_controls(compared(root, {}))
    assert controls_table(found) is None and controls_markdown(found) == ""
    assert controls_csv(found).splitlines()[1:] == [] and controls_csv(found).startswith("row,control,seeds,mAP,")


def test_final_metrics_are_fractions_of_1(root):
    found = compare_controls(compared(root, {"clip_reid": ("visual_only",)}))
    one = found.pairs["clip_reid", "visual_only"]
    assert compare_stage.control_summary(found) == {
        "clip_reid.minus_visual_only": one.value / 100,
        "clip_reid.minus_visual_only_low": one.interval.low / 100,
        "clip_reid.minus_visual_only_high": one.interval.high / 100,
        "clip_reid.minus_visual_only_p": one.test.p,
        "clip_reid.minus_visual_only_p_holm": one.test.p_holm,
    }


def test_a_row_is_pictured_beside_its_first_control_that_is_there_else_the_reference(root):
    comparison = compared(root, {"keypoints": ("gone", "visual_only", "pretrained")})
    rows = {row.name: row for row in comparison.rows}
    assert first_control(comparison, rows["keypoints"]).name == "visual_only"
    assert first_control(comparison, rows["visual_only"]).name == "clip_reid"
    assert first_control(comparison, rows["clip_reid"]) is None


def pair(low, high, p_holm=0.01):
    """A pair with this interval; p_holm None: of a single seed."""
    test = None if p_holm is None else Significance(0.001, p_holm, 1.0)
    return Against((0, 1), (50.0, 50.0), (low + high) / 2, Interval(low, high), test)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([pair(0.1, 3), pair(0.2, 2)], ABOVE),
        ([pair(0.1, 3), pair(-0.2, 2)], NOT_APART),
        ([pair(0.1, 3), pair(0.2, 2, p_holm=0.051)], UNCORRECTED),
        ([pair(0.1, 3), pair(0.2, 2, p_holm=None)], NO_CLAIM),
        ([pair(0.1, 3), None], NO_CLAIM),
        ([pair(0.1, 3), pair(-3, -0.1)], BELOW),
        ([None, pair(-3, -0.1)], BELOW),
        ([pair(-3, -0.1, p_holm=0.06)], NOT_APART),
    ],
)
def test_what_is_said_of_a_row(pairs, expected):
    assert verdict(pairs, CONFIG.compare) == expected


def judged(rng, rows, controls, seeds, spread):
    """The verdicts of a study in which all rows and controls are as good as each other: APs of shared hard queries."""
    settings, queries = CONFIG.compare, 100
    hard = rng.normal(0.5, spread[1], queries)
    shared = (spread[0], 0.0, spread[2])
    names = [f"row{number}" for number in range(rows)] + [f"control{number}" for number in range(controls)]
    precision = {name: hard + drawn_study(rng, seeds, shared, queries=queries) for name in names}
    asked = list(product(names[:rows], names[rows:]))
    found = {one: estimate_pair(precision, one) for one in asked}
    tests = significances(found, settings)
    against = {
        one: Against((0, 1), (0.0, 0.0), found[one].mean, Interval(*found[one].interval(settings.level)), tests[one])
        for one in asked
    }
    return [verdict([against[row, one] for one in names[rows:]], settings) for row in names[:rows]]


@pytest.mark.parametrize(("rows", "controls"), [(1, 1), (6, 2)])
@pytest.mark.parametrize("seeds", [2, 5])
def test_equal_rows_are_called_above_in_at_most_5_per_cent_of_studies(rows, controls, seeds):
    rng = np.random.default_rng(4)
    studies = [judged(rng, rows, controls, seeds, (0.015, 0.25, 0.2)) for _ in range(200)]
    assert np.mean([ABOVE in one for one in studies]) <= 0.05


def test_a_row_that_is_better_is_called_above():
    rng = np.random.default_rng(6)
    better = {name: drawn_study(rng, 3, (0.01, 0.0, 0.1), mean) for name, mean in (("row", 0.6), ("control", 0.5))}
    one = estimate_pair(better, ("row", "control"))
    test = significances({"pair": one}, CONFIG.compare)["pair"]
    against = Against((0, 1, 2), (60.0, 50.0), one.mean, Interval(*one.interval(0.95)), test)
    assert verdict([against], CONFIG.compare) == ABOVE
