"""The evaluation of the search: each way to ask, what is made of its scores, and what is shown of it."""

import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from search_dogs import VOCABULARY, drawn_dogs, drawn_frames

from auxreid.evaluation.protocols import Entities
from auxreid.metric.cells import console_table
from auxreid.metric.open_set import identification
from auxreid.plumbing.base.errors import DataError
from auxreid.search.asked import Asked, Asking, NotPossibleError, Seed
from auxreid.search.decision import Level, Thresholds
from auxreid.search.evaluate import evaluate
from auxreid.search.examples import without_attributes
from auxreid.search.figures import dir_figure, reliability_figure, weights_figure
from auxreid.search.fit import fit_fusion
from auxreid.search.hard_cases import hard_case_picture, hard_cases, told
from auxreid.search.judged import best_of_dogs, judge
from auxreid.search.posterior import Posterior
from auxreid.search.stated import Stated
from auxreid.search.table import WORDS, csv_table, display_table, markdown_table, summary

TEST = SimpleNamespace(strangers=0.5, drawings=4, resamplings=20)


def said(words, language, turn):
    """As if a description were understood in full."""
    return {name: Stated((word,)) for name, word in words.items()}


@pytest.fixture(scope="module")
def fusions():
    known = drawn_dogs(40, 2, seed=0)
    return fit_fusion(known, "m"), fit_fusion(without_attributes(known), "m")


@pytest.fixture(scope="module")
def tested():
    return drawn_dogs(30, 3, seed=1)


@pytest.fixture(scope="module")
def seed(tested, fusions) -> Seed:
    return Seed(0, tested.looks, *fusions)


@pytest.fixture(scope="module")
def frames(tested, tmp_path_factory):
    return drawn_frames(tmp_path_factory.mktemp("frames") / "frames.arrow", tested, queries=2, unlabelled=(3,))


@pytest.fixture(scope="module")
def asking(frames, seed) -> Asking:
    return Asking(frames, seed, "dogs", said)


@pytest.fixture(scope="module")
def evaluation(frames, seed, tested):
    return evaluate(frames, [seed, replace(seed, seed=1)], "dogs", TEST, 0.95, said)


# ways to ask


def queries_and_gallery(tested):
    place = np.arange(90)
    return place[place % 3 < 2], place[place % 3 == 2]


def test_likeness_the_fusion_and_the_filter_are_what_they_say(asking, tested, fusions):
    own, theirs = (tested.looks.take(rows) for rows in queries_and_gallery(tested))
    visual, fused, filtered = asking.visual(), asking.fused(), asking.hard_filter()
    assert (np.argsort(-visual.scores) == np.argsort(-(own.embedding @ theirs.embedding.T))).mean() > 0.99
    assert fused.scores == pytest.approx(fusions[0].scores(own, theirs))
    for q, g in np.ndindex(filtered.scores.shape):
        agree = all(
            own.probabilities[name][q].argmax() == theirs.probabilities[name][g].argmax() for name in VOCABULARY
        )
        assert filtered.scores[q, g] == (visual.scores[q, g] if agree else -np.inf)


def test_what_is_stated_is_true_and_more_holds_less(asking, tested, fusions):
    rows, gallery = queries_and_gallery(tested)
    one, two = asking.stated(1), asking._drawn(2)
    assert (one.stated == 1).all() and len(one.rows) == 58  # one dog has no labels
    for place, query in enumerate(one.rows):
        true = {name: VOCABULARY[name][tested.codes[name][rows[query]]] for name in VOCABULARY}
        assert two[query] == true
        drawn = asking._drawn(1)[query]
        assert drawn.items() <= true.items() and len(drawn) == 1
        stated = {name: Stated((word,)) for name, word in drawn.items()}
        expected = fusions[0].scores(tested.looks.take([rows[query]]), tested.looks.take(gallery), stated)[0]
        assert one.scores[place] == pytest.approx(expected)


def test_another_seed_states_other_attributes(asking, frames, seed):
    other = Asking(frames, replace(seed, seed=1), "dogs", said)
    assert [list(one) for one in other._drawn(1)] != [list(one) for one in asking._drawn(1)]


def test_several_photographs_are_of_the_dog_and_in_no_sequence_of_the_gallery(asking, tested):
    found = asking.photos(2)
    rows, gallery = queries_and_gallery(tested)
    assert found.rows.tolist() == list(range(60)) and found.photos == 2
    pooled = tested.looks.take([rows[0], rows[1]]).pooled()
    expected = asking.seed.fusion.scores(pooled, tested.looks.take(gallery))[0]
    assert found.scores[0] == pytest.approx(expected, abs=1e-5) and found.scores[1] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(NotPossibleError, match="3 photos of one dog: no dog has more than 2 among the queries"):
        asking.photos(3)


def test_a_photograph_of_a_sequence_that_is_searched_is_not_pooled(tested, seed, tmp_path):
    sequence = tested.sequence.copy()
    sequence[1::3] = sequence[2::3]  # each dog's second query is of the gallery's sequence
    frames = drawn_frames(tmp_path / "frames.arrow", replace(tested, sequence=sequence), queries=2)
    rows = Asking(frames, seed, "dogs", said).photos(2).rows
    assert set(rows % 2) == {1}  # only these find another one beside themselves


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("fusion, 3 stated", "no test dog has labels of more than 2"),
        ("fusion, text in English", "no test dog has labels of more than 2"),
        ("fusion, 3 photos", "no dog has more than 2"),
    ],
)
def test_what_is_not_possible_says_why(evaluation, way, reason):
    row = evaluation.row(way)
    assert reason in row.reason and not row.figures and row.first is None


def test_without_labels_or_a_reader_of_descriptions_the_reason_is_told(tested, seed, frames, tmp_path):
    bare = drawn_frames(tmp_path / "frames.arrow", tested, unlabelled=range(1, 31))
    with pytest.raises(NotPossibleError, match="no test dog has an attribute label"):
        Asking(bare, seed, "dogs", said).stated(1)
    with pytest.raises(NotPossibleError, match="nothing understands them"):
        Asking(frames, seed, "dogs", None).described("en")


# what is made of scores


def entities(identity, group) -> Entities:
    rows = np.arange(len(identity))
    embedding = np.zeros((len(identity), 1), np.float32)
    return Entities(embedding, np.array(identity), np.array(group), rows, tuple(rows[:, None]))


def small_asked(scores) -> Asked:
    query = entities([1, 2, 3, 4], [0, 1, 2, 3])
    gallery = entities([1, 1, 2, 3, 0, -1], [9, 0, 9, 9, 9, 9])
    fusion = SimpleNamespace(
        thresholds=Thresholds((Level(1, 0, 3.0, 1.0),), 0.0, 0.01, 0.1, 9, 9, 5, ""), probabilities=Posterior(1.0, 0.0)
    )
    return Asked(np.arange(4), query, gallery, np.array(scores, float), fusion, 1, np.zeros(4, int))


SCORES = [[2, 9, 1, 0, 0, 9], [0, 0, 4, 0, 0, 9], [0, 0, 5, 2, 0, 9], [0, 1, 0, 0, 2, 9]]


def test_a_dog_is_worth_its_best_photograph_that_counts():
    names, best, photographs = best_of_dogs(small_asked(SCORES))
    order = np.argsort(names)
    assert names[order].tolist()[-3:] == [1, 2, 3]
    # the own group's 9 is left out, and junk; the unknown dog is one by itself
    assert best[:, names == 1].ravel().tolist() == [2, 0, 0, 1]
    assert best[:, (names == 0) & np.isfinite(best).any(axis=0)].ravel().tolist() == [0, 0, 0, 2]
    assert photographs.sum(axis=1).tolist() == [4, 5, 5, 5]


def test_decisions_and_probabilities_are_those_of_each_drawing():
    judged = judge(small_asked(SCORES), 0.5, 3, 0)
    decided = judged.decided
    rng, place = np.random.default_rng(0), 0
    names, best, _ = best_of_dogs(small_asked(SCORES))
    for _ in range(3):
        strangers = np.arange(1, 5)[rng.permutation(4)[:2]]
        for row, own in enumerate((1, 2, 3, 4)):
            if own == 4 and own not in strangers:
                continue  # without a true match, and no stranger of this drawing
            left = np.where(np.isin(names, strangers), -np.inf, best[row])
            assert decided.query[place] == row and decided.stranger[place] == (own in strangers)
            assert decided.level[place] == left.max()
            assert decided.right[place] == (names[left.argmax()] == own)
            total = np.isfinite(left).sum() + np.exp(left).sum()
            assert decided.probability[place] == pytest.approx(np.exp(left.max()) / total)
            place += 1
    assert place == len(decided.query)
    named, own = decided.level >= 1, ~decided.stranger
    rates = judged.rates()
    assert rates["possible_FPIR"] == named[~own].mean()
    assert rates["possible_DIR"] == (named & decided.right)[own].mean()


def test_what_decisions_leave_out_ranks_alone():
    """The first dog is the one with the text; how sure it is, is told by the rest, of which no dog has more."""
    text = np.random.default_rng(0).normal(0, 3, (4, 6))
    asked = replace(small_asked(SCORES + text), decided=small_asked(SCORES).scores)
    judged, plain = judge(asked, 0.5, 3, 0), judge(small_asked(SCORES), 0.5, 3, 0)
    assert not np.array_equal(judged.decided.right, plain.decided.right)
    assert (judged.decided.level <= plain.decided.level).all() and (judged.decided.level < plain.decided.level).any()
    assert (judged.ranked.average_precision != plain.ranked.average_precision).any()


def test_the_curve_goes_through_the_figures_of_the_table(asking):
    judged = judge(asking.fused(), 0.5, 20, 0)
    found = identification(judged.drawings, np.ones((1, 30)))
    assert judged.dir_curve(np.array([0.10]))[0] == pytest.approx(found["DIR_10"][0], abs=0.02)


def test_a_filter_that_takes_all_away_finds_nobody(asking):
    filtered = asking.hard_filter()
    empty = replace(filtered, scores=np.where(np.arange(60)[:, None] < 2, -np.inf, filtered.scores))
    judged = judge(empty, 0.5, 4, 0)
    assert (judged.decided.probability >= 0).all() and not judged.decided.right[judged.decided.query < 2].any()
    assert judged.ranked.valid.all()


# the whole


def test_filters_lose_and_statements_and_photographs_find_more(evaluation):
    assert [row.name for row in evaluation.rows][:5] == [
        "visual only",
        "hard filter",
        "fusion",
        "fusion, 1 stated",
        "fusion, 3 stated",
    ]
    values = [evaluation.row(name).figures["mAP"].value for name in ("hard filter", "visual only", "fusion")]
    assert values[0] < min(values[1:])
    assert evaluation.row("fusion").against["visual only"].value == pytest.approx(values[2] - values[1])
    assert evaluation.row("fusion, 1 stated").against["fusion"].value > 0
    assert evaluation.row("fusion, 2 photos").against["fusion"].value > 0
    assert (evaluation.individuals, evaluation.queries, evaluation.gallery) == (30, 60, 30)


def test_differences_are_of_the_queries_that_both_ask(evaluation, frames, seed):
    one, fusion = (evaluation.row(name) for name in ("fusion, 1 stated", "fusion"))
    assert one.queries == 58
    own = one.first.ranked.average_precision - fusion.first.ranked.average_precision[one.first.asked.rows]
    alone = evaluate(frames, [seed], "dogs", TEST, 0.95, said)
    assert alone.row("fusion, 1 stated").against["fusion"].value == pytest.approx(own.mean())


def test_the_tables_say_the_same(evaluation):
    table = pd.read_csv(io.StringIO(csv_table(evaluation))).set_index("asked_by")
    assert table.loc["fusion", "mAP"] == pytest.approx(100 * evaluation.row("fusion").figures["mAP"].value, abs=0.01)
    assert table.loc["fusion, 3 photos", "remark"].startswith("not possible: 3 photos")
    assert pd.isna(table.loc["fusion, 3 photos", "mAP"])
    shown = display_table(evaluation).set_index("asked by")
    assert shown.loc["fusion", "mAP"].startswith(f"{table.loc['fusion', 'mAP']:.1f} [")
    text = markdown_table(evaluation)
    assert "## drawn: what cannot be asked" in text and "- fusion, 3 photos: not possible" in text
    assert "60 queries of 30 dogs never seen, 30 gallery photographs, 2 seeds" in text
    assert "80 photographs of 40 calibration dogs" in text and "who can show no rate below 2.5 %: not 1 %" in text
    console = Console(width=400, file=io.StringIO())
    console.print(console_table("the search", display_table(evaluation), WORDS))
    assert "hard filter" in console.file.getvalue()


def test_metrics_have_names_that_a_tracking_server_takes(evaluation):
    found = summary(evaluation)
    assert all(re.fullmatch(r"[\w.]+", name) and np.isfinite(value) for name, value in found.items())
    assert found["fusion_1_stated.mAP_minus_fusion"] > 0 and "fusion_re_ranked.possible_FPIR" in found


def test_figures_are_drawn(evaluation):
    for figure in (reliability_figure, dir_figure, weights_figure):
        axes = figure(evaluation).axes[0]
        assert axes.get_title().startswith("drawn: ") and axes.get_legend() is not None


def test_hard_cases_are_put_right_and_told(evaluation, frames):
    cases = hard_cases(evaluation, 2)
    assert cases and sum(cases[0].less.values()) <= sum(cases[-1].less.values()) < 0
    visual, fused = (evaluation.row(name).first.ranked for name in ("visual only", "fusion"))
    for case in cases:
        assert visual.first_match_rank[case.query] > 1 and fused.first_match_rank[case.query] == 1
        assert re.fullmatch(r"\w+ -\d\.\d(, \w+ -\d\.\d)?", told(case))
    picture = hard_case_picture(evaluation, frames, 2)
    assert picture.height > 4 * 50
    assert hard_case_picture(evaluation, frames, 0) is None


def test_tracks_are_refused(frames, seed):
    with pytest.raises(DataError, match=r"drawn: protocol 'prid2011_multi_shot' ranks tracks; .* photographs"):
        Asking(frames, seed, "prid2011_multi_shot", said)
