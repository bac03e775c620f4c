"""What DVC shows of the study: pipeline/dvc.yaml, a file of plots and artifacts beside the table of runs.

DVC has no foreach for them as for stages, so that `auxreid plan` writes out the rows and seeds that they name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from auxreid.plumbing.base.errors import ConfigError
from auxreid.plumbing.base.yaml_file import read_yaml

NAME = "dvc.yaml"  # the only one that DVC looks for
HEADER = """\
# Written by `auxreid plan` from params.yaml. Do not edit. What `dvc plots` and `dvc artifacts` show of the study; the
# stages are those of dvc.yaml, one folder up.
"""
TRAINED_PROMPTS = ("learned", "attribute_tokens")  # kinds of variants that have a curve of stage 1
REMEDY = "run `auxreid plan`"

Graph = Mapping[str, Mapping[str, Mapping[str, Any]]]  # stage -> key -> fields, the table of runs
Views = dict[str, dict[str, Any]]  # "plots" and "artifacts": each by its name


def build_views(graph: Graph, variants: Mapping[str, Any]) -> Views:
    """The plots and artifacts of a table of runs.

    Args:
        graph: the table.
        variants: of prompts, by name, as params.yaml has them.
    """
    plots: dict[str, dict] = {}
    for dataset, entry in graph["compare"].items():
        plots |= _comparison(dataset, entry)
        plots |= _trainings(dataset, graph, variants)
    plots |= {f"{dataset}/confusion": _confusion(dataset) for dataset in graph["attributes"]}
    artifacts = {key: _encoder(key, entry) for key, entry in graph["finetune"].items()}
    artifacts |= {key: _descriptors(key, entry) for key, entry in graph["descriptors"].items()}
    artifacts |= {f"{dataset}-attributes": _classifier(dataset) for dataset in graph["attributes"]}
    return {"plots": plots, "artifacts": artifacts}


def _comparison(dataset: str, entry: Mapping[str, Any]) -> dict[str, dict]:
    """Curves and intervals of all rows, from the comparison's files."""
    table, reference = _path("compare", dataset, "table.csv"), entry["reference"]
    found = {
        "cmc": _plot("cmc_curves", "rank", {_path("compare", dataset, "cmc.csv"): "CMC"})
        | {"title": f"{dataset}: cumulative matching characteristics", "x_label": "rank k", "y_label": "CMC@k, %"},
        "mAP": _plot("row_intervals", "mAP", {table: "row"})
        | {"title": f"{dataset}: mAP with its interval", "x_label": "mAP, %", "y_label": "row"},
    }
    if reference in entry["rows"] and reference not in entry["not_applicable"]:
        found["difference"] = _plot("row_intervals", f"mAP_minus_{reference}", {table: "row"}) | {
            "title": f"{dataset}: mAP minus that of {reference}, with its interval",
            "x_label": "points of per cent",
            "y_label": "row",
        }
    return {f"{dataset}/{name}": body for name, body in found.items()}


def _trainings(dataset: str, graph: Graph, variants: Mapping[str, Any]) -> dict[str, dict]:
    """The losses of pre-training and of both stages of CLIP-ReID, where the data set has any that are trained."""
    kinds = {"pretrain": "pre-training", "pretrain_branch": "pre-training with a third tower"}
    kinds |= {"prompts": "stage 1", "finetune": "stage 2"}
    trained = {
        "pretrain": lambda entry: bool(entry["captions_of"]),
        "pretrain_branch": lambda entry: True,
        "prompts": lambda entry: variants[entry["variant"]].kind in TRAINED_PROMPTS,
        "finetune": lambda entry: True,
    }
    found = {}
    for stage, title in kinds.items():
        keys = [key for key, entry in graph[stage].items() if entry["dataset"] == dataset and trained[stage](entry)]
        if keys:
            files = {_path(stage, key, "history.csv"): "loss" for key in keys}
            found[f"{dataset}/{stage}"] = _plot("loss_curves", "epoch", files) | {
                "title": f"{dataset}: loss of {title}",
                "x_label": "epoch",
                "y_label": "loss",
            }
    return found


def _confusion(dataset: str) -> dict[str, Any]:
    files = {_path("attributes", dataset, "confusion.csv"): "actual"}
    return _plot("confusion_matrices", "predicted", files) | {
        "title": f"{dataset}: attributes of held-out frames, share of each labelled word",
        "x_label": "predicted",
        "y_label": "labelled",
    }


def _plot(template: str, x: str, y: Mapping[str, str]) -> dict[str, Any]:
    return {"template": template, "x": x, "y": dict(y)}


def _encoder(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    desc = f"Image encoder of {entry['row']} on {entry['dataset']}, seed {entry['seed']}."
    return _model("encoder", _path("finetune", key, "encoder.safetensors"), entry, desc)


def _descriptors(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    desc = f"What {entry['row']} ranks {entry['encoder']} by."
    return _model("descriptors", _path("descriptors", key, "descriptors.safetensors"), entry, desc)


def _model(what: str, path: str, entry: Mapping[str, Any], desc: str) -> dict[str, Any]:
    labels = [what, entry["dataset"], entry["row"], f"seed-{entry['seed']}"]
    return {"path": path, "type": "model", "labels": labels, "desc": desc}


def _classifier(dataset: str) -> dict[str, Any]:
    return {
        "path": _path("attributes", dataset, "model.safetensors"),
        "type": "model",
        "labels": ["attributes", dataset],
        "desc": f"Multi-task attribute classifier of {dataset}.",
    }


def _path(stage: str, key: str, name: str) -> str:
    """Seen from the folder of the file."""
    return f"../results/{stage}/{key}/{name}"


def views_text(views: Views) -> str:
    """What the file holds: of plots DVC wants a list."""
    document = {"plots": [{name: body} for name, body in views["plots"].items()], "artifacts": views["artifacts"]}
    return HEADER + yaml.safe_dump(document, sort_keys=False, width=120)


def parse_views(document: Any) -> Views | None:
    """What the YAML of the file says; None where it is no such file."""
    if not isinstance(document, Mapping):
        return None
    plots, artifacts = document.get("plots"), document.get("artifacts", {})
    if not isinstance(plots, list) or not isinstance(artifacts, Mapping):
        return None
    if not all(isinstance(one, Mapping) for one in plots):
        return None
    return {"plots": {name: body for one in plots for name, body in one.items()}, "artifacts": artifacts}


def check_views(wanted: Views, path: Path) -> None:
    """Compare the file with what the table of runs asks for; the order of its entries does not matter.

    Raises:
        ConfigError: names the first plot or artifact that is missing, superfluous or different, and the remedy.
    """
    written = parse_views(read_yaml(path, ConfigError, REMEDY, REMEDY)) if path.is_file() else {}
    if written is None:
        raise ConfigError(f"{path}: no list of plots and mapping of artifacts; {REMEDY}")
    for kind, entries in wanted.items():
        found = written.get(kind) or {}
        if names := _different(entries, found):
            raise ConfigError(f"{path} does not fit params.yaml: {kind}: {names[0]}; {REMEDY}")


def _different(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*wanted, *found]) if wanted.get(name) != found.get(name)]
