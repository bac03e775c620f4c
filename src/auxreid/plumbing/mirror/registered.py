"""The registered encoder of a data set, or the registered one of its metric rows, fetched from MLflow."""

from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.plumbing.graph.trained import BACKBONE, MODEL, Trained
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.model_files import MLMODEL
from auxreid.plumbing.mirror.registry import metric_name
from auxreid.plumbing.mirror.store import SQLITE, database_path, open_store, tracking_uri
from auxreid.plumbing.settings.study import RegistryConfig


def registered_encoder(root: Path, rule: RegistryConfig | None, dataset: str) -> Trained:
    """The encoder that the rule's alias points at. One of a server is fetched into a temporary folder.

    Raises:
        ConfigError: nothing is registered in this project.
        DataError: nothing is registered yet, the version has no whole model, or MLflow does not answer.
    """
    folder, tags, precision = _fetched(root, rule, lambda it: it.name.format(dataset=dataset))
    return Trained(folder / view.ENCODER, precision, dataset, tags.get(view.ABLATION), _seed(tags))


def registered_metric_row(root: Path, rule: RegistryConfig | None, dataset: str) -> Trained:
    """As :func:`registered_encoder`: the metric row that validation chose, with its pretrained encoder."""
    folder, tags, precision = _fetched(root, rule, lambda _: metric_name(dataset))
    row, backbone = tags.get(view.METRIC_ROW), folder / BACKBONE
    return Trained(folder / MODEL, precision, dataset, row, _seed(tags), True, backbone)


def _seed(tags: Mapping[str, str]) -> int | None:
    return int(tags[view.SEED]) if view.SEED in tags else None


def _fetched(
    root: Path, rule: RegistryConfig | None, name_of: Callable[[RegistryConfig], str]
) -> tuple[Path, Mapping[str, str], str]:
    """The folder of the model that the rule's alias points at, its version's tags, and the precision."""
    if rule is None:
        raise ConfigError("registry: null in params.yaml, no encoder is registered; name one by --row or --encoder")
    name, uri = name_of(rule), tracking_uri(root)
    remedy = "make it with: dvc repro && auxreid publish; or name a row by --row"
    missing = DataError(f"{uri}: no {name}@{rule.alias} is registered yet; {remedy}")
    if uri.startswith(SQLITE) and not database_path(uri).exists():
        raise missing
    store = open_store(root)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    store.ping()
    with store.naming_an_outage():
        try:
            version = store.client.get_model_version_by_alias(name, rule.alias)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise missing from None
        try:
            folder = Path(download_artifacts(artifact_uri=version.source, tracking_uri=uri))
            flavor = yaml.safe_load((folder / MLMODEL).read_text(encoding="utf-8"))["flavors"]["python_function"]
        except (MlflowException, OSError, KeyError):
            raise DataError(f"{uri}: {name}@{rule.alias} has no whole model; run `auxreid publish`") from None
    return folder, version.tags, flavor["config"]["precision"]
