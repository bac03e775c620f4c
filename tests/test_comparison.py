"""Score files, and the tables and figures that are made of them."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from auxreid.errors import DataError
from auxreid.evaluation.cmc_figure import cmc_figure
from auxreid.evaluation.comparison import csv_table, display_table, markdown_table, read_comparison
from auxreid.evaluation.comparison_figures import bar_figure
from auxreid.evaluation.ranking import RankedQueries
from auxreid.evaluation.scores import Scores, query_table, read_ranked, read_scores, score_files, write_scores
from auxreid.evaluation.thesis import TABLE_2

FORMS = {"untrained": "", "pretrained": "", "visual_only": "thesis", "clip_reid": "thesis", "keypoints": "corrected"}


def figures(mAP):
    return {"mAP": mAP, "mINP": mAP / 2, "CMC_1": mAP, "CMC_5": mAP, "CMC_10": 1.0, "CMC_20": 1.0, "queries": 3}


def put(root, ablation, seed, mAP, dataset="d", queries=3):
    ranked = RankedQueries(
        np.array([1.0, np.nan, 0.25]), np.array([1.0, np.nan, 0.25]), np.array([1, 0, 4]), np.array([True, False, True])
    )
    table = query_table(ranked, np.array([4, 5, 6]), np.ones(3), np.array([1, 2, 3]), np.array([1, 1, 2]))
    write_scores(root, Scores(dataset, ablation, seed, "market1501", 0, queries, 10, figures(mAP)), table)
    return ranked


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(FORMS):
        for seed in (0, 1):
            put(tmp_path, name, seed, 0.1 * (number + 1) + 0.02 * seed)
    return tmp_path


def compare(root, layout="market1501", seeds=(0, 1), forms=FORMS):
    return read_comparison(root, "d", layout, forms, seeds, reference="clip_reid")


def test_score_files_come_back_as_they_were_written(tmp_path):
    ranked = put(tmp_path, "clip_reid", 3, 0.5)
    assert read_scores(tmp_path, "d", "clip_reid", 3).metrics == figures(0.5)
    again = read_ranked(tmp_path, "d", "clip_reid", 3)
    np.testing.assert_array_equal(again.average_precision, ranked.average_precision)
    np.testing.assert_array_equal(again.first_match_rank, ranked.first_match_rank)
    np.testing.assert_array_equal(again.valid, ranked.valid)


def test_equal_scores_give_equal_bytes(tmp_path):
    for folder in ("one", "two"):
        put(tmp_path / folder, "clip_reid", 0, 0.5)
    for one, two in zip(
        *(score_files(tmp_path / folder, "d", "clip_reid", 0) for folder in ("one", "two")), strict=True
    ):
        assert one.read_bytes() == two.read_bytes()


def test_rows_in_the_given_order_with_mean_and_deviation(root):
    headings, lines = display_table(compare(root))
    assert [line[0] for line in lines] == list(FORMS)
    assert headings == [
        *("row", "form", "seeds", "mAP", "mINP", "CMC@1", "CMC@5", "CMC@10", "CMC@20"),
        *("mAP − clip_reid", "thesis's mAP", "thesis's CMC@1"),
    ]
    untrained, _, visual_only, clip_reid, corrected = lines
    assert untrained[:4] == ["untrained", "-", "2", "11.0 ± 1.4"]  # 10 and 12: deviation sqrt(2)
    assert untrained[-3:] == ["-30.0", "-", "-"]
    assert visual_only[-3:] == ["-10.0", "88.1", "94.7"]
    assert clip_reid[-3:] == ["-", "89.8", "95.7"]
    assert corrected[-3:] == ["+10.0", "-", "-"]


def test_one_seed_has_no_deviation_and_other_layouts_no_thesis(root):
    headings, lines = display_table(compare(root, layout="prid2011", seeds=(1,)))
    assert not any("thesis" in heading for heading in headings)
    assert lines[0][3] == "12.0"


def test_csv_holds_numbers(root):
    records = list(csv.DictReader(io.StringIO(csv_table(compare(root)))))
    assert [record["row"] for record in records] == list(FORMS)
    assert float(records[3]["mAP"]) == 41.0 and float(records[3]["mAP_std"]) == 1.41
    assert float(records[3]["mAP_minus_clip_reid"]) == 0.0
    assert (records[3]["thesis_mAP"], records[0]["thesis_mAP"]) == ("89.8", "")


def test_a_corrected_row_never_gets_the_thesis_s_figure(root):
    comparison = compare(root, forms=FORMS | {"visual_only": "corrected"})
    assert display_table(comparison)[1][2][-2:] == ["-", "-"]


def test_no_reference_row_no_difference(root):
    headings, _ = display_table(compare(root, forms={"untrained": ""}))
    assert not any("−" in heading for heading in headings)


def test_markdown_is_a_table_with_its_note(root):
    text = markdown_table(compare(root))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(FORMS)
    assert len({line.count("|") for line in table}) == 1
    assert "3 queries against 10 gallery entries" in text and "whole of Market-1501" in text


def test_files_of_other_rows_are_left_alone(root):
    put(root, "abandoned", 0, 0.99)
    (root / "scores" / "d" / "broken-0.json").write_text("{")
    assert [row.name for row in compare(root).rows] == list(FORMS)


def test_a_missing_file_is_named_with_its_command(root):
    score_files(root, "d", "visual_only", 1)[0].unlink()
    with pytest.raises(DataError, match=r"visual_only-1.json: no such file; .* dvc repro evaluate@d-visual_only-1"):
        compare(root)


def test_broken_and_foreign_files_are_refused(root):
    path, _ = score_files(root, "d", "visual_only", 1)
    path.write_bytes(score_files(root, "d", "clip_reid", 1)[0].read_bytes())
    with pytest.raises(DataError, match="holds the scores of clip_reid with seed 1 on d, its name says visual_only"):
        compare(root)
    path.write_text('{"dataset": "d"}')
    with pytest.raises(DataError, match=r"visual_only-1.json: not a score file"):
        compare(root)


def test_rows_of_different_queries_are_not_compared(root):
    put(root, "visual_only", 1, 0.5, queries=4)
    with pytest.raises(DataError, match=r"visual_only-1.json: .* cannot be compared"):
        compare(root)


def test_figures_are_pictures(root, tmp_path):
    comparison = compare(root)
    bar_figure(comparison).savefig(tmp_path / "bars.png")
    curves = {name: np.linspace(0.2, 1, 10) for name in FORMS}
    cmc_figure(curves, "d").savefig(tmp_path / "cmc.png")
    for name in ("bars.png", "cmc.png"):
        assert min(Image.open(tmp_path / name).size) > 200
        assert (tmp_path / name).stat().st_size < 400_000


def test_table_2_is_the_thesis_s():
    assert len(TABLE_2) == 10
    assert TABLE_2["clip_reid"] == (120, 89.8, 95.7)
    assert TABLE_2["attribute_smoothing_both"] == (120, 16.7, 29.8)
    assert max(row.mAP for row in TABLE_2.values()) == TABLE_2["clip_reid"].mAP
