"""The open-set table: its figures, its choice, and that a row worse than not training is called so."""

from types import SimpleNamespace

import numpy as np
import pytest
from small_frames import noise

from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.evaluation.protocols import query_and_gallery
from auxreid.evaluation.ranking import rank_queries, squared_distances, summarise
from auxreid.metric.choice import Validation
from auxreid.metric.figures import list_pictures, roc_figure
from auxreid.metric.results import OPEN_SET, RANKING, read_results, seed_result
from auxreid.metric.scores import (
    About,
    MetricScores,
    metric_score_file,
    read_metric_scores,
    write_metric_scores,
)
from auxreid.metric.table import csv_table, display_table, markdown_table, notes
from auxreid.plumbing.base.errors import DataError

DOGS, WIDTH = 12, 16
TEST = SimpleNamespace(cuts=(2, 4, 99), strangers=0.5, drawings=4, resamplings=100, pictures=2)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A query and two gallery images of each dog, every one of a sequence of its own."""
    import cv2

    path, rows = tmp_path_factory.mktemp("frames") / "frames.arrow", []
    for dog in range(1, DOGS + 1):
        for number, split in enumerate(("query", "gallery", "gallery")):
            row = {"path": f"{dog}_{number}.png", "split": split, "identity": dog, "width": 8, "height": 8}
            row |= {"identity_name": f"dog {dog}", "sequence": f"{dog}_{number}"}
            rows.append(row | {"image": cv2.imencode(".png", noise(len(rows), 8, 8))[1].tobytes()})
    write_frames(path, rows, FramesMeta("dogs", "dogs", "dogs", "dog"))
    return open_frames(path)


def scores(frames, row: str, seed: int, noise_of: float, gained: float) -> MetricScores:
    """Embeddings that are a direction per dog and noise; validation is above the untouched encoder by `gained`."""
    own = np.random.default_rng(5).normal(size=(DOGS + 1, WIDTH))[frames.identity]
    made = own + noise_of * np.random.default_rng(100 + seed).normal(size=own.shape)
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    who, base = np.repeat(np.arange(20), 2), np.random.default_rng(9).random(40) * 0.5 + 0.2
    step = gained + 0.01 * np.random.default_rng(seed).normal(size=40)
    validation = Validation(base + (step if gained else 0), base, who)
    return MetricScores(About("dogs", row, seed, 0, "dogs", int(gained > 0)), frames.frame_id, made, validation)


@pytest.fixture(scope="module")
def results(frames):
    made = {
        "harmed": [scores(frames, "harmed", seed, 1.6, -0.1) for seed in (0, 1, 2)],
        "untouched": [scores(frames, "untouched", 0, 0.8, 0.0)] * 3,
        "good": [scores(frames, "good", seed, 0.3, 0.1) for seed in (0, 1, 2)],
        "spoilt": [scores(frames, "spoilt", seed, 1.6, 0.02) for seed in (0, 1, 2)],
    }
    return read_results("dogs", made, {0: frames}, TEST, 0.95)


def test_the_row_of_the_best_validation_is_chosen_and_a_worse_one_is_called_so(results):
    assert results.chosen == "good" and [row.name for row in results.rows] == ["harmed", "untouched", "good", "spoilt"]
    remarks = dict(zip((row.name for row in results.rows), display_table(results)["remark"], strict=True))
    assert remarks["good"].startswith("chosen by validation; better than untouched")
    assert remarks["spoilt"] == "worse than untouched" and remarks["untouched"] == ""
    assert remarks["harmed"] == "stopped before it began: untouched"


def test_without_a_row_above_it_the_untouched_encoder_is_chosen(frames):
    made = {
        "untouched": [scores(frames, "untouched", 0, 0.8, 0.0)],
        "harmed": [scores(frames, "harmed", 0, 0.3, -0.1)],
    }
    found = read_results("dogs", made, {0: frames}, TEST, 0.95)
    assert found.chosen == "untouched"  # though it is worse on the test individuals
    assert "One seed says nothing" in notes(found)[-1]


def test_figures_are_those_of_ranking_and_lie_in_their_intervals(results, frames):
    made = scores(frames, "good", 0, 0.3, 0.1)
    query, gallery = query_and_gallery(frames, made.embeddings, "dogs")
    labels = query.identity, gallery.identity, query.group, gallery.group
    wanted = summarise(rank_queries(squared_distances(query.embedding, gallery.embedding), *labels))
    one = read_results("dogs", {"untouched": [made]}, {0: frames}, TEST, 0.95).rows[0]
    assert all(one.figures[name].value == pytest.approx(wanted[name]) for name in RANKING)
    for row in results.rows:
        for name in (*RANKING, *OPEN_SET):
            figure = row.figures[name]
            assert figure.low <= figure.value + 1e-9 and figure.value <= figure.high + 1e-9, (row.name, name)
    by_name = {row.name: row.figures for row in results.rows}
    assert by_name["good"]["EER"].value < by_name["spoilt"]["EER"].value
    assert by_name["good"]["DIR_10"].value > by_name["spoilt"]["DIR_10"].value


def test_a_cut_is_the_first_dimensions_alone(frames):
    made = scores(frames, "good", 0, 0.3, 0.1)
    found = seed_result(made, frames, (4, WIDTH, 99))
    assert list(found.cuts) == [4, WIDTH]
    assert found.cuts[WIDTH] == pytest.approx(np.nanmean(found.ranked.average_precision))
    part = made.embeddings[:, :4] / np.linalg.norm(made.embeddings[:, :4], axis=1, keepdims=True)
    query, gallery = query_and_gallery(frames, part, "dogs")
    labels = query.identity, gallery.identity, query.group, gallery.group
    ranked = rank_queries(squared_distances(query.embedding, gallery.embedding), *labels)
    assert found.cuts[4] == pytest.approx(ranked.average_precision.mean(), abs=1e-6)


def test_the_tables_say_the_same(results):
    text = csv_table(results)
    lines = text.splitlines()
    assert lines[0].startswith("row,chosen,seeds,epochs,validation_mAP,") and len(lines) == 5
    assert "mAP_minus_untouched_low" in lines[0] and "mAP_first_4" in lines[0] and "mAP_first_99" not in lines[0]
    shown = markdown_table(results)
    assert "| good |" in shown and "worse than untouched" in shown
    assert "the mean of 4 drawings, in each of which 50 % of the query individuals are strangers" in shown
    assert f"{DOGS} queries of {DOGS} individuals never seen, {2 * DOGS} gallery entries" in shown


def test_pictures_are_drawn(results, frames):
    pictures = list_pictures(results.rows[0].first, frames, 2, seed=0)
    assert sorted(pictures) == ["best", "random", "worst"]
    assert len(roc_figure(results).axes[0].lines) == 4


def test_a_score_file_comes_back_and_says_what_is_wrong_with_it(frames, tmp_path):
    made = scores(frames, "good", 2, 0.3, 0.1)
    write_metric_scores(tmp_path, made)
    path = metric_score_file(tmp_path, "dogs", "good", 2)
    before = path.read_bytes()
    write_metric_scores(tmp_path, made)
    assert path.read_bytes() == before
    found = read_metric_scores(tmp_path, "dogs", "good", 2)
    assert found.about == made.about and np.array_equal(found.embeddings, made.embeddings)
    assert np.array_equal(found.validation.precision, made.validation.precision)
    with pytest.raises(DataError, match="dvc repro metric@dogs-other-0"):
        read_metric_scores(tmp_path, "dogs", "other", 0)
    path.rename(metric_score_file(tmp_path, "dogs", "good", 3))
    with pytest.raises(DataError, match="holds good with seed 2 on dogs"):
        read_metric_scores(tmp_path, "dogs", "good", 3)
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match="not a score file"):
        read_metric_scores(tmp_path, "dogs", "good", 2)
