"""What README says of the demo, as checks: each holds for such a table, and fails for one that says otherwise."""

import json
import re

import pandas as pd
import pytest
from params import ROOT
from statements import DIFFERENCE, STATEMENTS, Outcome, read_outcome, spread

ROWS = {  # row: form, mAP, the upper end of its difference to clip_reid, mAP after re-ranking
    "untrained": (None, 3.0, -28.0, 3.1),
    "pretrained": (None, 8.0, -23.0, 8.2),
    "clip_reid": ("thesis", 34.0, None, 30.0),
    "attribute_smoothing_both": ("thesis", 20.0, -4.0, 15.0),
    "local_mean_joints": ("added", 42.0, 11.0, 43.0),
    "local_joints": ("added", 43.0, 12.0, 44.0),
}
DOGS = {"mean_roc_auc": 0.9, "mean_balanced_accuracy": 0.7}


def outcome(rows=ROWS, dogs=DOGS, pck=0.8):
    columns = ["form", "mAP", f"{DIFFERENCE}_high", "reranked_mAP"]
    people = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    people["CMC_1"], people[DIFFERENCE] = 10.0, people[f"{DIFFERENCE}_high"] - 3
    people[f"{DIFFERENCE}_low"] = people[DIFFERENCE] - 3
    return Outcome(people, dogs, pck)


def held(found):
    return [bool(check(found)) for check in STATEMENTS.values()]


def changed(row, place, value):
    values = list(ROWS[row])
    values[place] = value
    return outcome(ROWS | {row: tuple(values)})


def test_all_hold_for_a_table_of_their_kind():
    assert all(held(outcome()))


@pytest.mark.parametrize(
    ("found", "number"),
    [
        (changed("untrained", 1, 8.5), 0),  # better than pre-training
        (changed("attribute_smoothing_both", 1, 7.0), 0),  # fine-tuned, and worse than pre-training
        (changed("attribute_smoothing_both", 1, 34.5), 1),  # another row is the last
        (changed("attribute_smoothing_both", 2, 0.1), 1),
        (changed("clip_reid", 3, 34.5), 2),
        (changed("local_joints", 2, 5.9), 3),
        (changed("local_mean_joints", 2, 5.9), 3),
        (changed("local_mean_joints", 2, 7.0), 4),  # 4 of 9
        (outcome(dogs=DOGS | {"mean_roc_auc": 0.84}), 5),
        (outcome(dogs=DOGS | {"mean_balanced_accuracy": 0.5}), 6),  # chance is 1/8, four times 1/3 and 1/5: 0.276
        (outcome(pck=0.64), 7),
    ],
)
def test_each_fails_where_the_table_says_otherwise(found, number):
    assert not held(found)[number]


def test_readme_says_what_is_checked_and_no_more():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(r"checks that these statements hold under each: - (.*?)\. ## ", text)[1]
    assert said.split("; - ") == list(STATEMENTS)


def test_the_spread_is_median_and_ends():
    tables = {str(value): changed("clip_reid", 1, value) for value in (30.0, 36.0, 31.0)}
    line = next(line for line in spread(tables) if line[0] == "clip_reid")
    assert line[1:] == ["31.0 (30.0 to 36.0)", "10.0 (10.0 to 10.0)", "-"]


def test_the_outcome_is_read_from_the_files_of_a_demo(tmp_path):
    for path, content in {
        "results/compare/sample_people/table.csv": "row,form,mAP\nuntrained,,3.1\nclip_reid,thesis,30.2\n",
        "results/attributes/sample_dogs/metrics.json": json.dumps(DOGS),
        "results/pose/sample_people/metrics.json": '{"PCK": 0.77}',
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(content)
    found = read_outcome(tmp_path)
    assert list(found.tuned.index) == ["clip_reid"] and found.people.loc["untrained", "mAP"] == 3.1
    assert found.pck == 0.77 and found.attributes["mean_roc_auc"] == 0.9
