"""The log of what people said of answers, read as pairs for the next fusion."""

import json

import numpy as np
import pytest
from search_dogs import VOCABULARY, drawn_dogs

from auxreid.plumbing.base.errors import DataError
from auxreid.search.feedback import SOFTNESS, read_feedback
from auxreid.search.fit import fit_on
from auxreid.search.stated import Stated


@pytest.fixture(scope="module")
def known():
    return drawn_dogs(30, 2, seed=0)


def line(known, query, found, verdict="same", stated=None, networks="m", dog="x"):
    looks = [None if one is None else known.looks.take([one]) for one in (query, found)]
    both = [one and {name: values[0].tolist() for name, values in one.probabilities.items()} for one in looks]
    cosine = None if query is None else float(looks[0].embedding[0] @ looks[1].embedding[0])
    return {
        "networks": networks,
        "verdict": verdict,
        "similarity": cosine,
        "query": both[0],
        "found": both[1],
        "stated": stated or {},
        "dog": dog,
    }


def written(tmp_path, lines, end=""):
    path = tmp_path / "feedback.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines) + end)
    return path


def test_of_what_was_said_of_a_dog_of_one_search_the_last_counts(known, tmp_path):
    said = [("one", "x", "same"), ("one", "y", "same"), ("two", "x", "same"), ("one", "x", "different")]
    lines = [line(known, 0, 1, verdict, dog=dog) | {"search": search} for search, dog, verdict in said]
    assert sorted(read_feedback(written(tmp_path, lines), known, "m").same.tolist()) == [False, True, True]


def test_pairs_hold_the_evidence_that_the_fusion_weighs(known, tmp_path):
    lines = [
        line(known, 0, 1),
        line(known, 0, 5, "different", {"ears": ["drop"]}),
        line(known, None, 7, "none", {"ears": ["erect", "drop"]}),
        line(known, 0, 5, networks="others"),
        line(known, 0, 5, "different", dog="tested"),
    ]
    found = read_feedback(written(tmp_path, lines), known, "m", {"tested"})
    assert found.same.tolist() == [True, False, False] and found.stated["ears"].tolist() == [False, True, True]
    assert not found.stated["color"].any()
    fusion = fit_on(known, np.arange(60), "m", 0)
    object.__setattr__(fusion, "softness", SOFTNESS)
    asked = [(0, 1, {}), (0, 5, {"ears": Stated(("drop",))}), (None, 7, {"ears": Stated(("erect", "drop"))})]
    for place, (query, other, stated) in enumerate(asked):
        looks = None if query is None else known.looks.take([query])
        raw = fusion.raw(looks, known.looks.take([other]), stated)
        for name, values in raw.items():
            assert found.raw[name][place] == pytest.approx(values[0, 0], abs=1e-6, nan_ok=True)


def test_the_next_fusion_learns_from_it(known, tmp_path):
    wrong = [line(known, row, row + 1, "different") for row in range(0, 60, 2)] * 5
    extra = read_feedback(written(tmp_path, wrong), known, "m")
    before, after = (fit_on(known, np.arange(60), "m", 0, one) for one in (None, extra))
    assert after.about["pairs_from_feedback"] == 150
    assert sum(after.weights.values()) < sum(before.weights.values())


def test_an_empty_log_changes_nothing(known, tmp_path):
    extra = read_feedback(written(tmp_path, [line(known, 0, 1, networks="others")]), known, "m")
    assert len(extra.same) == 0
    assert fit_on(known, np.arange(60), "m", 0, extra).weights == fit_on(known, np.arange(60), "m", 0).weights


def test_a_line_that_was_cut_off_is_left_out_and_a_broken_one_is_named(known, tmp_path):
    assert len(read_feedback(written(tmp_path, [line(known, 0, 1)], '{"net'), known, "m").same) == 1
    with pytest.raises(DataError, match="line 2: no JSON"):
        read_feedback(written(tmp_path, [line(known, 0, 1)], "{net\n"), known, "m")
    broken = {name: value for name, value in line(known, 0, 1).items() if name != "found"}
    with pytest.raises(DataError, match=r"line 1: not feedback \(KeyError: 'found'"):
        read_feedback(written(tmp_path, [broken]), known, "m")
    unknown = line(known, 0, 1, stated={"ears": ["pointed"]})
    with pytest.raises(DataError, match="line 1: not feedback .*'pointed', allowed: " + ", ".join(VOCABULARY["ears"])):
        read_feedback(written(tmp_path, [unknown]), known, "m")
    with pytest.raises(DataError, match="no such log of feedback"):
        read_feedback(tmp_path / "none.jsonl", known, "m")
