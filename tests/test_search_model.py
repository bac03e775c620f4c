"""The search in MLflow: its run, and a model that answers in a fresh process without the study's files."""

import json
import shutil

import numpy as np
import pytest
from params import ROOT
from search_study import DATASET, search_params, write_inputs
from test_models import folder_of, logged, python
from test_registry import versions
from tiny_study import run, write_study
from tracking_workspace import Workspace, all_runs, artifacts, only

from auxreid.data.frames import open_frames
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.settings.study import RegistryConfig

RULE = RegistryConfig()
LOAD = """
import json, sys, mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
photo, other = (open(path, "rb").read() for path in sys.argv[2:])
table = pandas.DataFrame(
    {
        "image": [photo, other, b"", photo],
        "text": [None, None, "a small dog", "маленькая"],
        "stated": [None, None, '{"ears": {"excluded": ["drop"]}}', None],
        "query": ["a", "a", "b", "c"],
    }
)
found = model.predict(table)
print(json.dumps({"table": found.to_dict("list"), "example": len(model.predict(model.input_example))}))
for bad in (
    {"stated": ["small"]}, {"stated": ['{"ears": "drop"}']}, {"text": ["nothing of that"]}, {"image": [b"text"]}
):
    try:
        model.predict(pandas.DataFrame(bad))
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory, empty_database):
    """A study whose search is built, with its MLflow, and what publish said."""
    work = Workspace(tmp_path_factory.mktemp("published"), empty_database, DATASET)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work.root)
        patch.setenv("AUXREID_LIVE", "off")
        patch.syspath_prepend(str(ROOT / "pipeline"))
        (work.root / "pipeline").mkdir()
        config = write_study(search_params())
        write_inputs()
        for stage in ("metric_features", "metric", "index", "search"):
            for key in build_graph(config)[stage]:
                run(stage, key)
    for stage, key in (("index", f"{DATASET}-0"), ("search", DATASET)):
        work.lock_stage(stage, key)
    return work, publish(work.root, registry=RULE)


def test_the_search_is_a_run_with_its_table_and_figures_and_a_registered_model(published):
    work, report = published
    assert {name.split()[0] for name, _ in report.skipped} == {"metric", "metric_features"}  # not in dvc.lock here
    assert len(report.modelled) == 1
    _, runs = all_runs(work)
    found = only(runs, f"search {DATASET}")
    assert "fusion.mAP" in found.data.metrics and "auxreid.ablation" not in found.data.tags
    assert {"outputs/table.csv", "outputs/table.md", "figures/strangers.png"} <= set(artifacts(found))
    assert "photographs" in only(runs, f"index {DATASET}-0").data.metrics
    (line,) = report.registered
    assert line.startswith(f"{DATASET}-search@best is version 1 (new)")
    assert [aliases for _, _, aliases in versions(work, f"{DATASET}-search")] == [["best"]]
    again = publish(work.root, registry=RULE)
    assert again.modelled == [] and "unchanged" in again.registered[0]


def test_a_fresh_process_searches_and_needs_no_other_file(published, tmp_path):
    work, _ = published
    frames = open_frames(work.root / f"results/ingest/{DATASET}/frames.arrow")
    photos = [tmp_path / f"{number}.png" for number in range(2)]
    for number, photo in enumerate(photos):
        photo.write_bytes(bytes(frames.image_bytes(number)))  # of one dog
    model = logged(work)[f"search {DATASET}"]
    hidden = shutil.move(work.root / "results", tmp_path / "results")
    try:
        said = python(work, LOAD, f"models:/{model.model_id}", *photos)
    finally:
        shutil.move(hidden, work.root / "results")
    line = next(one for one in said.splitlines() if one.startswith("{"))
    table = json.loads(line)["table"]
    assert table["query"] == ["a", "b", "c"] and table["dog"][0] == "dog_1"
    answers = [json.loads(one) for one in table["answer"]]
    assert answers[1]["stated"] == {"size": ["small"], "ears": ["erect"]} and answers[1]["predicted"] == {}
    assert answers[2]["stated"] == {"size": ["small"]} and np.isclose(answers[0]["dogs"][0]["score"], table["score"][0])
    assert json.loads(line)["example"] == 1
    assert "stated: 'small': JSON is needed" in said and 'stated: \'{"ears": "drop"}\': JSON is needed' in said
    assert "nothing to search by" in said and "image 0 (does not decode" in said
    kept = {path.suffix for path in folder_of(model).iterdir()}
    assert kept <= {".safetensors", ".py", ".txt", ".yaml", ".json", ".parquet", ""}  # nothing is pickled
