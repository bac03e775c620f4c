"""The model registry: the best encoder of a data set, as params.yaml's `registry` says, as a version with an alias.

The row with the best mean over its seeds is chosen, for one lucky seed is no better method; of that row, the encoder of
the best seed. Equal figures are told apart by the row's name, then by the seed, so that every machine chooses alike.
Versions are never deleted: when an old result is the best again, the alias returns to its version.

Of the metric rows it is the one that the table has chosen by validation, and of its seeds the one that validation found
furthest above the untouched encoder: test figures take no part.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.result import Result, metric_table
from auxreid.plumbing.mirror.store import Store, repeat_on_conflict
from auxreid.plumbing.settings.study import RegistryConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities import Run as MlflowRun
    from mlflow.entities.model_registry import ModelVersion

CHOSEN = ".chosen"  # ending of the metric table's figures: 1 for one row
SINGLE = ("attributes", view.SEARCH_STAGE)  # stages with one model of a data set
MODEL = "auxreid.model"  # tag of a version: the id of its logged model, which MLflow itself does not keep


def register_best(
    store: Store,
    rule: RegistryConfig,
    dataset: str,
    published: Sequence[tuple[Result, "MlflowRun"]],
    skipped: Sequence[tuple[str, str]],
    models: Mapping[str, "LoggedModel"],
) -> list[str]:
    """Registers the best encoder among the published results and points the alias at it. Each step can be repeated.

    Returns a line that says which it is; none where the data set has no encoder. While results of dvc.lock are missing
    in the workspace (`skipped`, stages and reasons) nothing is changed: the best may be among them. models has the
    MLflow models of runs by the runs' ids.
    """
    name = rule.name.format(dataset=dataset)
    if absent := row_stages("evaluate", dataset, skipped):
        return [waits(name, rule, absent)]
    candidates = [(result, run) for result, run in published if is_candidate(result, rule)]
    if not candidates:
        return []
    best, mean = choose([result for result, _ in candidates], rule.metric)
    run = next(run for result, run in candidates if result is best)
    record = best.main.record
    tags = {
        **view.row_tags(record),
        f"auxreid.{rule.metric}": f"{figure(best, rule.metric):.6g}",
    }
    line = register(store.client, name, rule.alias, best, run, models.get(run.info.run_id), tags)
    seed = f"{rule.metric} {figure(best, rule.metric):.4g}, {mean:.4g} in the mean over the row's seeds"
    return [f"{line}: {view.run_name(record)}, {seed}"]


def register_single(
    store: Store,
    rule: RegistryConfig,
    dataset: str,
    published: Sequence[tuple[Result, "MlflowRun"]],
    models: Mapping[str, "LoggedModel"],
) -> list[str]:
    """Registers the data set's attribute classifier and its search, under the same alias. Returns a line for each.

    There is one of a data set, so that no figure chooses it.
    """
    lines = []
    for result, run in published:
        model, stage = models.get(run.info.run_id), result.main.record.stage
        if stage in SINGLE and model is not None:
            lines.append(register(store.client, f"{dataset}-{stage}", rule.alias, result, run, model, {}))
    return lines


def register_metric(
    store: Store,
    rule: RegistryConfig,
    dataset: str,
    published: Sequence[tuple[Result, "MlflowRun"]],
    skipped: Sequence[tuple[str, str]],
    models: Mapping[str, "LoggedModel"],
) -> list[str]:
    """Registers the data set's chosen metric row, under the same alias; see :func:`register_best`."""
    name = metric_name(dataset)
    if absent := row_stages(view.METRIC_STAGE, dataset, skipped, f"{view.METRIC_TABLE}@{dataset}"):
        return [waits(name, rule, absent)]
    table = metric_table(published)
    rows = [(result, run) for result, run in published if result.main.record.stage == view.METRIC_STAGE]
    seeds = [(result, run) for result, run in rows if table is not None and is_chosen(result, table[0])]
    seeds = [(result, run) for result, run in seeds if run.info.run_id in models]
    if not seeds:
        return []
    best, run = min(seeds, key=lambda one: (-validation_gain(one[0]), one[0].main.record.seed))
    gained = f"{validation_gain(best):+.4f}"
    tags = view.row_tags(best.main.record) | {"auxreid.val_mAP_gain": gained}
    line = register(store.client, name, rule.alias, best, run, models[run.info.run_id], tags)
    return [f"{line}: {view.run_name(best.main.record)}, chosen by validation, its mAP there {gained} to untouched"]


def row_stages(stage: str, dataset: str, skipped: Sequence[tuple[str, str]], *others: str) -> list[str]:
    """Of the stages that were left out, those of this kind of the data set's rows, and the others that are named."""
    of_data_set = re.compile(rf"{stage}@{re.escape(dataset)}-\w+-\d+")  # another's name may begin with this one's
    return [name for name, _ in skipped if of_data_set.fullmatch(name) or name in others]


def waits(name: str, rule: RegistryConfig, absent: Sequence[str]) -> str:
    """The line for a model whose best may be among what is missing."""
    return f"{name}@{rule.alias} stays as it is while results are missing: {', '.join(absent)}"


def metric_name(dataset: str) -> str:
    """The registered model of a data set's metric rows."""
    return f"{dataset}-metric"


def is_chosen(result: Result, table: Result) -> bool:
    """Whether the metric table has chosen the row that a result is a seed of."""
    return bool(table.main.record.summary.get(f"{result.main.record.ablation}{CHOSEN}"))


def validation_gain(result: Result) -> float:
    """How far a seed's validation mAP is above the untouched encoder's, on the same folds."""
    summary = result.main.record.summary
    return summary["val_mAP"] - summary["val_mAP_untouched"]


def register(
    client: "MlflowClient",
    name: str,
    alias: str,
    result: Result,
    run: "MlflowRun",
    model: "LoggedModel | None",
    tags: Mapping[str, str],
) -> str:
    """Makes a version if there is none and points the alias at it; says so. A run without a model has a plain file."""
    version, is_new = ensure_version(client, name, result, run, model, tags)
    moved = point_alias(client, name, alias, version.version)
    change = "new" if is_new else "alias moved" if moved else "unchanged"
    return f"{name}@{alias} is version {version.version} ({change})"


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
    client: "MlflowClient",
    name: str,
    result: Result,
    run: "MlflowRun",
    model: "LoggedModel | None",
    tags: Mapping[str, str],
) -> tuple["ModelVersion", bool]:
    """The version of a result's network, and whether it had to be made.

    Two machines that register one encoder at the same time make two versions. Both then choose the first.
    """
    from mlflow.exceptions import MlflowException

    digest = result.digest()
    model_id = None if model is None else model.model_id
    if version := first_version(client, name, digest, run, model_id):
        return version, False
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    folder = view.ENCODER.removesuffix(".safetensors")
    source = f"{run.info.artifact_uri}/{folder}" if model is None else model.artifact_location
    about, tags = view.note(result.main.record), {view.RESULT: digest, **tags}
    if model_id is not None:
        tags[MODEL] = model_id
    client.create_model_version(name, source, run.info.run_id, tags, description=about, model_id=model_id)
    return first_version(client, name, digest, run, model_id), True


def first_version(
    client: "MlflowClient", name: str, digest: str, run: "MlflowRun", model_id: str | None
) -> "ModelVersion | None":
    """The lowest version of a name that was registered for a result of a run, from the model that the run has now.

    One that was registered before the run had a model, or from a model that was deleted, is another version.
    """
    found = client.search_model_versions(f"name='{name}' and run_id='{run.info.run_id}'")
    same = (one for one in found if one.tags.get(view.RESULT) == digest and one.tags.get(MODEL) == model_id)
    return min(same, key=lambda version: int(version.version), default=None)


def point_alias(client: "MlflowClient", name: str, alias: str, version: str) -> bool:
    """Points the alias at a version; tells whether it pointed elsewhere."""
    if str(client.get_registered_model(name).aliases.get(alias)) == str(version):
        return False
    repeat_on_conflict(lambda: client.set_registered_model_alias(name, alias, str(version)))
    return True
