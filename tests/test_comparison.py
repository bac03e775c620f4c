"""Score files, and the tables and figures that are made of them."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import compare as compare_stage
import numpy as np
import pyarrow.parquet as pq
import pytest
from params import CONFIG
from PIL import Image

from auxreid.evaluation.cmc_figure import cmc_figure
from auxreid.evaluation.comparison import read_comparison
from auxreid.evaluation.comparison_figures import bar_figure, difference_figure
from auxreid.evaluation.comparison_tables import (
    cmc_table,
    csv_table,
    display_tables,
    markdown_tables,
    remark_lines,
    row_metrics,
)
from auxreid.evaluation.ranking import RankedQueries, summarise
from auxreid.evaluation.scores import (
    Places,
    Scores,
    query_table,
    read_places,
    read_queries,
    read_scores,
    score_file,
    write_scores,
)
from auxreid.evaluation.statistics import estimate, holm
from auxreid.evaluation.thesis import TABLE_2
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.stage.record import check_name

ROOT = Path(__file__).parent.parent
FORMS = {"untrained": "", "pretrained": "", "visual_only": "thesis", "clip_reid": "thesis", "keypoints": "corrected"}
SEEDS = {name: (0, 1) for name in FORMS}
SETTINGS = CONFIG.compare
OVER_BOTH, OVER_QUERIES = "95 % interval over seeds and queries", "95 % interval over queries"
RERANKED_GAIN = 0.05


def precisions(mean, queries=40, seed=0):
    """APs of that mean, one of them missing: (query 3 has no true match)."""
    values = np.random.default_rng(seed).uniform(-0.08, 0.08, queries)
    values += mean - np.delete(values, 3).mean()
    values[3] = np.nan
    return values


def put(root, ablation, seed, precision, dataset="d", reranked=True, first_query=100, gallery=10, remark=""):
    """The score files of a row whose queries have these APs (float [q], NaN without a true match)."""
    valid = ~np.isnan(precision)
    first = np.where(valid, np.where(precision > 0.3, 1, 4), 0)
    ranked = RankedQueries(precision, precision, first, valid)
    numbers = np.arange(first_query, first_query + len(precision))
    places = [Places(number + 1000 * np.arange(1, 4), np.array([True, False, True])) for number in numbers]
    ones = np.ones(len(precision), int)
    table = query_table(ranked, numbers, ones, numbers, ones, places)
    metrics = summarise(ranked)
    after = {name: metrics[name] + RERANKED_GAIN for name in metrics if not name.startswith("queries")}
    sizes = len(precision), gallery
    scores = Scores(
        dataset, ablation, seed, "market1501", 0, *sizes, metrics, after if reranked else None, remark=remark
    )
    write_scores(root, scores, table)
    return scores, ranked


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(FORMS):
        training = 0.002 if name == "visual_only" else 0  # what varies beside the seed's own level, which rows share
        for seed in (0, 1):
            mean = 0.1 * (number + 1) + 0.02 * seed + (training if seed else -training)
            put(tmp_path, name, seed, precisions(mean, seed=10 * number + seed))
    return tmp_path


def compare(root, layout="market1501", seeds=SEEDS, forms=FORMS, not_applicable=(), predictions=()):
    return read_comparison(
        root,
        "d",
        layout,
        forms,
        seeds,
        "clip_reid",
        settings=SETTINGS,
        not_applicable=dict(not_applicable),
        predictions=dict(predictions),
    )


def lines(table):
    return table.cells.to_numpy().tolist()


def test_score_files_come_back_as_they_were_written(tmp_path):
    scores, ranked = put(tmp_path, "clip_reid", 3, precisions(0.5), remark="epoch factor 4 run at 1")
    assert read_scores(tmp_path, "d", "clip_reid", 3) == scores
    again = read_queries(tmp_path, "d", "clip_reid", 3)
    assert again.frame_id.tolist() == list(range(100, 140)) == again.identity.tolist()
    np.testing.assert_array_equal(again.ranked.average_precision, ranked.average_precision)
    np.testing.assert_array_equal(again.ranked.first_match_rank, ranked.first_match_rank)
    np.testing.assert_array_equal(again.ranked.valid, ranked.valid)


def test_places_of_chosen_queries_come_back_in_the_order_asked(tmp_path):
    put(tmp_path, "clip_reid", 3, precisions(0.5))
    places = read_places(tmp_path, "d", "clip_reid", 3, np.array([7, 2]))
    assert [one.frame_id.tolist() for one in places] == [[1107, 2107, 3107], [1102, 2102, 3102]]
    assert [one.is_true.tolist() for one in places] == [[True, False, True]] * 2


def test_a_table_of_other_columns_is_refused(tmp_path):
    put(tmp_path, "clip_reid", 0, precisions(0.5))
    path = score_file(tmp_path, "d", "clip_reid", 0)
    pq.write_table(pq.read_table(path).drop_columns(["place_is_true"]), path)
    with pytest.raises(DataError, match=r"clip_reid-0.parquet: columns .*, expected .*'place_is_true'"):
        read_queries(tmp_path, "d", "clip_reid", 0)


def test_equal_scores_give_equal_bytes(tmp_path):
    for folder in ("one", "two"):
        put(tmp_path / folder, "clip_reid", 0, precisions(0.5))
    one, two = (score_file(tmp_path / folder, "d", "clip_reid", 0).read_bytes() for folder in ("one", "two"))
    assert one == two


def test_figures_in_the_given_order_with_mean_and_deviation(root):
    table, _ = display_tables(compare(root))
    assert list(table.cells["row"]) == list(FORMS)
    assert list(table.cells) == [
        *("row", "form", "seeds", "mAP", OVER_BOTH, "CMC@1", "CMC@5", "CMC@10", "mINP"),
        *("re-ranked mAP", "re-ranked CMC@1"),
    ]
    untrained, *_ = lines(table)
    assert untrained[:4] == ["untrained", "-", "2", "11.0 ± 1.4"]  # 10 and 12: deviation sqrt(2)
    assert untrained[-2] == "16.0" and "±" in untrained[5]  # after re-ranking; CMC@1


def test_a_row_below_a_baseline_is_called_worse_than_not_training(root):
    assert not any("worse" in line for line in remark_lines(compare(root)))
    for seed in (0, 1):
        put(root, "pretrained", seed, precisions(0.35, seed=seed))
        put(root, "visual_only", seed, precisions(0.35 - (0.054, 0.056)[seed], seed=seed))
        put(root, "clip_reid", seed, precisions(0.35 - (0.02, -0.01)[seed], seed=seed))
    clear, unclear = remark_lines(compare(root))
    assert clear.startswith("visual_only: worse than not training: pretrained is 5.5 points of mAP above [")
    low, high = map(float, re.search(r"\[\+(.*), \+(.*)\]$", clear).groups())
    assert 0 < low < 5.5 < high
    assert unclear.startswith("clip_reid: worse than not training: pretrained is 0.5 points of mAP above [-")
    assert unclear.endswith("which may be chance")


def test_differences_with_the_thesis_s_beside_them(root):
    _, table = display_tables(compare(root))
    assert list(table.cells) == [
        *("row", "mAP − clip_reid", OVER_BOTH, "p (Holm)"),
        *("thesis's mAP", "thesis's CMC@1", "thesis's difference", "inside"),
    ]
    untrained, _, visual_only, clip_reid, corrected = lines(table)
    assert untrained[1] == "-30.0" and untrained[4:] == ["-"] * 4
    assert visual_only[1] == "-10.0" and visual_only[4:] == ["88.1", "94.7", "-1.7", "no"]
    assert clip_reid[1:] == ["-", "-", "-", "89.8", "95.7", "-", "-"]
    assert corrected[1] == "+10.0" and corrected[4:] == ["-"] * 4


def test_the_thesis_s_difference_inside_our_interval(root):
    for seed in (0, 1):
        put(root, "visual_only", seed, precisions(0.40 - 0.017 + 0.02 * seed, seed=seed))
    _, table = display_tables(compare(root))
    assert lines(table)[2][4:] == ["88.1", "94.7", "-1.7", "yes"]


def difference_values(root, name, seeds):
    """The paired AP differences of each seed, float [s, n] in points."""
    return 100 * np.stack(
        [
            read_queries(root, "d", name, seed).ranked.average_precision
            - read_queries(root, "d", "clip_reid", seed).ranked.average_precision
            for seed in seeds
        ]
    )


def test_differences_are_paired_by_query_and_tested_over_seeds_and_queries(root):
    found = compare(root).differences
    expected = estimate(difference_values(root, "visual_only", (0, 1)))
    one = found["visual_only"]
    assert one.value == pytest.approx(expected.mean)
    assert (one.interval.low, one.interval.high) == pytest.approx(expected.interval(0.95))
    assert one.test.p == pytest.approx(expected.p_value())
    assert one.test.detectable == pytest.approx(expected.detectable(0.05 / 2, 0.8))  # the first step of two rows
    names = ["visual_only", "keypoints"]
    assert found["untrained"].test is None and found["pretrained"].test is None  # baselines ask nothing
    assert [found[name].test.p_holm for name in names] == pytest.approx(holm([found[name].test.p for name in names]))


def test_one_seed_claims_nothing_and_says_so(root):
    comparison = compare(root, seeds=dict.fromkeys(FORMS, (1,)))
    figures, differences = display_tables(comparison)
    assert OVER_QUERIES in figures.cells and list(differences.cells)[2] == OVER_QUERIES
    assert not {"p (Holm)", "inside"} & set(differences.cells)
    assert "nothing is claimed" in differences.note and "Holm" not in differences.note
    assert "finds a difference" not in differences.note
    assert all(one.test is None and one.inside is None for one in comparison.differences.values())
    assert {(record["p"], record["p_holm"], record["thesis_inside"]) for record in records(comparison).values()} == {
        ("", "", "")
    }
    assert not any(name.endswith((".p", ".p_holm")) for name in compare_stage.summary(comparison))


def test_rows_of_one_seed_beside_rows_of_several_have_dashes(root):
    comparison = compare(root, seeds=SEEDS | {"visual_only": (1,)})
    figures, differences = display_tables(comparison)
    visual_only = lines(differences)[2]
    assert visual_only[1] == "-9.8" and visual_only[3] == visual_only[-1] == "-"
    assert lines(differences)[4][3] != "-" and "over 1 row." in differences.note
    assert "Of a single seed" in figures.note and "nothing is claimed" in differences.note


def test_the_note_says_what_difference_could_have_been_found(root):
    comparison = compare(root)
    sizes = sorted(one.test.detectable for one in comparison.differences.values() if one.test)
    stated = f"finds a difference of {sizes[1]:.1f} points (by row {sizes[0]:.1f} to {sizes[-1]:.1f})"
    assert stated + " with a probability of 80 %." in display_tables(comparison)[1].note


def test_rows_with_fewer_seeds_are_paired_on_the_common_ones(root):
    put(root, "keypoints", 7, precisions(0.9))
    comparison = compare(root, seeds=SEEDS | {"visual_only": (1,), "keypoints": (1, 7)})
    one, two = comparison.differences["visual_only"], comparison.differences["keypoints"]
    assert one.seeds == two.seeds == (1,)
    assert one.value == pytest.approx(32.2 - 42.0) and two.value == pytest.approx(52.0 - 42.0)
    figures, _ = display_tables(comparison)
    assert lines(figures)[2][2:4] == ["1", "32.2"] and lines(figures)[4][2:4] == ["2", "71.0 ± 26.9"]


def test_without_a_common_seed_there_is_no_difference_and_it_is_said(root):
    put(root, "keypoints", 7, precisions(0.9))
    comparison = compare(root, seeds=SEEDS | {"keypoints": (7,)})
    assert "keypoints" not in comparison.differences
    assert lines(display_tables(comparison)[1])[4] == ["keypoints", *["-"] * 7]
    assert remark_lines(comparison) == ["keypoints: no seed in common with clip_reid, hence no difference"]


def test_queries_without_a_match_are_left_out_on_both_sides(root):
    values = precisions(0.3)
    values[5] = np.nan  # without a match in this row alone
    for seed in (0, 1):
        put(root, "visual_only", seed, values)
    literal = np.nanmean(difference_values(root, "visual_only", (0, 1)))
    comparison = compare(root)
    assert comparison.differences["visual_only"].value == pytest.approx(literal)
    assert "38 to 39 queries scored" not in display_tables(comparison)[0].note


def test_seeds_that_ask_different_queries_are_compared_within_each_seed(tmp_path):
    forms = {"clip_reid": "thesis", "visual_only": "thesis"}
    means = {("clip_reid", 0): 0.5, ("clip_reid", 1): 0.7, ("visual_only", 0): 0.4, ("visual_only", 1): 0.2}
    for number, ((name, seed), mean) in enumerate(means.items()):
        put(tmp_path, name, seed, precisions(mean, queries=20 + 10 * seed, seed=number), first_query=100 + 15 * seed)
    comparison = compare(tmp_path, "prid2011", dict.fromkeys(forms, (0, 1)), forms)
    difference = comparison.differences["visual_only"]
    assert difference.value == pytest.approx(-30.0)  # the mean of -10 and -50, although there are more queries of -50
    assert difference.interval.low < -30.0 < difference.interval.high
    interval = comparison.intervals["clip_reid"]["mAP"]
    assert interval.low < 60.0 < interval.high


def test_one_seed_has_no_deviation_and_other_layouts_no_thesis(root):
    figures, differences = display_tables(compare(root, layout="prid2011", seeds=dict.fromkeys(FORMS, (1,))))
    assert not any("thesis" in heading for heading in [*figures.cells, *differences.cells])
    assert lines(figures)[0][3] == "12.0"


def test_a_corrected_row_never_gets_the_thesis_s_figure(root):
    comparison = compare(root, forms=FORMS | {"visual_only": "corrected"})
    assert lines(display_tables(comparison)[1])[2][4:] == ["-"] * 4


def test_no_reference_row_no_differences(root):
    comparison = compare(root, forms={"untrained": ""})
    assert len(display_tables(comparison)) == 1
    assert "clip_reid" not in csv_table(comparison)
    with pytest.raises(ValueError, match="no row has a difference"):
        difference_figure(comparison)


def test_without_reranking_there_are_no_such_columns(root):
    for name in FORMS:
        for seed in (0, 1):
            put(root, name, seed, precisions(0.4), reranked=False)
    comparison = compare(root)
    assert not any("re-ranked" in heading for heading in display_tables(comparison)[0].cells)
    assert next(csv.DictReader(io.StringIO(csv_table(comparison))))["reranked_mAP"] == ""


def records(comparison):
    return {record["row"]: record for record in csv.DictReader(io.StringIO(csv_table(comparison)))}


def test_rows_that_models_of_other_data_sets_spoke_to_are_marked(root):
    assert "predicted" not in csv_table(compare(root)) + markdown_tables(compare(root))
    reason = {"keypoints": "needs a pose"}
    comparison = compare(root, not_applicable=reason, predictions={"visual_only": "attributes by market1501"})
    found = {name: record["predicted"] for name, record in records(comparison).items()}
    assert found == dict.fromkeys(FORMS, "") | {"visual_only": "attributes by market1501"}
    figures = display_tables(comparison)[0]
    assert figures.texts == 3 and list(figures.cells.columns[:3]) == ["row", "form", "predicted"]
    assert dict(zip(figures.cells["row"], figures.cells["predicted"], strict=True)) == dict.fromkeys(FORMS, "-") | {
        "visual_only": "attributes by market1501"
    }


def test_csv_holds_numbers(root):
    comparison = compare(root)
    found = records(comparison)
    assert list(found) == list(FORMS)
    clip_reid, visual_only = found["clip_reid"], found["visual_only"]
    assert float(clip_reid["mAP"]) == 41.0 and float(clip_reid["mAP_std"]) == 1.41
    assert float(clip_reid["reranked_mAP"]) == 46.0 and float(clip_reid["reranked_mAP_std"]) == 1.41
    assert clip_reid["mAP_minus_clip_reid"] == clip_reid["p"] == ""
    assert float(visual_only["mAP_minus_clip_reid"]) == -10.0
    assert float(visual_only["mAP_minus_clip_reid_low"]) < -10.0 < float(visual_only["mAP_minus_clip_reid_high"])
    one = comparison.differences["visual_only"]
    assert float(visual_only["p"]) == pytest.approx(one.test.p, abs=1e-6) and visual_only["thesis_inside"] == "no"
    assert float(visual_only["p_holm"]) == pytest.approx(one.test.p_holm, abs=1e-6)
    assert float(visual_only["mAP_minus_clip_reid_detectable"]) == pytest.approx(one.test.detectable, abs=0.006)
    assert visual_only["mAP_minus_clip_reid_seeds"] == "2" and visual_only["thesis_mAP_minus_clip_reid"] == "-1.7"
    assert (clip_reid["thesis_mAP"], found["untrained"]["thesis_mAP"]) == ("89.8", "")
    for metric in ("mAP", "CMC_1"):
        interval = comparison.intervals["visual_only"][metric]
        written = float(visual_only[f"{metric}_low"]), float(visual_only[f"{metric}_high"])
        assert written == pytest.approx((interval.low, interval.high), abs=0.006)
        assert interval.low <= comparison.rows[2].mean(metric) <= interval.high


def test_metrics_of_dvc_are_the_table_s_and_no_row_without_figures_has_any(root):
    comparison = compare(root, forms={**FORMS, "centroids": "added"}, not_applicable={"centroids": "for a reason"})
    table = records(comparison)
    found = row_metrics(comparison)
    assert list(found) == list(FORMS)
    for row, figures in found.items():
        difference = {} if row == "clip_reid" else {"difference": float(table[row]["mAP_minus_clip_reid"])}
        assert figures == {name: float(table[row][name]) for name in ("mAP", "CMC_1")} | difference
    assert "difference" not in row_metrics(compare(root, forms={"visual_only": "thesis"}))["visual_only"]


def test_cmc_curves_have_a_line_per_rank_of_the_means_and_end_with_the_baselines(root):
    comparison = compare(root)
    lines = list(csv.DictReader(io.StringIO(cmc_table(comparison, 50))))
    assert list(dict.fromkeys(line["row"] for line in lines)) == [*list(FORMS)[2:], *list(FORMS)[:2]]
    first = {line["row"]: float(line["CMC"]) for line in lines if line["rank"] == "1"}
    assert first == {row.name: pytest.approx(row.mean("CMC_1"), abs=0.01) for row in comparison.rows}
    curve = [float(line["CMC"]) for line in lines if line["row"] == "clip_reid"]
    assert curve == sorted(curve) and len(curve) == 10  # the gallery has no more


def test_rows_that_are_not_applicable_are_listed_with_the_reason(root):
    for seed in (0, 1):
        put(root, "visual_only", seed, precisions(0.3, seed=seed), remark="epoch factor 4 run at 1")
    forms = FORMS | {"hrnet": "thesis"}
    comparison = compare(root, forms=forms, not_applicable={"hrnet": "the data set has no keypoints"})
    found = records(comparison)
    assert (found["hrnet"]["remark"], found["hrnet"]["mAP"]) == ("not applicable: the data set has no keypoints", "")
    assert (found["hrnet"]["form"], found["hrnet"]["seeds"]) == ("thesis", "0")
    assert found["visual_only"]["remark"] == "epoch factor 4 run at 1" and found["clip_reid"]["remark"] == ""
    text = markdown_tables(comparison)
    assert re.search(r"\| hrnet +\| thesis +\| +- \| +- \|", text)
    assert "- hrnet: not applicable: the data set has no keypoints" in text
    assert "- visual_only: epoch factor 4 run at 1" in text


def test_reasons_for_unknown_rows_and_rows_without_seeds_are_refused(root):
    with pytest.raises(ValueError, match=r"reasons for \['gone'\]"):
        compare(root, not_applicable={"gone": "?"})
    with pytest.raises(ValueError, match=r"without a seed \['keypoints'\]"):
        compare(root, seeds=SEEDS | {"keypoints": ()})


def test_markdown_is_two_tables_with_their_notes(root):
    text = markdown_tables(compare(root))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 * (2 + len(FORMS))
    assert [line.count("|") for line in table] == [12] * 7 + [9] * 7
    assert "39 queries scored against 10 gallery entries" in text  # 40 are asked, one has no true match
    assert "whole of Market-1501" in text and "Holm's correction over 2 rows" in text


def test_equal_scores_give_equal_tables(root):
    assert csv_table(compare(root)) == csv_table(compare(root))


def test_files_of_other_rows_are_left_alone(root):
    put(root, "abandoned", 0, precisions(0.9))
    (root / "scores" / "d" / "broken-0.parquet").write_text("{")
    assert [row.name for row in compare(root).rows] == list(FORMS)


def test_a_missing_file_is_named_with_its_command(root):
    score_file(root, "d", "visual_only", 1).unlink()
    with pytest.raises(DataError, match=r"visual_only-1.parquet: no such file; .* dvc repro evaluate@d-visual_only-1"):
        compare(root)


def test_broken_and_foreign_files_are_refused(root):
    path = score_file(root, "d", "visual_only", 1)
    path.write_bytes(score_file(root, "d", "clip_reid", 1).read_bytes())
    with pytest.raises(DataError, match="holds the scores of clip_reid with seed 1 on d, its name says visual_only"):
        compare(root)
    table = pq.read_table(score_file(root, "d", "clip_reid", 1))
    for metadata in ({}, {b"auxreid": b'{"dataset": "d"}'}, {b"auxreid": b"{"}):
        pq.write_table(table.replace_schema_metadata(metadata), path)
        with pytest.raises(DataError, match=r"visual_only-1.parquet: not a score file"):
            compare(root)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"visual_only-1.parquet: not a score file"):
        compare(root)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"queries": 41}, "queries 41 and 40"),
        ({"gallery": 11}, "gallery 11 and 10"),
        ({"first_query": 101}, "frame_id of 40 queries, the first is query 0: 101 and 100"),
    ],
)
def test_rows_of_different_queries_are_not_compared_and_both_files_are_named(root, change, fault):
    change = dict(change)
    put(root, "visual_only", 1, precisions(0.3, queries=change.pop("queries", 40)), **change)
    files = r"visual_only-1.parquet and .*untrained-1.parquet cannot be compared"
    with pytest.raises(DataError, match=f"{files}, run dvc repro: {fault}"):
        compare(root)


def test_figures_are_pictures(root, tmp_path):
    comparison = compare(root)
    bar_figure(comparison).savefig(tmp_path / "bars.png")
    difference_figure(comparison).savefig(tmp_path / "differences.png")
    curves = {name: np.linspace(0.2, 1, 10) for name in FORMS}
    cmc_figure(curves, "d").savefig(tmp_path / "cmc.png")
    for name in ("bars.png", "cmc.png", "differences.png"):
        assert min(Image.open(tmp_path / name).size) > 200
        assert (tmp_path / name).stat().st_size < 400_000


def test_the_forest_plot_shows_each_difference_its_interval_and_the_thesis_s(root):
    comparison = compare(root)
    axes = difference_figure(comparison).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(comparison.differences)
    *intervals, ours, thesis = axes.lines[1:]  # the first line is the zero
    for one, line in zip(comparison.differences.values(), intervals, strict=True):
        assert list(line.get_xdata()) == [one.interval.low, one.interval.high]
    assert list(ours.get_xdata()) == [one.value for one in comparison.differences.values()]
    assert list(thesis.get_xdata()) == [pytest.approx(-1.7)] and list(thesis.get_ydata()) == [2]


def test_table_2_is_the_thesis_s():
    assert len(TABLE_2) == 10
    assert TABLE_2["clip_reid"] == (120, 89.8, 95.7)
    assert TABLE_2["attribute_smoothing_both"] == (120, 16.7, 29.8)
    assert max(row.mAP for row in TABLE_2.values()) == TABLE_2["clip_reid"].mAP


STAGE = """
import sys
sys.path.insert(0, {pipeline!r})
import compare
print(*sorted({{"torch", "timm", "mmpose", "mlflow"}} & set(sys.modules)))
"""


def test_the_stage_starts_without_the_packages_of_training():
    code = STAGE.format(pipeline=str(ROOT / "pipeline"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_record_gets_differences_and_p_values_under_names_that_mlflow_takes(root):
    found = compare_stage.summary(compare(root))
    assert all(check_name(name, "metric") for name in found)
    assert found["visual_only.mAP"] == pytest.approx(0.31) and found["visual_only.reranked_mAP"] == pytest.approx(0.36)
    assert found["visual_only.difference"] == pytest.approx(-0.10)
    assert 0 < found["visual_only.p"] <= found["visual_only.p_holm"] <= 1
    assert 0 < found["visual_only.difference_detectable"] < 1
    assert not any(name.startswith("clip_reid.difference") for name in found)
