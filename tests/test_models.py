"""Trained networks as MLflow models: what a run has of them, what a fresh process gets, and what a kill leaves."""

import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import mlflow.pyfunc
import numpy as np
import pandas
import pytest
import timm
import yaml
from encoder_files import INPUT, write_encoder, write_idea_encoder, write_photos
from mlflow.exceptions import MlflowException
from mlflow_server import free_port
from params import ROOT
from test_mirror import Stopped, StoppingClient
from test_registry import versions
from tracking_workspace import all_runs, artifacts, files_below, only
from waiting import wait_until

from auxreid.attributes.model import AttributeModel, load_model, save_model
from auxreid.attributes.predict import predict
from auxreid.plumbing.base.weights_header import read_header
from auxreid.plumbing.mirror import models
from auxreid.plumbing.mirror import publish as mirror
from auxreid.plumbing.mirror.model_files import KINDS, PACKAGES, Weights
from auxreid.plumbing.mirror.publish import format_report, publish
from auxreid.plumbing.mirror.store import Store, open_store, tracking_uri
from auxreid.plumbing.settings.study import RegistryConfig
from auxreid.serving.embedding import embed_images
from auxreid.serving.photos import open_photos

RULE = RegistryConfig()
VOCABULARY = {"color": ["red", "blue"], "shape": ["disc", "bar", "ring"]}
FILES = {"MLmodel", "encoder.safetensors", "encoder_model.py", "requirements.txt", "python_env.yaml"}
FILES |= {"input_example.json", "serving_input_example.json"}


def trained_row(work, ablation="clip_reid", lr=0.1, source=None) -> Path:
    """A row whose encoder can be loaded; returns its file."""
    work.row(ablation, lr)
    folder = work.root / f"results/finetune/sample-{ablation}-0"
    return write_encoder(folder / "encoder.safetensors", source, seed=int(100 * lr))


def logged(work):
    """The models of the store, by the names of their runs, which must be different."""
    store = open_store(work.root)
    found = store.client.search_logged_models([store.experiment(work.dataset)])
    named = {store.client.get_run(model.source_run_id).info.run_name: model for model in found}
    assert len(named) == len(found)
    return named


def folder_of(model) -> Path:
    return Path(urlparse(model.artifact_location).path)


def described(work) -> dict:
    """All that a store has of its models, without the ids that MLflow chooses."""
    runs = {run.info.run_name: run for run in all_runs(work)[1]}
    shown = {}
    for name, model in logged(work).items():
        texts = {
            path: data.decode(errors="replace").replace(model.model_id, "MODEL").replace(model.source_run_id, "RUN")
            for path, data in files_below(folder_of(model)).items()
            if not path.startswith(".artifact.uploading.")
        }
        linked = [one.model_id == model.model_id for one in runs[name].outputs.model_outputs]
        shown[name] = (model.name, str(model.status), dict(model.tags), texts, linked)
    return shown


def written(work) -> dict[Path, int]:
    """When each file of the store was written."""
    return {path: path.stat().st_mtime_ns for path in work.root.glob("mlruns/artifacts/**/*")}


def python(work, program: str, *arguments: object) -> str:
    """What a process prints that has nothing of ours but the package, in another folder."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking_uri(work.root), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=work.root.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_run_of_a_row_has_its_encoder_as_a_model_and_once(work):
    file = trained_row(work)
    report = publish(work.root, registry=RULE)
    assert "models made or mended: sample/clip_reid-0" in format_report(report)
    run, model = only(all_runs(work)[1], "clip_reid-0"), logged(work)["clip_reid-0"]
    assert (model.name, str(model.status), model.source_run_id) == ("encoder", "READY", run.info.run_id)
    assert model.tags["auxreid.result"] == run.data.tags["auxreid.result"]
    assert [one.model_id for one in run.outputs.model_outputs] == [model.model_id]
    assert set(artifacts(run)) == {"figures/projector.png", "ranked_lists/best.png"}
    files = files_below(folder_of(model))
    assert set(files) == FILES and files["encoder.safetensors"] == file.read_bytes()
    flavor = yaml.safe_load(files["MLmodel"])["flavors"]["python_function"]
    assert (flavor["model_code_path"], "python_model" in flavor) == ("encoder_model.py", False)  # nothing is pickled
    pins = dict(line.split("==") for line in files["requirements.txt"].decode().splitlines())
    assert set(pins) == set(PACKAGES) and pins["torch"] == "2.14.1"  # as the record says
    assert len(list(work.root.glob("mlruns/**/encoder.safetensors"))) == 1


def test_publishing_again_changes_nothing(work):
    trained_row(work)
    publish(work.root, registry=RULE)
    before = described(work), written(work)
    report = publish(work.root, registry=RULE)
    assert report.modelled == [] and "(unchanged)" in report.registered[0]
    assert (described(work), written(work)) == before


LOAD = """
import sys, mlflow.pyfunc, numpy, pandas
model, places = mlflow.pyfunc.load_model("models:/sample-encoder@best"), sys.argv[2:]
contents = [open(place, "rb").read() for place in places]
asked = [places, contents, pandas.DataFrame({"image": places}), pandas.Series(contents), numpy.array(places)]
numpy.savez(sys.argv[1], *map(model.predict, asked), example=model.predict(model.input_example))
try:
    model.predict([places[0], b"text"])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_fresh_process_gets_evaluates_embeddings(work, tmp_path_factory):
    file, folder = trained_row(work), tmp_path_factory.mktemp("photos")
    photos = write_photos(folder)
    publish(work.root, registry=RULE)
    said = python(work, LOAD, folder / "found.npz", *photos)
    assert "1 of 2 images cannot be used: image 1 (does not decode" in said
    found = dict(np.load(folder / "found.npz"))
    assert found.pop("example").shape == (1, 136)
    assert len(found) == 5
    assert publish(work.root, registry=RULE).modelled == []  # though MLflow has put a file of its own into the folder
    for embedding in found.values():
        assert embedding.dtype == np.float32 and np.array_equal(embedding, embed_images(file, photos))


@pytest.mark.slow
def test_a_served_model_answers_over_http_and_reads_no_files_of_its_machine(work, tmp_path_factory):
    file, folder = trained_row(work), tmp_path_factory.mktemp("photos")
    photos = write_photos(folder)
    publish(work.root, registry=RULE)
    port, log = free_port(), (folder / "log").open("w")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/sample-encoder@best"]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking_uri(work.root), "PYTHONPATH": str(ROOT / "src")}
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)

    def ask(body) -> tuple[int, dict]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def answers() -> bool:
        assert server.poll() is None, (folder / "log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    try:
        wait_until(answers, pause=0.2)
        texts = [base64.b64encode(path.read_bytes()).decode() for path in photos]
        table = {"columns": ["image"], "data": [[text] for text in texts]}
        for body in ({"dataframe_split": table}, {"inputs": texts}):
            status, answer = ask(body)
            assert status == 200
            assert np.array_equal(np.array(answer["predictions"], np.float32), embed_images(file, photos))
        for body in ({"inputs": [str(photos[0])]}, {"inputs": ["dGV4dA=="]}):  # a path; "text" in base64
            status, answer = ask(body)
            assert status == 400 and "image 0 (does not decode: not in any image format" in answer["message"]
    finally:
        os.killpg(server.pid, 15)
        server.wait()
        log.close()


@pytest.mark.parametrize(
    ("kind", "asked"), [("gated_fusion", {"pose": (2, [[4.0, 4.0, 0.5]] * 3)}), ("later_fusion", {})]
)
def test_a_row_whose_idea_ranks_asks_for_its_joints(tmp_path, kind, asked):
    """Of one that only another version knows nothing is known; its model says so when it is loaded."""
    header = read_header(write_idea_encoder(tmp_path / "encoder.safetensors"))
    header["auxiliary"]["config"]["kind"] = kind
    assert Weights(tmp_path, KINDS["finetune"], header, "32-true").columns() == asked


def test_rows_with_a_pose_and_attributes_say_in_their_signature_what_they_take(work, monkeypatch, tmp_path_factory):
    file, photos = trained_row(work, source="keypoints"), write_photos(tmp_path_factory.mktemp("photos"))
    out = work.stage("attributes", "sample", artifacts=["model.safetensors"])
    made = AttributeModel(timm.create_model("test_resnet", num_classes=0), VOCABULARY)
    made.calibration.temperatures = dict.fromkeys(VOCABULARY, 0.5)
    save_model(out / "model.safetensors", made, "test_resnet", INPUT)
    report = publish(work.root, registry=RULE)
    assert "sample-attributes@best is version 1 (new)" in report.registered
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(work.root))

    model = mlflow.pyfunc.load_model("models:/sample-encoder@best")
    assert model.metadata.get_input_schema().input_names() == ["image", "pose"]
    joints = np.full((len(photos), 3, 2), 5.0)
    table = {"image": [path.read_bytes() for path in photos], "pose": joints.tolist()}
    found = model.predict(pandas.DataFrame(table))
    assert np.array_equal(found, embed_images(file, photos, pose=joints))
    assert model.predict(model.input_example).shape == (1, 136)

    model = mlflow.pyfunc.load_model("models:/sample-attributes@best")
    found = model.predict([str(path) for path in photos])
    network, spec = load_model(out / "model.safetensors")
    for name, expected in predict(network, open_photos(photos), spec).items():
        words = VOCABULARY[name]
        assert found[name].tolist() == [words[place] for place in expected.argmax(axis=1)]
        assert np.array_equal(found[[f"{name}={word}" for word in words]].to_numpy(np.float32), expected)
    assert list(model.metadata.get_output_schema().input_names()) == list(found.columns)
    assert model.predict(model.input_example).shape == (1, 7)
    with pytest.raises(MlflowException, match=r"1 of 2 images cannot be used: image 1 \(does not decode"):
        model.predict([photos[0].read_bytes(), photos[1].read_bytes()[:60]])


def test_a_publish_that_stops_after_any_call_for_a_model_is_completed_by_the_next(work, clone, monkeypatch):
    trained_row(work)
    client = StoppingClient(open_store(work.root).client, 10_000)
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "open_store", lambda root, uri: Store(client, tracking_uri(root, uri)))
        publish(work.root, registry=RULE)
    calls, wanted, registered = 10_000 - client.left, described(work), versions(work)
    before, left_out = True, -1
    while before:  # back to the first call for the model, in steps that meet the calls of different files
        left_out += 2
        other = clone()
        stopping = StoppingClient(open_store(other.root).client, calls - left_out)
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "open_store", lambda root, uri, it=stopping: Store(it, tracking_uri(root, uri)))
            with pytest.raises(Stopped):
                publish(other.root, registry=RULE)
        before = len(described(other)) == 1
        publish(other.root, registry=RULE)
        assert (described(other), versions(other)) == (wanted, registered), f"stopped {left_out} calls before the end"
    assert left_out > 9  # several of them were stopped within the model


def test_what_is_lost_or_cut_off_is_mended_and_a_deleted_model_made_and_registered_anew(work):
    trained_row(work)
    publish(work.root, registry=RULE)
    wanted, model = described(work), logged(work)["clip_reid-0"]
    folder, client = folder_of(model), open_store(work.root).client
    (folder / "encoder.safetensors").write_bytes(b"cut off")
    (folder / "MLmodel").unlink()
    assert publish(work.root, registry=RULE).modelled == ["sample/clip_reid-0"]
    assert described(work) == wanted
    shutil.rmtree(folder)
    assert publish(work.root, registry=RULE).modelled == ["sample/clip_reid-0"]
    assert described(work) == wanted and versions(work) == [(1, "clip_reid-0", ["best"])]
    client.delete_logged_model(model.model_id)
    assert publish(work.root, registry=RULE).modelled == ["sample/clip_reid-0"]
    assert logged(work)["clip_reid-0"].model_id != model.model_id
    assert versions(work) == [(1, "clip_reid-0", []), (2, "clip_reid-0", ["best"])]


def test_a_store_from_before_there_were_models_gets_them(work, monkeypatch):
    trained_row(work)
    with monkeypatch.context() as patch:
        patch.setattr(models, "weights_of", lambda result: None)
        publish(work.root, registry=RULE)
    assert "encoder/encoder.safetensors" in artifacts(only(all_runs(work)[1], "clip_reid-0"))
    report = publish(work.root, registry=RULE)
    assert (report.modelled, len(report.unchanged)) == (["sample/clip_reid-0"], 2)
    assert versions(work) == [(1, "clip_reid-0", []), (2, "clip_reid-0", ["best"])]


def test_a_file_that_vanishes_while_it_is_sent_leaves_its_model_to_the_next_publish(work, monkeypatch):
    file = trained_row(work)
    content = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(models, "write_files", lambda *_: file.unlink() or [])
        report = publish(work.root, registry=RULE)
    assert [stage for stage, _ in report.skipped] == ["evaluate@sample-clip_reid-0"]
    assert "encoder.safetensors was removed while it was sent to MLflow" in report.skipped[0][1]
    file.write_bytes(content)
    assert publish(work.root, registry=RULE).modelled == ["sample/clip_reid-0"]
    assert str(logged(work)["clip_reid-0"].status) == "READY"
