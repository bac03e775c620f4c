"""auxreid embed, rank and export, on a project folder whose rows have encoders with random weights."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import timm
import torch
import yaml
from encoder_files import INPUT, write_encoder, write_photos
from params import raw_params
from PIL import Image
from tracking_workspace import Workspace
from typer.testing import CliRunner

from auxreid.attributes.model import AttributeModel, save_model
from auxreid.cli import app
from auxreid.clip.checkpoints import load_image_encoder
from auxreid.descriptors.file import write_descriptors
from auxreid.descriptors.fit import Descriptors
from auxreid.descriptors.header import DescriptorsHeader, weights_hash
from auxreid.metric.checkpoint import save_metric_model
from auxreid.metric.train import MetricModel
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.base.files import file_hash
from auxreid.plumbing.mirror.publish import publish
from auxreid.plumbing.settings.metric import AttributesBackbone
from auxreid.plumbing.settings.rank import RankConfig
from auxreid.plumbing.settings.study import RegistryConfig
from auxreid.serving.embedding import embed_images

DATASET = "sample_people"
METRIC = "metric/sample_dogs-triplet-0"
PATH = "results/finetune/sample_people-clip_reid-0/encoder.safetensors"


@pytest.fixture
def project(tmp_path, monkeypatch, empty_database):
    """params.yaml with the study of the sample's people; photographs in gallery/ and query/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("auxreid.plumbing.team.own_folders.look_after", lambda root: [])
    raw = raw_params()
    raw["study"] |= {"datasets": [DATASET], "rows": ["clip_reid", "visual_only_corrected", "keypoints_raw_corrected"]}
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    Path("dvc.yaml").touch()
    write_photos(Path("gallery"), [(16, 32)] * 12)
    write_photos(Path("query"), [(20, 40), (16, 30)])
    return tmp_path


def run(*arguments: str) -> str:
    """What a command prints; its error is raised."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    if result.exception is not None:
        raise result.exception
    return result.output


def encoder(row: str = "clip_reid", seed: int = 0, source: str | None = None) -> Path:
    folder = Path(f"results/finetune/{DATASET}-{row}-0")
    folder.mkdir(parents=True, exist_ok=True)
    return write_encoder(folder / "encoder.safetensors", source, seed=seed)


def test_embed_writes_paths_features_and_what_made_them(project):
    file = encoder()
    Path("gallery/broken.jpg").write_bytes(b"text")
    said = run("embed", "query/1.png", "gallery", "-o", "features.parquet", "--row", "clip_reid")
    assert "left out: gallery/broken.jpg: does not decode: not in any image format that is known" in said
    assert "features.parquet: 13 photographs, 136 numbers each, by clip_reid-0 of sample_people" in said
    table = pq.read_table("features.parquet")
    paths = ["query/1.png", *sorted(str(path) for path in Path("gallery").glob("*.png"))]
    assert table["path"].to_pylist() == paths
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[136]"
    assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), embed_images(file, paths))
    about = json.loads(table.schema.metadata[b"auxreid"])
    row = {"dataset": DATASET, "row": "clip_reid", "seed": 0, "precision": "32-true"}
    assert about == {"encoder_sha256": file_hash(file), **row}
    run("embed", "gallery", "-o", "by_file.parquet", "--encoder", str(file))
    assert pq.read_table("by_file.parquet")["embedding"].to_pylist() == table["embedding"].to_pylist()[1:]


def test_a_row_that_ranks_by_descriptors_brings_them_and_files_take_them_by_options(project):
    raw = yaml.safe_load(Path("params.yaml").read_text())
    rank = {"pools": "global", "maps": [], "whiten_global": True, "mirror": False}
    raw["ablations"]["white"] = {"form": "added", "prompts": None, "encoder_of": "clip_reid", "rank": rank}
    raw["study"]["rows"].append("white")
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    file, described = encoder(), Path(f"results/descriptors/{DATASET}-white-0/descriptors.safetensors")
    with pytest.raises(DataError, match=f"{described}: not here yet; make it with: dvc repro descriptors@{DATASET}-w"):
        run("embed", "gallery", "-o", "f.parquet", "--row", "white")
    write_doubling(described, file)
    said = run("embed", "gallery", "-o", "f.parquet", "--row", "white")
    assert "f.parquet: 12 photographs, 136 numbers each, by white-0 of sample_people" in said
    table, paths = pq.read_table("f.parquet"), sorted(Path("gallery").glob("*.png"))
    found = np.array(table["embedding"].to_pylist(), np.float32)
    np.testing.assert_allclose(found, 2 * embed_images(file, paths), atol=1e-6)
    about = {"encoder_sha256": file_hash(file), "descriptors_sha256": file_hash(described), "row": "white"}
    assert json.loads(table.schema.metadata[b"auxreid"]).items() >= about.items()
    by_files = ("--encoder", str(file), "--descriptors", str(described))
    run("embed", "gallery", "-o", "by_files.parquet", *by_files)
    assert pq.read_table("by_files.parquet")["embedding"].equals(table["embedding"])
    assert "the first 10 of 12" in run("rank", "query/0.png", "gallery", "-o", "r.jpg", *by_files)
    with pytest.raises(ConfigError, match=r"--descriptors other: white-0 of sample_people has its own, results/descri"):
        run("embed", "gallery", "-o", "f.parquet", "--row", "white", "--descriptors", "other")
    with pytest.raises(DataError, match=rf"a\.safetensors: {described} takes no attributes; leave it out"):
        run("embed", "gallery", "-o", "f.parquet", *by_files, "--attributes", "a.safetensors")
    with pytest.raises(DataError, match=r"hrnet\.safetensors: no such file, where a pose checkpoint"):
        run("embed", "gallery", "-o", "f.parquet", *by_files, "--hrnet", "hrnet.safetensors")
    with pytest.raises(ConfigError, match="white-0 of sample_people: export takes no row that ranks by descriptors"):
        run("export", "white", "-o", "x.onnx")


def test_rank_takes_no_row_that_measures_images_from_their_cameras_and_embed_asks_which_it_is(project):
    file, described = encoder(), Path("descriptors.safetensors")
    write_doubling(described, file, "cameras")
    by_files = ("--encoder", str(file), "--descriptors", str(described))
    with pytest.raises(ConfigError, match="measures images from the mean of their camera's, and here all are of one"):
        run("rank", "query/0.png", "gallery", "-o", "r.jpg", *by_files, "--camera", "1")
    with pytest.raises(DataError, match="name the camera by --camera: its descriptors measure images from the mean"):
        run("embed", "gallery", "-o", "f.parquet", *by_files)
    assert "f.parquet: 12 photographs" in run("embed", "gallery", "-o", "f.parquet", *by_files, "--camera", "1")


def write_doubling(path: Path, file: Path, centre: str | None = None) -> None:
    """Descriptors of an encoder's file that make its embeddings twice as long."""
    rank = RankConfig(pools="global", maps=(), whiten_global=True, mirror=False, centre=centre)
    header = DescriptorsHeader(rank=rank, encoder=weights_hash(load_image_encoder(file)), joints=(), facts={"seed": 0})
    tensors = {"global.whitening": torch.eye(136), "global.scale": torch.tensor(2.0), "global.mean": torch.zeros(136)}
    write_descriptors(path, Descriptors(header, tensors))


def test_rank_lists_and_draws_the_nearest_and_leaves_the_query_out(project):
    file = encoder()
    shutil.copy("query/0.png", "gallery/twin.png")
    said = run("rank", "query/0.png", "gallery", "-o", "ranked.jpg", "--row", "clip_reid")
    lines = [line.split() for line in said.splitlines() if "gallery/" in line]
    assert len(lines) == 10 and lines[0] == ["1", "0.0000", "gallery/twin.png"]
    assert "ranked.jpg: the first 10 of 13, by clip_reid-0 of sample_people" in said
    with Image.open("ranked.jpg") as picture:
        assert picture.format == "JPEG" and picture.width > 11 * 20
    said = run("rank", "gallery/twin.png", "query", "gallery", "-o", "several.jpg", "--encoder", str(file))
    names = [line.split()[2] for line in said.splitlines() if "gallery/" in line]
    gallery = [str(path) for path in sorted(Path("gallery").glob("*.png")) if path.name != "twin.png"]
    query = embed_images(file, ["gallery/twin.png", "query/0.png", "query/1.png"]).mean(axis=0)
    distances = ((embed_images(file, gallery) - query) ** 2).sum(axis=1)
    assert names == [gallery[place] for place in np.argsort(distances)[:10]]


def test_in_a_subfolder_paths_are_relative_to_it(project, monkeypatch):
    file = encoder()
    Path("gallery/deep").mkdir()
    monkeypatch.chdir("gallery/deep")
    said = run("embed", "../../query", "-o", "features.parquet", "--row", "clip_reid")
    assert f"{project}/gallery/deep/features.parquet: 2 photographs" in said
    table = pq.read_table(project / "gallery/deep/features.parquet")
    paths = [project / "query/0.png", project / "query/1.png"]
    assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), embed_images(project / file, paths))


def test_by_default_the_registered_encoder_is_used(project, empty_database, tmp_path_factory):
    with pytest.raises(DataError, match=r"no sample_people-encoder@best is registered yet; make it with: dvc repro"):
        run("embed", "query", "-o", "f.parquet")
    assert not Path("mlruns").exists()  # looking made nothing
    work = Workspace(Path(), empty_database, DATASET)
    with pytest.raises(DataError, match=r"no sample_people-encoder@best is registered yet"):
        run("embed", "query", "-o", "f.parquet")
    work.row("clip_reid", lr=0.1)
    work.row("visual_only_corrected", lr=0.3)
    encoder("clip_reid", seed=1), encoder("visual_only_corrected", seed=2)
    publish(registry=RegistryConfig())
    said = run("embed", "query", "-o", "f.parquet")
    assert "by visual_only_corrected-0 of sample_people" in said
    best = f"results/finetune/{DATASET}-visual_only_corrected-0/encoder.safetensors"
    expected = embed_images(best, ["query/0.png", "query/1.png"])
    assert np.array_equal(np.array(pq.read_table("f.parquet")["embedding"].to_pylist(), np.float32), expected)
    shutil.rmtree("mlruns/artifacts")
    with pytest.raises(DataError, match=r"sample_people-encoder@best has no whole model; run `auxreid publish`"):
        run("embed", "query", "-o", "f.parquet")


ERRORS = [
    (
        ("--row", "nothing"),
        ConfigError,
        r"^'nothing': no such row of sample_people in the study, which has untrained",
    ),
    (
        ("--row", "clip_reid"),
        DataError,
        rf"^{PATH}: not here yet; make it with: dvc repro finetune@sample_people",
    ),
    (("--row", "untrained"), DataError, r"initial\.safetensors: not here yet; make it with: dvc repro pretrain@sample"),
    (("--row", "clip_reid", "--seed", "7"), ConfigError, r"^seed 7 of row clip_reid: the study has 0$"),
    (
        ("--row", "clip_reid", "--dataset", "dogs"),
        ConfigError,
        r"^--dataset dogs: no data set of the study that has",
    ),
    (("--seed", "0"), ConfigError, r"^--seed 0: the registered encoder has its own; name a row by --row"),
    (("--encoder", "none.safetensors"), DataError, r"^none\.safetensors: no such file"),
    (("--encoder", "x", "--row", "clip_reid"), ConfigError, r"^--encoder x: a file has no row, data set or seed"),
]


@pytest.mark.parametrize(("options", "kind", "words"), ERRORS)
def test_what_is_not_there_is_named_with_the_remedy(project, options, kind, words):
    with pytest.raises((DataError, ConfigError, FileNotFoundError), match=words) as caught:
        run("embed", "query", "-o", "f.parquet", *options)
    assert type(caught.value) is kind and "\n" not in str(caught.value)


def test_photographs_that_are_not_there_or_cannot_be_used_are_named(project):
    encoder()
    Path("empty").mkdir()
    for places, words in [
        (["empty"], r"^empty: no images in this folder"),
        (["nowhere"], r"^nowhere: no such file or folder"),
        (["params.yaml"], r"^none of 1 images can be used: params\.yaml \(does not decode"),
    ]:
        with pytest.raises(DataError, match=words):
            run("embed", *places, "-o", "f.parquet", "--row", "clip_reid")
    with pytest.raises(ConfigError, match="a query and a folder to be ranked are needed"):
        run("rank", "query", "-o", "r.jpg", "--row", "clip_reid")
    with pytest.raises(DataError, match="query: no images but the query's own to be ranked"):
        run("rank", "query", "query", "-o", "r.jpg", "--row", "clip_reid")
    with pytest.raises(DataError, match=r"^1 of 1 images cannot be used: params\.yaml"):
        run("rank", "params.yaml", "gallery", "-o", "r.jpg", "--row", "clip_reid")
    encoder("keypoints_raw_corrected", source="keypoints")
    with pytest.raises(
        DataError, match=r"pose/sample_people/hrnet\.safetensors: no such file, where a pose checkpoint"
    ):
        run("embed", "query", "-o", "f.parquet", "--row", "keypoints_raw_corrected")


@pytest.mark.slow
def test_export_is_checked_and_says_what_its_pixels_are(project, monkeypatch):
    import onnxruntime

    from auxreid.clip.images import PlainImages
    from auxreid.serving import onnx_export
    from auxreid.serving.photos import open_photos

    file = encoder("keypoints_raw_corrected", source="keypoints")
    said = run("export", "keypoints_raw_corrected", "-o", "encoder.onnx")
    assert "the largest difference from torch on random images is" in said
    session = onnxruntime.InferenceSession("encoder.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert (about["height"], about["width"], about["channels"], about["row"]) == (
        *("32", "16", "RGB"),
        "keypoints_raw_corrected",
    )
    assert about["encoder_sha256"] == file_hash(file)
    photos = open_photos(sorted(Path("gallery").glob("*.png")))
    joints = np.random.default_rng(0).random((len(photos), 3, 2)).astype(np.float32)
    pixels = np.stack([np.asarray(image) for image in PlainImages(photos, 32, 16)])
    asked = {"images": pixels, "pose": joints.reshape(len(photos), -1)}
    (found,) = session.run(["embedding"], asked)
    expected = embed_images(file, sorted(Path("gallery").glob("*.png")), pose=joints * photos.size[:, None])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    before = Path("encoder.onnx").read_bytes()
    monkeypatch.setattr(onnx_export, "_convert", lambda model, path: shutil.copy("encoder.onnx", path))
    encoder("keypoints_raw_corrected", source="keypoints", seed=5)  # other weights than the file that is checked
    with pytest.raises(DataError, match=r"encoder\.onnx: not kept, for ONNX Runtime's embedding differs from"):
        run("export", "keypoints_raw_corrected", "-o", "encoder.onnx")
    assert Path("encoder.onnx").read_bytes() == before


def test_a_metric_row_embeds_by_its_name_or_its_file_with_the_encoder_that_it_starts_from(project):
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["study"] |= {"datasets": [DATASET, "sample_dogs"], "metric_rows": None}
    Path("params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    backbone, file = (Path(f"results/{one}/model.safetensors") for one in ("attributes/sample_dogs", METRIC))
    network = timm.create_model("test_resnet", num_classes=0)
    save_model(backbone, AttributeModel(network, {"coat": ["red", "blue"]}), "test_resnet", INPUT)
    with pytest.raises(DataError, match=f"{file}: not here yet; make it with: dvc repro metric@sample_dogs-triplet-0"):
        run("embed", "gallery", "-o", "f.parquet", "--row", "triplet")
    save_metric_model(file, MetricModel(torch.eye(network.num_features)[:8]), AttributesBackbone(kind="attributes"))
    said = run("embed", "gallery", "-o", "f.parquet", "--row", "triplet")
    assert "f.parquet: 12 photographs, 8 numbers each, by triplet-0 of sample_dogs" in said
    table = pq.read_table("f.parquet")
    about = {"encoder_sha256": file_hash(file), "backbone_sha256": file_hash(backbone), "precision": "32-true"}
    assert json.loads(table.schema.metadata[b"auxreid"]).items() >= about.items()
    run("embed", "gallery", "-o", "by_file.parquet", "--encoder", str(file))
    assert pq.read_table("by_file.parquet").equals(table)
    copies = shutil.copytree(file.parent, "elsewhere")
    with pytest.raises(DataError, match=r"a metric model, whose pretrained encoder must lie beside it as backbone\."):
        run("rank", "query", "gallery", "-o", "r.jpg", "--encoder", f"{copies}/model.safetensors")
    shutil.copy(backbone, f"{copies}/backbone.safetensors")
    assert "the first 10 of 12" in run("rank", "query", "gallery", "-o", "r.jpg", "--encoder", f"{copies}/{file.name}")
    with pytest.raises(ConfigError, match="triplet-0 of sample_dogs: export takes no metric row"):
        run("export", "triplet", "-o", "x.onnx")
    with pytest.raises(DataError, match="no sample_dogs-metric@best is registered yet"):
        run("embed", "gallery", "-o", "f.parquet", "--dataset", "sample_dogs")
