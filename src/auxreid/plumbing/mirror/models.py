"""Trained networks as MLflow models: each is a logged model of its run, and holds the one copy of the weights.

A logged model carries the digest of its result. It is whole once it is "READY" and has the files, by name and size,
that its tag lists; any other one is filled by the next publish, and one that was deleted is made anew.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.model_files import Weights, weights_of, with_backbone, write_files
from auxreid.plumbing.mirror.result import AGAIN, Result
from auxreid.plumbing.mirror.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities import Run as MlflowRun

FILES = "auxreid.files"  # tag: name -> bytes, as JSON


@dataclass
class Models:
    """The whole models of runs, by run id; and, by name, the runs whose model had to be made or mended."""

    of_run: dict[str, "LoggedModel"] = field(default_factory=dict)
    filled: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # stages and reasons


def plain_files(result: Result, files: Iterable[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Without the weights that the run's model holds."""
    weights = weights_of(result)
    return [(path, folder) for path, folder in files if weights is None or path != weights.path]


def ensure_models(store: Store, experiment: str, published: Sequence[tuple[Result, "MlflowRun"]]) -> Models:
    """Sees to it that every run of a trained network has its model. Each step can be repeated.

    A result that a stage or DVC rewrites meanwhile is left out; its model is completed another time.
    """
    models, there, results = Models(), None, [result for result, _ in published]
    for result, run in published:
        try:
            if (weights := weights_of(result)) is None:
                continue
            there = models_by_run(store.client, experiment) if there is None else there
            model, is_new = ensure_model(store.client, result, weights, run, there[run.info.run_id], results)
        except DataError as error:
            models.skipped.append((result.name, str(error)))
            continue
        models.of_run[run.info.run_id] = model
        models.filled += [result.label] if is_new else []
    return models


def models_by_run(client: "MlflowClient", experiment: str) -> Mapping[str, list["LoggedModel"]]:
    """The models of an experiment that were not deleted, those of a run in one order everywhere."""
    found, token = [], None
    while True:
        page = client.search_logged_models([experiment], page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            break
    by_run: defaultdict[str, list[LoggedModel]] = defaultdict(list)
    for model in sorted(found, key=lambda one: (one.creation_timestamp, one.model_id)):
        by_run[model.source_run_id].append(model)
    return by_run


def ensure_model(
    client: "MlflowClient",
    result: Result,
    weights: Weights,
    run: "MlflowRun",
    there: Sequence["LoggedModel"],
    results: Sequence[Result],
) -> tuple["LoggedModel", bool]:
    """The model of a result among all `results` of its data set, and whether it had to be filled.

    Raises:
        DataError: the result changes, or lacks what its model needs of another one.
    """
    digest = result.digest()
    same = [model for model in there if model.tags.get(view.RESULT) == digest]
    model = next((one for one in same if is_whole(client, one)), None)
    is_new = model is None
    if model is None:
        weights = with_backbone(weights, result, results)
        model = same[0] if same else create(client, result, weights, run)
        fill_model(client, result, weights, model)
    link(client, run, model)
    return model, is_new


def create(client: "MlflowClient", result: Result, weights: Weights, run: "MlflowRun") -> "LoggedModel":
    record = result.main.record
    tags = {view.RESULT: result.digest(), view.NOTE: view.note(record), view.DATASET: record.dataset}
    tags |= view.row_tags(record)
    return client.create_logged_model(run.info.experiment_id, weights.name, run.info.run_id, tags=tags)


def is_whole(client: "MlflowClient", model: "LoggedModel") -> bool:
    if str(model.status) != "READY" or FILES not in model.tags:
        return False
    return json.loads(model.tags[FILES]).items() <= sizes(client, model).items()  # MLflow adds a file when it is loaded


def sizes(client: "MlflowClient", model: "LoggedModel") -> dict[str, int]:
    """The files of a model, by name; none if its folder is gone."""
    return {one.path: one.file_size for one in client.list_logged_model_artifacts(model.model_id) if not one.is_dir}


def fill_model(client: "MlflowClient", result: Result, weights: Weights, model: "LoggedModel") -> None:
    """All files, each appearing as a whole, the weights first; then what they should be, and that they are there."""
    with TemporaryDirectory() as folder:
        paths = [weights.path, *write_files(Path(folder), weights, result, model)]
        for path in paths:
            try:
                client.log_model_artifact(model.model_id, str(path))
            except OSError:
                if path.is_file():
                    raise
                raise DataError(f"{path} was removed while it was sent to MLflow; {AGAIN}") from None
        files = {path.name: path.stat().st_size for path in paths}
    result.check()
    client.set_logged_model_tags(model.model_id, {FILES: json.dumps(files)})
    client.finalize_logged_model(model.model_id, "READY")


def link(client: "MlflowClient", run: "MlflowRun", model: "LoggedModel") -> None:
    """Names the model as what came of the run, once."""
    from mlflow.entities import LoggedModelOutput

    outputs = run.outputs.model_outputs if run.outputs is not None else []
    if all(one.model_id != model.model_id for one in outputs):
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
