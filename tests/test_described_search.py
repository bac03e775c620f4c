"""A search by a row that ranks another row's encoder: its networks' files, joints of photographs, the index."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import torch
from joint_study import CLASSES, JOINTS, joint_frames, tower
from mlflow.exceptions import MlflowException
from params import ROOT
from search_study import DATASET, write_inputs
from small_frames import noise
from test_models import folder_of, logged
from test_search_text import ROW, chain_params, search_of, write_towers
from tiny_study import run, write_study
from tracking_workspace import Workspace

from auxreid.clip.checkpoints import load_image_encoder
from auxreid.data.frames import open_frames
from auxreid.descriptors.file import write_descriptors
from auxreid.descriptors.fit import Descriptors, fit_descriptors
from auxreid.descriptors.header import DescriptorsHeader, weights_hash
from auxreid.lostpets.engine import Engine
from auxreid.lostpets.looker import Looker
from auxreid.lostpets.memory import MemoryBase
from auxreid.lostpets.query import Query
from auxreid.lostpets.study import open_made
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.table import build_graph
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.mirror.store import tracking_uri
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.pose.predict import Poses
from auxreid.pose.table import write_keypoints
from auxreid.search import described
from auxreid.search.described import Described
from auxreid.search.networks import Files
from auxreid.search.rows import read_rows, rows_file

WHITENED = {"pools": "global", "maps": [], "whiten_global": True, "mirror": False}


class KnownJoints:
    """In the place of an HRNet: joints that follow from the picture's size alone."""

    spec = SimpleNamespace(joints=JOINTS)

    def __init__(self, path: Path):
        self.path = path

    @contextmanager
    def table(self, frames):
        write_keypoints(self.path, JOINTS, [(np.arange(len(frames)), Poses(joints(frames.size), zeros(len(frames))))])
        yield self.path


class Shown(list):
    """Images, read like frames."""

    def image(self, index: int) -> np.ndarray:
        return self[index]


def joints(size: np.ndarray) -> np.ndarray:
    places = np.array([[0.5, 0.1, 0.9], [0.2, 0.6, 0.5], [0.8, 0.6, 0.7]], np.float32)
    return np.concatenate([places[:, :2] * size[:, None], np.broadcast_to(places[:, 2:], (len(size), 3, 1))], axis=2)


def zeros(count: int) -> np.ndarray:
    return np.zeros((count, len(JOINTS) * 32), np.float32)


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """A tower, and a function that fits a `rank` to it and gives the file."""
    monkeypatch.setattr(described, "JointFinder", KnownJoints)
    data, encoder = joint_frames(tmp_path), tower()

    def fit(**rank) -> Path:
        config = RankConfig(**{"maps": ("middle",), "whiten_global": True, "mirror": False} | rank)
        path = tmp_path / "descriptors.safetensors"
        write_descriptors(path, fit_descriptors(config, encoder, None, data[0], CLASSES, data[1], "32-true", 0))
        return path

    return encoder, fit


def test_joints_of_photographs_are_found_and_vectors_have_unit_length(fitted, tmp_path):
    encoder, fit = fitted
    images = Shown([noise(1, 40, 60), noise(2, 32, 64)])
    searched = Described(encoder, None, fit(pools="joints", sigma=0.1), tmp_path / "found.parquet")
    found = searched.embed(images, range(2))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    pictures = described.Pictures(images, range(2))
    with KnownJoints(tmp_path / "again.parquet").table(pictures) as table:
        expected = searched.descriptors.embed(encoder, None, pictures, table)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    assert lengths.std() < 1e-5  # so that cosines rank as distances do
    np.testing.assert_allclose(found, expected / lengths, atol=1e-6)
    np.testing.assert_allclose(searched.embed(images, [1]), found[1:], atol=1e-5)


def test_an_hrnet_is_needed_for_joints_alone(fitted, tmp_path, monkeypatch):
    encoder, fit = fitted
    for rank in ({"pools": "stripes", "count": 2}, {"pools": "mean_joints", "sigma": 0.1}):
        assert Described(encoder, None, fit(**rank), None).embed(Shown([noise(1, 32, 64)]), [0]).shape[0] == 1
    file = fit(pools="joints", sigma=0.1)
    with pytest.raises(ConfigError, match=r"descriptors\.safetensors: lies at joints, and there is no HRNet"):
        Described(encoder, None, file, None)
    with pytest.raises(DataError, match=r"descriptors\.safetensors: .*fitted to another encoder"):
        Described(tower(1), None, file, tmp_path / "found.parquet")
    monkeypatch.setattr(KnownJoints, "spec", SimpleNamespace(joints=("nose", "neck", "tail")))
    with pytest.raises(DataError, match=r"found\.parquet: has the joints nose, neck, tail; trained with"):
        Described(encoder, None, file, tmp_path / "found.parquet")
    with pytest.raises(DataError, match="a control, with the joints of other images"):
        Described(encoder, None, fit(pools="other_joints", sigma=0.1), tmp_path / "found.parquet")


def test_networks_are_told_apart_by_their_descriptors_and_hrnet(tmp_path):
    for name in "abcd":
        (tmp_path / name).write_text(name)
    plain = Files(tmp_path / "a", False, tmp_path / "b")
    ranked = replace(plain, descriptors=tmp_path / "c", hrnet=tmp_path / "d")
    hashes = {plain.hash(), ranked.hash(), replace(ranked, hrnet=None).hash(), replace(ranked, descriptors=None).hash()}
    assert len(hashes) == 4
    assert Files.read(ranked.described()) == ranked and Files.read(plain.described()) == plain
    before = {name: value for name, value in plain.described().items() if name not in ("descriptors", "hrnet")}
    assert Files.read(before) == plain  # as an index says that was made before there were any
    with pytest.raises(DataError, match="no such file, the hrnet of a search"):
        (tmp_path / "d").unlink()
        Files.found(ranked.described(), Path(), plain.hash())


@pytest.fixture
def white(tmp_path, monkeypatch):
    """A study whose search is by a row that ranks an untrained one's last four numbers, up to its stages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUXREID_LIVE", "off")
    monkeypatch.syspath_prepend(str(ROOT / "pipeline"))
    params = chain_params()
    params["ablations"]["white"] = {"form": "added", "prompts": None, "encoder_of": ROW, "rank": WHITENED}
    params["study"]["rows"].append("white")
    params["recipes"]["sample_dogs_reid"]["search"]["embedding"]["row"] = "white"
    config = write_study(params)
    write_inputs()
    write_towers(config)
    encoder = load_image_encoder(f"results/finetune/{DATASET}-{ROW}-0/encoder.safetensors")
    width = encoder.dims[1] + encoder.dims[2]
    rank = RankConfig.model_validate(WHITENED | {"maps": ()})
    header = DescriptorsHeader(rank=rank, encoder=weights_hash(encoder), joints=(), facts={"seed": 0})
    only_last = torch.eye(width)[:, -4:].contiguous()  # of f3
    tensors = {"global.whitening": only_last, "global.scale": torch.tensor(3.0)}
    write_descriptors(
        Path(f"results/descriptors/{DATASET}-white-0/descriptors.safetensors"), Descriptors(header, tensors)
    )
    return config


def test_the_index_is_by_the_row_s_descriptors_and_compares_no_texts(white):
    (key,) = build_graph(white)["index"]
    run("index", key)
    rows = read_rows(rows_file(Path("results"), DATASET, 0))
    assert rows.header.dimensions == 4 and rows.header.model_name == f"white of {DATASET}, seed 0"
    np.testing.assert_allclose(np.linalg.norm(rows.looks.embedding, axis=1), 1, atol=1e-5)
    files = Files.read(rows.header.encoder)
    assert files.descriptors.parent.name == f"{DATASET}-white-0" and files.hrnet is None and files.text is None


def test_the_search_in_mlflow_is_by_the_descriptors_and_needs_no_file_of_the_study(white, empty_database, monkeypatch):
    work = Workspace(Path.cwd(), empty_database, DATASET)
    search_of(white)
    made = open_made()
    frames = open_frames(f"results/ingest/{DATASET}/frames.arrow")
    photos = [bytes(frames.image_bytes(number)) for number in (0, 40)]
    assert made.fusion.about["no_text"] == "the embedding is by descriptors, which were trained with no text"
    engine = Engine(Looker(made.files), MemoryBase(made.rows), made.fusion)
    expected = [engine.search(Query((photo,))).dogs for photo in photos]
    for stage, key in (("index", f"{DATASET}-0"), ("search", DATASET)):
        work.lock_stage(stage, key)
    publish(work.root)
    model = logged(work)[f"search {DATASET}"]
    assert (folder_of(model) / "descriptors.safetensors").is_file()
    for folder in ("results", "params.yaml"):
        Path(folder).rename(f"{folder} elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(work.root))
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    answers = loaded.predict(pd.DataFrame({"image": photos}))["answer"]
    for answer, dogs in zip(map(json.loads, answers), expected, strict=True):
        assert [dog["dog"] for dog in answer["dogs"]] == [dog.dog for dog in dogs]
        np.testing.assert_allclose([dog["score"] for dog in answer["dogs"]], [dog.score for dog in dogs], rtol=1e-5)
    with pytest.raises(MlflowException, match="a table with a column image, text or stated is needed; a list is none"):
        loaded.predict(photos)
