"""What lies in the folder of an MLflow model beside the weights: a script, its packages, signature and example.

The form is MLflow's "models from code": the script is run where the model is loaded, and nothing is pickled. The
weights are the result's own file. Equal results give equal files, but for the ids that MLflow chooses.
"""

import json
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter, ValidationError

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.weights_header import read_header
from auxreid.plumbing.dvc.lockfile import file_md5
from auxreid.plumbing.graph.trained import BACKBONE, MODEL
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.result import Result, naming_changes
from auxreid.plumbing.settings.auxiliary import AuxiliaryConfig
from auxreid.plumbing.settings.recipes import FULL_PRECISION, InputConfig

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import Model, ModelSignature

PACKAGE = Path(__file__).parents[2]
FRAMES = "results/ingest/"
FUSION = "fusion.json"
REQUIREMENTS, ENVIRONMENT, MLMODEL = "requirements.txt", "python_env.yaml", "MLmodel"
EXAMPLE, REQUEST = "input_example.json", "serving_input_example.json"  # MLflow's names
PACKAGES = ("mlflow", "numpy", "pandas", "pillow", "opencv-python-headless", "pyarrow", "pydantic", "filelock", "rich")
PACKAGES += ("safetensors", "torch", "torchvision", "timm", "open_clip_torch", "albumentations", "matplotlib")
PICTURE = (  # 8 x 8 pixels as PNG, in base64
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAGElEQVR42mNkYGhgUGDARCwKDNjB4JQAAGhvAl4wRI+bAAAAAElFTkSuQmCC"
)


@dataclass(frozen=True)
class Kind:
    """A stage whose weights are a model: the file, what the script calls it, the script, keys of the file's header."""

    weights: str
    artifact: str
    script: str
    header: frozenset[str]
    name: str = ""  # of the model; empty: as the file
    packages: tuple[str, ...] = ()  # beside PACKAGES

    @property
    def script_name(self) -> str:
        """In the model's folder."""
        return Path(self.script).name


KINDS = {
    "finetune": Kind(view.ENCODER, "encoder", "serving/encoder_model.py", frozenset({"encoder", "input"})),
    "attributes": Kind(MODEL, "model", "serving/attribute_model.py", frozenset({"vocabulary", "input"})),
    view.METRIC_STAGE: Kind(MODEL, "model", "serving/metric_model.py", frozenset({"backbone"})),
    view.SEARCH_STAGE: Kind(FUSION, "fusion", "lostpets/search_model.py", frozenset(), "search", ("scipy", "pyyaml")),
}


@dataclass(frozen=True)
class Backbone:
    """The pretrained encoder that a metric model starts from, as its features were made by it."""

    settings: Mapping[str, Any]  # the metric model's header has them
    path: Path | None  # None: a timm model without weights of its own

    @property
    def input(self) -> Mapping[str, Any]:
        """What it takes in: a timm model by its settings, another by its file's header."""
        return self.settings if self.settings["kind"] == "timm" else read_header(self.path)["input"]

    def write(self, target: Path) -> None:
        """Write it as the one file that the metric model needs beside its own."""
        from auxreid.metric.checkpoint import save_backbone  # imports torch

        save_backbone(self.settings, self.path, target)


@dataclass(frozen=True)
class Weights:
    """The weights of a result that is shown as an MLflow model."""

    path: Path
    kind: Kind
    header: Mapping[str, Any]  # what the file says of itself
    precision: str
    backbone: Backbone | None = None  # of a metric model, once it is known
    parts: Mapping[str, Path] = field(default_factory=dict)  # of a search, once they are known: files by name

    @property
    def input(self) -> Mapping[str, Any] | None:
        """The size of the images, and how their pixels are normalised; None of a search, which has two networks."""
        if self.kind is KINDS[view.SEARCH_STAGE]:
            return None
        found = self.header["input"] if self.backbone is None else self.backbone.input
        return {name: found[name] for name in InputConfig.model_fields}

    @property
    def name(self) -> str:
        """The model's name within its run, which is the folder that the file would have among the run's artifacts."""
        return self.kind.name or self.path.stem

    def columns(self) -> dict[str, tuple[Any, Any]]:
        """What is asked beside the image: by column the nested type, innermost last, and an example."""
        found: dict[str, tuple[Any, Any]] = {}
        fusion = self.header.get("fusion")
        if fusion is not None and fusion["pose"]["rank"] == "fused":
            joints = fusion["joints"]
            from_keypoints = fusion["pose"]["source"] == "keypoints"
            found["pose"] = (2, [[4.0, 4.0]] * joints) if from_keypoints else (1, [0.5] * joints * 32)
        idea = self.header.get("auxiliary")
        if idea is not None and _ranks_pose(idea["config"]):
            found["pose"] = (2, [[4.0, 4.0, 0.5]] * len(idea["facts"]["joints"]))
        if cameras := (self.header.get("vit") or {}).get("cameras"):
            found["camera"] = (0, cameras[0])
        return found


def _ranks_pose(config: Mapping[str, Any]) -> bool:
    """Whether a row's `auxiliary` asks for a pose beside the image; of another version's, nothing is known."""
    try:
        return TypeAdapter(AuxiliaryConfig).validate_python(config).ranks_pose
    except ValidationError:
        return False


def weights_of(result: Result) -> Weights | None:
    """The weights of a result that is a model; None for any other, and where the file is not one that can be loaded.

    Raises:
        DataError: the file changes while it is read.
    """
    record = result.main.record
    kind = KINDS.get(record.stage)
    if kind is None or kind.weights not in record.artifacts:
        return None
    path = result.main.folder.parent / kind.weights
    with naming_changes(result.main.folder):
        header = read_header(path)
    if not kind.header <= header.keys():
        return None
    return Weights(path, kind, header, precision_of(result))


def precision_of(result: Result) -> str:
    """That of the recipe, which the evaluation has too."""
    named = (value for name, value in result.params().items() if name.rpartition(".")[2] == "precision")
    return str(next(named, FULL_PRECISION))


def with_backbone(weights: Weights, result: Result, results: Iterable[Result]) -> Weights:
    """The weights of a metric row with its pretrained encoder; those of other kinds as they are.

    A row that trains a part of the encoder runs it in float32, another one as its features were made.

    Args:
        results: of the data set; those of stage `metric_features` are looked through.

    Raises:
        DataError: the features that the row was trained on are not among the results, or the encoder is another now.
    """
    if result.main.record.stage == view.SEARCH_STAGE:
        return replace(weights, parts=search_parts(result))
    if result.main.record.stage != view.METRIC_STAGE:
        return weights
    made_of = next((one for one in results if is_read_by(one, result)), None)
    if made_of is None:
        raise DataError(f"{result.main.locked.name}: the features that it reads are not here as dvc.lock has them")
    data = made_of.main.locked.data
    path = next((path for path in data if not path.startswith(FRAMES)), None)
    root = result.main.folder.parents[3]
    if path is not None and not ((root / path).is_file() and file_md5(root / path) == data[path]):
        remedy = f"run `dvc repro {result.main.locked.name}`"
        raise DataError(f"{path} is not the encoder that {made_of.main.locked.name} was made with; {remedy}")
    trained = result.params().get(f"metric_rows.{result.main.record.ablation}.trained")
    precision = FULL_PRECISION if trained else precision_of(made_of)
    return replace(weights, precision=precision, backbone=Backbone(weights.header["backbone"], path and root / path))


def search_parts(result: Result) -> dict[str, Path]:
    """The base and the networks of a search, by the names that the script has for them.

    Raises:
        DataError: they are not here, or are not those that the fusion is of.
    """
    from auxreid.search.networks import Files  # imports torch
    from auxreid.search.rows import FOLDER, file_of_model
    from auxreid.search.rows import read_header as rows_header

    results, dataset = result.main.folder.parents[2], result.main.record.dataset
    with naming_changes(result.main.folder):
        model = json.loads((result.main.folder.parent / FUSION).read_text(encoding="utf-8"))["model"]
    rows = file_of_model(results / FOLDER / dataset, model)
    files = Files.found(rows_header(rows).encoder, results.parent, model)
    parts = {"rows": rows, **files.paths()}
    if files.backbone == files.attributes:  # which the script takes for both
        del parts["backbone"]
    return parts


def is_read_by(features: Result, result: Result) -> bool:
    """Whether a result of stage `metric_features` has made what another one read."""
    locked, wrote = result.main.locked, features.main.locked
    made = (path for path in wrote.written if path.endswith("/features.safetensors"))
    return wrote.stage == "metric_features" and any(locked.data.get(path) == wrote.written[path] for path in made)


def write_files(folder: Path, weights: Weights, result: Result, model: "LoggedModel") -> list[Path]:
    """Writes what lies beside the weights; returns the paths, the one that makes it a model last."""
    shutil.copyfile(PACKAGE / weights.kind.script, folder / weights.kind.script_name)
    requirements = "".join(f"{line}\n" for line in pinned(result.main.record.versions, weights.kind.packages))
    (folder / REQUIREMENTS).write_text(requirements, encoding="utf-8")
    environment = {"python": platform.python_version(), "dependencies": [f"-r {REQUIREMENTS}"]}
    if weights.backbone is not None:
        weights.backbone.write(folder / BACKBONE)
    (folder / ENVIRONMENT).write_text(yaml.safe_dump(environment, sort_keys=False), encoding="utf-8")
    example = json.dumps(example_table(weights))
    (folder / EXAMPLE).write_text(example, encoding="utf-8")
    (folder / REQUEST).write_text(json.dumps({"dataframe_split": example_table(weights)}), encoding="utf-8")
    for name, path in weights.parts.items():
        shutil.copyfile(path, folder / part_file(name, path))
    describe(weights, result, model).save(folder / MLMODEL)
    names = (weights.kind.script_name, REQUIREMENTS, ENVIRONMENT, EXAMPLE, REQUEST)
    beside = () if weights.backbone is None else (BACKBONE,)
    beside += tuple(part_file(name, path) for name, path in weights.parts.items())
    return [folder / name for name in (*beside, *names, MLMODEL)]


def part_file(name: str, path: Path) -> str:
    """What a part of a search is called in the model's folder."""
    return f"{name}{path.suffix}"


def pinned(recorded: Mapping[str, str], more: Sequence[str] = ()) -> list[str]:
    """The packages that the scripts need: in the versions that the result was made with, else the ones that are here.

    A package that is neither recorded nor here has no line.
    """
    lines = []
    for name in (*PACKAGES, *more):
        try:
            lines.append(f"{name}=={recorded.get(name) or version(name)}")
        except PackageNotFoundError:  # MLflow's skinny form, or another build of OpenCV
            continue
    return lines


def example_table(weights: Weights) -> dict[str, list]:
    """One row, as pandas' "split" form has it; the picture is in base64, as over HTTP."""
    if weights.kind is KINDS[view.SEARCH_STAGE]:
        return {"columns": ["image", "text"], "data": [[PICTURE, "small dog"]]}
    beside = weights.columns()
    names = ["image", *beside] if beside else [0]  # as a list of images becomes a table
    return {"columns": names, "data": [[PICTURE, *(example for _, example in beside.values())]]}


def describe(weights: Weights, result: Result, model: "LoggedModel") -> "Model":
    """The content of MLmodel."""
    from mlflow import pyfunc
    from mlflow.models import Model

    record = result.main.record
    artifacts = {weights.kind.artifact: weights.path.name}
    if weights.backbone is not None:
        artifacts[Path(BACKBONE).stem] = BACKBONE
    artifacts |= {name: part_file(name, path) for name, path in weights.parts.items()}
    created = datetime.fromtimestamp(record.finished / 1000, UTC).replace(tzinfo=None)
    about = {"dataset": record.dataset, "row": record.ablation, "seed": record.seed, "result": result.digest()}
    described = Model(
        artifact_path=weights.name,
        run_id=model.source_run_id,
        utc_time_created=created,
        signature=signature(weights),
        saved_input_example_info={
            "artifact_path": EXAMPLE,
            "serving_input_path": REQUEST,
            "type": "dataframe",
            "pandas_orient": "split",
        },
        model_uuid=model.model_id,
        metadata={"auxreid": about | {"input": weights.input}},
        model_size_bytes=weights.path.stat().st_size,
        model_id=model.model_id,
    )
    pyfunc.add_to_model(
        described,
        loader_module="mlflow.pyfunc.loaders.code_model",
        python_env=ENVIRONMENT,
        model_config={"precision": weights.precision},
        model_code_path=weights.kind.script_name,
        streamable=False,
        artifacts={name: {"path": file, "uri": file} for name, file in artifacts.items()},
    )
    return described


def signature(weights: Weights) -> "ModelSignature":
    """Images, as bytes, to embeddings or to words and probabilities.

    A model that is asked with images alone has a column without a name, so that a plain list is as good as a table.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Array

    if weights.kind is KINDS[view.SEARCH_STAGE]:
        return search_signature()
    nested = (DataType.long, Array(DataType.double), Array(Array(DataType.double)))
    beside = [ColSpec(nested[depth], name) for name, (depth, _) in weights.columns().items()]
    inputs = [ColSpec(DataType.binary, "image"), *beside] if beside else [ColSpec(DataType.binary)]
    if "vocabulary" not in weights.header:
        return ModelSignature(Schema(inputs), Schema([TensorSpec(np.dtype(np.float32), (-1, -1))]))
    outputs = []
    for name, words in weights.header["vocabulary"].items():
        outputs.append(ColSpec(DataType.string, name))
        outputs += [ColSpec(DataType.float, f"{name}={word}") for word in words]
    return ModelSignature(Schema(inputs), Schema(outputs))


def search_signature() -> "ModelSignature":
    """A photograph, a description, statements as JSON, and which lines are of one dog; each may be missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    asked = [ColSpec(DataType.binary, "image", required=False)]
    asked += [ColSpec(DataType.string, name, required=False) for name in ("text", "stated", "query")]
    told = [ColSpec(DataType.string, name) for name in ("query", "decision", "dog")]
    told += [ColSpec(DataType.double, "score"), ColSpec(DataType.string, "answer")]
    return ModelSignature(Schema(asked), Schema(told))
