"""The metric rows as stages: the table of runs, what params.yaml may not say, the scripts on a small set of dogs."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
import yaml
from encoder_files import INPUT, write_encoder, write_photos
from params import ROOT, raw_params
from test_models import folder_of, logged, python
from test_registry import versions
from tiny_study import run, run_study
from tracking_workspace import Workspace, all_runs, artifacts, only

from auxreid.attributes.model import AttributeModel, save_model
from auxreid.clip.images import PlainImages
from auxreid.data.frames import FramesMeta, open_frames, write_frames
from auxreid.metric.backbone import open_backbone
from auxreid.metric.checkpoint import MetricHeader, load_metric_model, save_backbone, save_metric_model
from auxreid.metric.features import encode
from auxreid.metric.scores import read_metric_scores
from auxreid.metric.train import MetricModel
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.dvc.lockfile import file_md5
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.registered import registered_metric_row
from auxreid.plumbing.report.page import study_page
from auxreid.plumbing.report.study import read_study
from auxreid.plumbing.settings.load import parse_config
from auxreid.plumbing.settings.study import RegistryConfig
from auxreid.plumbing.stage.record import read_record
from auxreid.serving.metric_encoder import MetricEncoder
from auxreid.serving.photos import open_photos

DATASET, ROWS, SEEDS, SIDE = (
    "sample_dogs",
    ["untouched", "whitening", "subcenter_arcface", "partly_trained"],
    [0, 1],
    32,
)
BACKBONE = {"kind": "timm", "name": "test_resnet", "weights": None, "height": SIDE, "width": SIDE}


def study(rows=None, seeds=SEEDS) -> dict:
    """params.yaml with these metric rows on the sample's dogs, and nothing else to run."""
    raw = raw_params()
    raw["study"] = {"datasets": [DATASET], "seeds": seeds, "rows": [], "metric_rows": rows or ROWS}
    metric = raw["recipes"][DATASET]["metric"]
    metric["features"] |= {"backbone": BACKBONE | {"mean": [0.5] * 3, "std": [0.5] * 3}, "views": 1}
    metric["train"] |= {"folds": 2, "epochs": 2, "identities": 4}
    metric["test"] |= {"cuts": [4, 8], "drawings": 3, "resamplings": 20, "pictures": 2}
    for row in raw["metric_rows"].values():
        row["train"] = {}
    return raw


# the table of runs


def test_features_are_made_once_and_rows_run_with_every_seed():
    graph = build_graph(parse_config(study()))
    assert list(graph["metric_features"]) == [f"{DATASET}-0"]
    assert list(graph["metric"]) == [f"{DATASET}-{row}-{seed}" for seed in SEEDS for row in ROWS]
    one = graph["metric"][f"{DATASET}-whitening-1"]
    assert one["features"] == f"results/metric_features/{DATASET}-0/features.safetensors"
    assert graph["metric_table"][DATASET]["rows"] == ROWS and graph["metric_table"][DATASET]["seeds"] == SEEDS


def test_the_encoder_s_file_is_a_dependency_of_what_reads_it():
    raw = study()
    features = raw["recipes"][DATASET]["metric"]["features"]
    features["backbone"]["weights"] = "weights/one.safetensors"
    graph = build_graph(parse_config(raw))
    assert graph["metric_features"][f"{DATASET}-0"]["backbone"] == "weights/one.safetensors"
    assert graph["metric"][f"{DATASET}-partly_trained-0"]["backbone"] == "weights/one.safetensors"
    assert graph["metric"][f"{DATASET}-untouched-0"]["backbone"] == "pipeline/nothing/weights.txt"
    features["backbone"] = {"kind": "attributes"}
    path = build_graph(parse_config(raw))["metric_features"][f"{DATASET}-0"]["backbone"]
    assert path == f"results/attributes/{DATASET}/model.safetensors"
    raw["study"]["datasets"].append("sample_people")
    features["backbone"] = {"kind": "clip", "dataset": "sample_people"}
    path = build_graph(parse_config(raw))["metric_features"][f"{DATASET}-0"]["backbone"]
    assert path == "results/pretrain/sample_people-0/image.safetensors"


def test_the_project_s_study_has_no_metric_rows_and_all_of_them_without_a_value():
    raw = raw_params()
    assert build_graph(parse_config(raw))["metric"] == {}
    raw["study"]["metric_rows"] = None
    graph = build_graph(parse_config(raw))
    assert {body["row"] for body in graph["metric"].values()} == set(raw["metric_rows"])
    assert {body["dataset"] for body in graph["metric"].values()} == {"sample_dogs"}


# what params.yaml may not say


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("study.metric_rows", ["untouched", "arcfase"], "study.metric_rows: 'arcfase' is not in metric_rows ("),
        ("study.metric_rows", ["arcface"], "study.metric_rows: 'untouched' must be among them"),
        ("study.datasets", ["sample_people"], "study.metric_rows: no recipe of the study's data sets has a metric"),
        ("metric_rows.arcface.loss", "arcfase", "metric_rows.arcface.loss = 'arcfase': Input should be 'whitening',"),
        ("metric_rows.arcface.loss", None, "margin goes with loss unicom or arcface or subcenter_arcface or triplet"),
        ("metric_rows.arcface.margin", None, "margin needs a value with loss unicom or arcface"),
        ("metric_rows.arcface.centers", 2, "centers goes with loss subcenter_arcface, and loss is arcface"),
        ("metric_rows.unicom.share", 0.0, "metric_rows.unicom.share = 0.0: Input should be greater than 0"),
        ("metric_rows.unicom.clusters", 5, "clusters goes with classes 'clusters', and only with them"),
        ("metric_rows.untouched.trained", 0.5, "loss null trains nothing: trained and train have no effect"),
        ("metric_rows.triplet.train", {"lrr": 1.0}, "lrr is no key of a recipe's metric.train (embed_dim, folds,"),
        ("metric_rows.triplet.train", {"lr": -1.0}, "metric_rows.triplet.train (on recipe sample_dogs): lr = -1.0"),
        ("metric_rows.clip_reid", {"loss": "triplet", "margin": 0.3, "classes": "identity"}, "the name is taken by"),
        ("recipes.sample_dogs.metric.train.folds", 1, "folds = 1: Input should be greater than or equal to 2"),
        (
            "recipes.sample_dogs.metric.features.backbone",
            {"kind": "clip", "dataset": "sample_people"},
            "backbone.dataset = 'sample_people': no data set of the study that pre-trains a CLIP; these do: none",
        ),
        ("recipes.sample_dogs.attributes", None, "is of kind attributes, and the recipe has no attributes section"),
    ],
)
def test_a_fault_is_told_in_a_line(path, value, told):
    raw = study()
    if path.endswith("attributes"):
        raw["recipes"][DATASET]["metric"]["features"]["backbone"] = {"kind": "attributes"}
    *above, last = path.split(".")
    block = raw
    for name in above:
        block = block[name]
    block[last] = value
    with pytest.raises(ConfigError) as caught:
        parse_config(raw)
    lines = [line for line in str(caught.value).splitlines() if told in line]
    assert (len(lines) == 1 and lines[0].startswith("params.yaml: ")) or ("on recipe" in told and lines), caught.value


# the scripts


def dogs(path: Path) -> None:
    """Ten dogs, each a colour under noise: six to learn from, four that are asked for; and six unknown images."""
    rng, rows = np.random.default_rng(0), []
    colours = rng.integers(60, 200, (11, 3))
    for dog in range(1, 11):
        splits = ["train"] * 4 if dog <= 6 else ["query", "gallery", "gallery"]
        rows += [{"split": split, "identity": dog, "identity_name": f"dog_{dog}"} for split in splits]
    rows += [{"split": "train", "identity": -1}] * 6
    written = []
    for number, row in enumerate(rows):
        noise = rng.normal(scale=25, size=(SIDE, SIDE, 3))
        pixels = np.clip(colours[max(row["identity"], 0)] + noise, 0, 255).astype(np.uint8)
        image = cv2.imencode(".png", pixels)[1].tobytes()
        written.append(row | {"path": f"{number}.png", "width": SIDE, "height": SIDE, "image": image})
    write_frames(path, written, FramesMeta(DATASET, "dogs", "dogs", "dog"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a study whose metric stages have all run."""
    frames = Path(f"results/ingest/{DATASET}/frames.arrow")
    stages = ("metric_features", "metric", "metric_table")
    return run_study(tmp_path_factory.mktemp("study"), study(), lambda: dogs(frames), stages)


@pytest.fixture
def there(finished, monkeypatch):
    monkeypatch.chdir(finished)
    monkeypatch.setenv("AUXREID_LIVE", "off")
    monkeypatch.syspath_prepend(str(ROOT / "pipeline"))
    return finished


def test_every_output_of_dvc_yaml_is_written(there):
    config = parse_config(study())
    text = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage in ("metric_features", "metric", "metric_table"):
        body = text[stage]["do"]
        outs = [*body["outs"], *body.get("metrics", ()), *(name for plot in body.get("plots", ()) for name in plot)]
        for key, entry in build_graph(config)[stage].items():
            for out in outs:
                for name, value in entry.items():
                    out = out.replace(f"${{item.{name}}}", str(value))
                assert Path(out.replace("${key}", key)).exists(), out


def test_the_record_has_the_row_s_values_and_figures(there):
    record = read_record(Path(f"results/metric/{DATASET}-subcenter_arcface-1/record"))
    assert (record.ablation, record.seed, record.status) == ("subcenter_arcface", 1, "finished")
    assert record.params["metric_rows.subcenter_arcface.centers"] == 3
    assert record.params["recipes.sample_dogs.metric.train.epochs"] == 2
    assert {"mAP", "CMC_1", "val_mAP", "val_mAP_untouched", "epoch", "suspicious_photos"} <= record.summary.keys()
    figures = Path(f"results/metric/{DATASET}-subcenter_arcface-1/record/figures")
    assert (figures / "suspicious_photos.csv").read_text().startswith("path,identity\n")
    metrics = json.loads(Path(f"results/metric/{DATASET}-whitening-0/metrics.json").read_text())
    assert metrics["val_mAP"] >= metrics["val_mAP_untouched"]


def test_the_table_has_a_line_per_row_and_one_is_chosen(there):
    folder = Path(f"results/metric_table/{DATASET}")
    lines = list(csv.DictReader((folder / "table.csv").open()))
    assert [line["row"] for line in lines] == ROWS
    assert [line["chosen"] for line in lines].count("yes") == 1
    assert all(line["seeds"] == "2" and line["mAP_first_4"] for line in lines)
    assert "4 queries of 4 individuals never seen" in (folder / "table.md").read_text()
    pictures = {path.name for path in (folder / "record/figures/ranked_lists").iterdir()}
    assert {"untouched_best.jpg", "untouched_worst.jpg", "untouched_random.jpg"} <= pictures
    assert (folder / "record/figures/roc.png").is_file()


def test_the_study_s_page_has_the_tables_the_curve_and_the_lists(there):
    config = parse_config(study())
    (part,) = read_study(config, build_graph(config)).parts
    ranking, open_set = part.metric
    assert list(ranking.cells)[:3] == ["row", "remark", "validation mAP"] and list(ranking.cells["row"]) == ROWS
    assert list(open_set.cells["row"]) == ROWS and "4 queries of 4 individuals never seen" in open_set.notes[0]
    assert [picture.path.name for picture in part.pictures] == ["roc.png"] and len(part.lists) >= 2
    assert part.parameters["metric row whitening"]["metric_rows.whitening.loss"] == "whitening"
    assert "<h3>Metric rows</h3>" in study_page(read_study(config, build_graph(config)))


@pytest.mark.parametrize("row", ["whitening", "partly_trained"])
def test_a_model_s_file_gives_the_embeddings_that_were_ranked(there, row):
    scores = read_metric_scores(Path("results"), DATASET, row, 0)
    frames = open_frames(f"results/ingest/{DATASET}/frames.arrow").take(scores.frame_id)
    path = Path(f"results/metric/{DATASET}-{row}-0/model.safetensors")
    model, taken = load_metric_model(path)
    if row == "partly_trained":
        images = PlainImages(frames, taken.height, taken.width)
        made = encode(model, images, np.arange(len(frames)).tolist(), taken)
        assert torch.allclose(made, torch.from_numpy(scores.embeddings), atol=1e-4)
    assert model.projection.weight.shape[0] == scores.embeddings.shape[1]
    broken = Path("broken.safetensors")
    broken.write_bytes(b"no model")
    with pytest.raises(DataError, match=r"broken.safetensors: not a metric model"):
        load_metric_model(broken)
    with pytest.raises(DataError, match=r"none.safetensors: no such file"):
        load_metric_model(Path("none.safetensors"))


def test_a_row_again_gives_equal_bytes(there):
    path = Path(f"results/metric_scores/{DATASET}/subcenter_arcface-1.safetensors")
    before = path.read_bytes()
    run("metric", f"{DATASET}-subcenter_arcface-1")
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["timm", "clip", "attributes"])
def test_a_model_and_a_copy_of_its_encoder_are_enough_whatever_it_is(tmp_path, kind):
    photos, source = open_photos(write_photos(tmp_path / "photos")), tmp_path / "source.safetensors"
    torch.manual_seed(3)
    network = timm.create_model("test_resnet", num_classes=0)
    settings = {"kind": kind}
    if kind == "timm":
        source = source.with_suffix(".pth")
        torch.save({"state_dict": network.state_dict()}, source)
        settings = BACKBONE | {"weights": str(source), "mean": [0.5] * 3, "std": [0.5] * 3}
    elif kind == "clip":
        write_encoder(source)
        settings["dataset"] = "sample_people"
    else:
        save_model(source, AttributeModel(network, {"coat": ["red", "blue"]}), "test_resnet", INPUT)
    backbone, taken = open_backbone(MetricHeader(backbone=settings).backbone, source)
    images = PlainImages(photos, taken.height, taken.width)
    expected = encode(backbone, images, list(range(len(photos))), taken).numpy()
    model = MetricModel(torch.eye(expected.shape[1]))
    save_metric_model(tmp_path / "model.safetensors", model, MetricHeader(backbone=settings).backbone)
    save_backbone(settings, source, tmp_path / "backbone.safetensors")
    source.unlink()
    made = MetricEncoder(tmp_path / "model.safetensors", tmp_path / "backbone.safetensors").embed(photos)
    assert np.allclose(made, expected, atol=1e-6)


# in MLflow


RULE = RegistryConfig()
LOAD = """
import json, sys, mlflow.pyfunc, numpy
places, found = sys.argv[3:], {}
for row, place in json.loads(sys.argv[2]).items():
    model = mlflow.pyfunc.load_model(place)
    found[row] = model.predict(places)
    assert model.predict(model.input_example).shape == (1, found[row].shape[1])
numpy.savez(sys.argv[1], bytes=model.predict([open(place, "rb").read() for place in places]), **found)
for bad in (["none.png"], [b"text", b""], [open(places[0], "rb").read()[:60]]):
    try:
        model.predict([places[0], *bad])
    except Exception as error:
        print(type(error).__name__, error)
"""


def lock_study(work: Workspace) -> None:
    """dvc.lock as `dvc repro` leaves it, as far as MLflow's side reads it."""
    for key in (folder.name for folder in (work.root / "results/metric_features").iterdir()):
        file = f"results/metric_features/{key}/features.safetensors"
        md5 = file_md5(work.root / file)
        work.lock_stage("metric_features", key, data={f"results/ingest/{DATASET}/frames.arrow": "f" * 32})
        work.lock[f"metric_features@{key}"]["outs"].append({"path": file, "hash": "md5", "md5": md5, "size": 7})
    for row in (folder.name for folder in (work.root / "results/metric").iterdir()):
        work.lock_stage("metric", row, data={file: md5})
    work.lock_stage("metric_table", DATASET)


@pytest.fixture(scope="module")
def published(finished, tmp_path_factory, empty_database):
    """The finished study with its MLflow, and what publish said."""
    work = Workspace(tmp_path_factory.mktemp("published"), empty_database, DATASET)
    shutil.copytree(finished / "results", work.root / "results")
    lock_study(work)
    return work, publish(work.root, registry=RULE)


def chosen_row(work: Workspace) -> str:
    lines = csv.DictReader((work.root / f"results/metric_table/{DATASET}/table.csv").open())
    return next(line["row"] for line in lines if line["chosen"])


def test_every_row_and_seed_is_a_run_that_takes_no_part_in_the_comparison(published):
    work, report = published
    assert report.skipped == [] and len(report.modelled) == len(ROWS) * len(SEEDS)
    client, runs = all_runs(work)
    run = only(runs, "metric subcenter_arcface-1")
    assert run.data.params["metric_row"] == "subcenter_arcface" and run.data.params["metric_row.centers"] == "3"
    assert {"mAP", "val_mAP", "suspicious_photos", "metric/val_mAP"} <= run.data.metrics.keys()
    assert "auxreid.ablation" not in run.data.tags and run.data.tags["auxreid.metric_row"] == "subcenter_arcface"
    assert set(artifacts(run)) == {"figures/suspicious_photos.csv"}  # the weights are its model's
    table = artifacts(only(runs, f"metric_table {DATASET}"))
    assert {"outputs/table.csv", "outputs/table.md", "figures/roc.png"} <= set(table)
    tags = client.get_experiment_by_name(DATASET).tags
    assert {tag for tag in tags if tag.startswith("mlflow.sharedViewState")} == {"mlflow.sharedViewState.metric"}
    assert publish(work.root, registry=RULE).modelled == []


def test_a_fresh_process_gets_the_embeddings_that_were_ranked_and_needs_no_other_file(published, tmp_path):
    work, _ = published
    scores = {row: read_metric_scores(work.root / "results", DATASET, row, 0) for row in ROWS}
    frames = open_frames(work.root / f"results/ingest/{DATASET}/frames.arrow").take(scores["untouched"].frame_id)
    photos = [tmp_path / f"{number}.png" for number in range(len(frames))]
    for number, photo in enumerate(photos):
        cv2.imwrite(str(photo), cv2.cvtColor(frames.image(number), cv2.COLOR_RGB2BGR))
    models = logged(work)
    places = {row: f"models:/{models[f'metric {row}-0'].model_id}" for row in ROWS}
    hidden = work.root / "results"
    hidden.rename(tmp_path / "results")
    try:
        said = python(work, LOAD, tmp_path / "found.npz", json.dumps(places), *photos)
    finally:
        (tmp_path / "results").rename(hidden)
    found = dict(np.load(tmp_path / "found.npz"))
    assert np.array_equal(found.pop("bytes"), found[ROWS[-1]])
    for row, embeddings in found.items():
        assert embeddings.dtype == np.float32 and np.allclose(embeddings, scores[row].embeddings, atol=1e-5), row
    assert "1 of 2 images cannot be used: none.png (cannot be read: No such file" in said
    assert "2 of 3 images cannot be used: image 1 (does not decode: not in any image format" in said
    assert "image 1 (does not decode: image file is truncated" in said
    kept = {path.suffix for path in folder_of(models["metric untouched-0"]).iterdir()}
    assert kept <= {".safetensors", ".py", ".txt", ".yaml", ".json", ""}  # nothing is pickled


def test_the_row_that_validation_chose_is_registered_whatever_the_test_says(published):
    work, report = published
    (line,) = report.registered
    row = chosen_row(work)
    gains = {}
    for seed in SEEDS:
        summary = read_record(work.root / f"results/metric/{DATASET}-{row}-{seed}/record").summary
        gains[seed] = summary["val_mAP"] - summary["val_mAP_untouched"]
    best = max(SEEDS, key=lambda seed: (gains[seed], -seed))
    assert line.startswith(f"{DATASET}-metric@best is version 1 (new): metric {row}-{best}, chosen by validation")
    found = registered_metric_row(work.root, RULE, DATASET)
    assert (found.row, found.seed, found.is_metric, found.backbone.is_file()) == (row, best, True, True)
    path = work.root / f"results/metric_table/{DATASET}/record/record.json"
    record = json.loads(path.read_text())
    record["summary"] |= {f"{name}.chosen": float(name == "partly_trained") for name in ROWS}
    record["summary"] |= {f"{name}.mAP": float(name != "partly_trained") for name in ROWS}
    record["params"]["rows"] = [name for name in ROWS if name != "whitening"]  # it has left the study
    path.write_text(json.dumps(record))
    lock_study(work)
    report = publish(work.root, registry=RULE)
    assert "version 2 (new): metric partly_trained-" in report.registered[0]
    gone = {label.split()[1] for label in report.superseded if "metric_table" not in label}
    assert gone == {f"whitening-{seed}" for seed in SEEDS}
    assert [aliases for _, _, aliases in versions(work, f"{DATASET}-metric")] == [[], ["best"]]
    file = work.root / f"results/metric/{DATASET}-partly_trained-0/model.safetensors"
    file.rename(file.with_suffix(".away"))
    (line,) = publish(work.root, registry=RULE).registered
    assert line.endswith(f"stays as it is while results are missing: metric@{DATASET}-partly_trained-0")
    file.with_suffix(".away").rename(file)
