"""What each row costs: read from records and headers that are written here by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from clones import copy_project
from params import one_seed, raw_params
from safetensors.numpy import save_file
from typer.testing import CliRunner

from auxreid.cli import app
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.weights_header import count_parameters
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.report.costs import needs_at_test, parameters_of, read_costs
from auxreid.plumbing.settings.load import parse_config

DATASET, SECOND = "sample_people", 1000
ROWS = ("clip_reid", "keypoints_raw_corrected", "keypoints_raw", "camera_embedding")


def write_record(root: Path, stage: str, key: str, ends: dict[int, float] | None = None, **fields) -> None:
    """A record; ends: when each epoch reported, in seconds."""
    folder = root / f"results/{stage}/{key}/record"
    folder.mkdir(parents=True)
    record = {"stage": stage, "key": key, "dataset": DATASET, "attempt": "a", "status": "finished"}
    record |= {"started": 0, "params": {}, "host": {"name": "box"}} | fields
    (folder / "record.json").write_text(json.dumps(record))
    points = [
        {"name": name, "step": step, "value": 0.1, "time_ms": int(SECOND * end)}
        for step, end in (ends or {}).items()
        for name in ("loss", "triplet")
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))


def write_encoder(root: Path, key: str, **shapes: tuple[int, ...]) -> None:
    path = root / f"results/finetune/{key}/encoder.safetensors"
    save_file({name.replace("__", "."): np.zeros(shape, np.float32) for name, shape in shapes.items()}, path)


@pytest.fixture
def study(tmp_path):
    """Two rows with two seeds, of which one was resumed; a baseline; nothing of the others."""
    raw = raw_params()
    one_seed(raw, ROWS)
    raw["study"] |= {"datasets": [DATASET], "seeds": [0, 1]}
    measured = {"clip_reid": (0.50, 0.52), "keypoints_raw_corrected": (0.515, 0.525), "pretrained": (0.2, 0.2)}
    for row, means in measured.items():
        for seed, mean in enumerate(means):
            key, costs = f"{DATASET}-{row}-{seed}", {"ms_per_image": 2.0 + seed, "vector_width": 96.0}
            write_record(tmp_path, "evaluate", key, summary={"mAP": mean}, costs=costs)
            if row == "pretrained":
                continue
            ends = {0: 30, 1: 40, 2: 50, 3: 3600, 4: 3611}  # the fourth epoch after an hour's break
            more = {"core_seconds": 100.0} if seed == 0 else {"core_seconds": 30.0, "resumed_from_epoch": 3}
            write_record(tmp_path, "finetune", key, ends, **more)
            write_encoder(tmp_path, key, stem__weight=(4, 3, 3, 3), bn__running_mean=(4,), beside__gate=(2,))
    config = parse_config(raw)
    return tmp_path, config, build_graph(config)


def table_of(study):
    root, config, graph = study
    (table,) = read_costs(config, graph, root / "results")
    return table


def test_figures_worked_by_hand(study):
    table = table_of(study)
    found = {line["row"]: line for line in table.frame.to_dict("records")}
    assert list(found) == ["pretrained", "clip_reid", "keypoints_raw_corrected"]  # others are not evaluated
    reference, row = found["clip_reid"], found["keypoints_raw_corrected"]
    assert row["mAP"] == pytest.approx(52.0) and row["gain"] == pytest.approx(1.0)  # +1.5 and +0.5
    assert np.isnan(reference["gain"]) and reference["epoch_seconds"] == pytest.approx(10.5)  # of 10, 10, 3550, 11
    assert reference["epoch_core_seconds"] == pytest.approx((100 / 5 + 30 / 2) / 2)  # of seed 1, two epochs ran here
    assert reference["parameters"] == 4 * 3 * 3 * 3 + 2  # the running mean is none
    assert (reference["ms_per_image"], reference["vector_width"], reference["seeds"]) == (2.5, 96.0, 2)
    assert np.isnan(found["pretrained"]["epoch_seconds"]) and np.isnan(found["pretrained"]["parameters"])


def test_cells_are_short_and_the_notes_name_the_machine(study):
    table = table_of(study)
    lines = dict(zip(table.cells["row"], table.cells.to_dict("records"), strict=True))
    assert lines["keypoints_raw_corrected"] == {
        **{"row": "keypoints_raw_corrected", "needs at test": "a pose", "seeds": "2", "mAP": "52.0", "gain": "+1.0"},
        **{"s / epoch": "10.5", "core s / epoch": "17.5", "parameters": "0.00 M", "ms / image": "2.50", "vector": "96"},
    }
    assert lines["pretrained"]["s / epoch"] == "-" and lines["clip_reid"]["needs at test"] == "nothing"
    assert any("on box" in note for note in table.notes)


def test_what_a_row_needs_at_test(study):
    _, config, graph = study
    entries = {entry["row"]: entry for entry in graph["evaluate"].values()}
    found = {row: needs_at_test(config, entry) for row, entry in entries.items()}
    assert found == {"untrained": [], "pretrained": [], "clip_reid": [], "keypoints_raw": []} | {
        "keypoints_raw_corrected": ["a pose"]
    }
    for row in ("camera_embedding", "camera_centred"):
        assert needs_at_test(config, {"row": row, "pose": "pipeline/nothing/pose.txt"}) == ["the camera"]
    both = {"row": "local_joints_camera_centred", "pose": "keypoints.parquet"}
    assert needs_at_test(config, both) == ["a pose", "the camera"]
    assert needs_at_test(config, {"row": "centred", "pose": "pipeline/nothing/pose.txt"}) == []


def test_descriptors_count_with_the_encoder_that_they_rank(study):
    root, _, _ = study
    entry = {"encoder": f"results/finetune/{DATASET}-clip_reid-0/encoder.safetensors"}
    entry["descriptors"] = "results/descriptors/x/descriptors.safetensors"
    assert parameters_of(entry, root / "results") is None
    (root / "results/descriptors/x").mkdir(parents=True)
    save_file({"whitening": np.zeros((5, 7), np.float32)}, root / entry["descriptors"])
    assert parameters_of(entry, root / "results") == 110 + 35


def test_nothing_evaluated_is_an_error_with_the_command(study):
    _, config, graph = study
    with pytest.raises(DataError, match="no row of the study has been evaluated; make them with: dvc repro"):
        read_costs(config, graph, Path("nowhere/results"))


def test_a_file_without_a_header_has_no_parameters(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"broken.safetensors: not a safetensors file"):
        count_parameters(tmp_path / "broken.safetensors")


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [(["-o", "costs.md"], "# sample_people\n"), (["-o", "c.csv"], "data_set,row,needs,"), ([], "")],
)
def test_the_command_prints_the_table_or_writes_the_format_of_the_file(tmp_path, monkeypatch, arguments, begins):
    copy_project(tmp_path, ("dvc.yaml", "params.yaml", "pipeline/graph.yaml", "pipeline/dvc.yaml"))
    write_record(tmp_path, "evaluate", f"{DATASET}-clip_reid-0", summary={"mAP": 0.5}, costs={"ms_per_image": 2.0})
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["costs", *arguments])
    assert done.exit_code == 0, done.output
    text = Path(arguments[-1]).read_text() if arguments else done.output
    assert text.startswith(begins) and "clip_reid" in text and "2.0" in text and "Best in bold" not in text
