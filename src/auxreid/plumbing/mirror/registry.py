"""The model registry: the best encoder of a data set, as params.yaml's `registry` says, as a version with an alias.

The row with the best mean over its seeds is chosen, for one lucky seed is no better method; of that row, the encoder of
the best seed. Equal figures are told apart by the row's name, then by the seed, so that every machine chooses alike.
Versions are never deleted: when an old result is the best again, the alias returns to its version.
"""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.result import Result
from auxreid.plumbing.mirror.store import Store, repeat_on_conflict
from auxreid.plumbing.settings.study import RegistryConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun
    from mlflow.entities.model_registry import ModelVersion


def register_best(
    store: Store,
    rule: RegistryConfig,
    dataset: str,
    published: Sequence[tuple[Result, "MlflowRun"]],
    skipped: Sequence[tuple[str, str]],
) -> str | None:
    """Registers the best encoder among the published results and points the alias at it. Each step can be repeated.

    Returns a line that says which it is; None where the data set has no encoder. While results of dvc.lock are missing
    in the workspace (`skipped`, stages and reasons) nothing is changed: the best may be among them.
    """
    name = rule.name.format(dataset=dataset)
    if absent := [stage for stage, _ in skipped if stage.startswith(f"evaluate@{dataset}-")]:
        return f"{name}@{rule.alias} stays as it is while results are missing: {', '.join(absent)}"
    candidates = [(result, run) for result, run in published if is_candidate(result, rule)]
    if not candidates:
        return None
    best, mean = choose([result for result, _ in candidates], rule.metric)
    run = next(run for result, run in candidates if result is best)
    version, is_new = ensure_version(store.client, name, best, run, rule.metric)
    moved = point_alias(store.client, name, rule.alias, version.version)
    change = "new" if is_new else "alias moved" if moved else "unchanged"
    seed = f"{rule.metric} {figure(best, rule.metric):.4g}, {mean:.4g} in the mean over the row's seeds"
    return f"{name}@{rule.alias} is version {version.version} ({change}): {view.run_name(best.main.record)}, {seed}"


def is_candidate(result: Result, rule: RegistryConfig) -> bool:
    """Whether a result is a trained row that the rule lets take part, with an encoder to register."""
    record = result.main.record
    trained = result.evaluation is not None and view.ENCODER in record.artifacts
    return trained and (rule.rows is None or record.ablation in rule.rows)


def choose(candidates: Sequence[Result], metric: str) -> tuple[Result, float]:
    """The result to register, and its row's mean. Larger is better."""
    rows = defaultdict(list)
    for result in candidates:
        rows[result.main.record.ablation].append(result)
    means = {row: fmean(figure(result, metric) for result in results) for row, results in rows.items()}
    best = min(rows, key=lambda row: (-means[row], row))
    return min(rows[best], key=lambda result: (-figure(result, metric), result.main.record.seed)), means[best]


def figure(result: Result, metric: str) -> float:
    summary = result.evaluation.record.summary
    if metric not in summary:
        found = ", ".join(sorted(summary))
        raise DataError(f"registry.metric = {metric!r}: the evaluation of {result.label} has {found}")
    return summary[metric]


def ensure_version(
    client: "MlflowClient", name: str, result: Result, run: "MlflowRun", metric: str
) -> tuple["ModelVersion", bool]:
    """The version of a result's encoder, and whether it had to be made.

    Two machines that register one encoder at the same time make two versions. Both then choose the first.
    """
    from mlflow.exceptions import MlflowException

    digest = result.digest()
    if version := first_version(client, name, digest, run):
        return version, False
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    record = result.main.record
    tags = {
        view.RESULT: digest,
        "auxreid.ablation": record.ablation,
        "auxreid.seed": str(record.seed),
        f"auxreid.{metric}": f"{figure(result, metric):.6g}",
    }
    source = f"{run.info.artifact_uri}/{view.ENCODER.removesuffix('.safetensors')}"
    client.create_model_version(name, source, run.info.run_id, tags, description=view.note(record))
    return first_version(client, name, digest, run), True


def first_version(client: "MlflowClient", name: str, digest: str, run: "MlflowRun") -> "ModelVersion | None":
    """The lowest version of a model that was registered for a result from its run."""
    found = client.search_model_versions(f"name='{name}' and run_id='{run.info.run_id}'")
    same = (version for version in found if version.tags.get(view.RESULT) == digest)
    return min(same, key=lambda version: int(version.version), default=None)


def point_alias(client: "MlflowClient", name: str, alias: str, version: str) -> bool:
    """Points the alias at a version; tells whether it pointed elsewhere."""
    if str(client.get_registered_model(name).aliases.get(alias)) == str(version):
        return False
    repeat_on_conflict(lambda: client.set_registered_model_alias(name, alias, str(version)))
    return True
