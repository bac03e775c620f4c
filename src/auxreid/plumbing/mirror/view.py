"""How a record looks in MLflow: names, tags, values. The live writer and the mirror share these rules, so that the
mirror finds in a live run exactly the points that it would have logged itself."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from auxreid.plumbing.stage.record import Point, Record

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

RESULT = "auxreid.result"  # which entries of dvc.lock the run shows
STATE = "auxreid.state"  # live -> publishing -> complete
ATTEMPT = "auxreid.attempt"
STAGE = "auxreid.stage"
KEY = "auxreid.key"
SUPERSEDED = "auxreid.superseded"  # the id of the run that took this one's place
CURRENT = f'tags."{SUPERSEDED}" IS NULL'  # the search filter that hides the superseded; MLflow's UI has no default one
OURS = f'tags."{ATTEMPT}" IS NOT NULL'  # on a server that others use too
DATASET = "auxreid.dataset"
SEED = "auxreid.seed"
ABLATION = "auxreid.ablation"
METRIC_ROW = "auxreid.metric_row"  # in its place: a row of the metric model takes no part in the comparison
ROW = "auxreid.row"  # the row of the comparison that a run stands for, above the runs of its seeds
IS_ROW = f'tags."{ROW}" IS NOT NULL'
EXPERIMENT = "auxreid.experiment"  # DVC's name of the experiment whose result a run shows, if it is not a present one
BASELINE = "auxreid.experiment.baseline"  # the commit that it started from
COMMIT = "auxreid.experiment.commit"  # DVC's own, which has its params.yaml and dvc.lock
CHANGED = "changed"  # the parameters in which it differs from its baseline; a heading of a column
MARKS = (EXPERIMENT, BASELINE, COMMIT, CHANGED)
NO_EXPERIMENT = f'tags."{EXPERIMENT}" IS NULL'
FORM, SEEDS, INTERVAL, P_VALUE = "form", "seeds", "mAP interval", "p Holm"  # headings of columns, hence without prefix
PREDICTED = "predicted"  # what models of other data sets told a row; a heading too
PARENT = "mlflow.parentRunId"
KIND = "mlflow.experimentKind"
MODELS = "custom_model_development"  # without it the UI opens an experiment as one of chatbots
CUT_PARAMS = "auxreid.cut_params"
MISSING_POINTS = "auxreid.missing_points"
NOTE = "mlflow.note.content"
GIT_COMMIT = "mlflow.source.git.commit"  # MLflow's own names: its UI shows commit and script beside "Source"
GIT_DIRTY = "mlflow.source.git.dirty"
SOURCE_NAME = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
INPUT_CONTEXT = "mlflow.data.context"
VERSION_PREFIX = "auxreid.version."

PARAM_LIMIT = 6000
TAG_LIMIT = 5000
CURVE_PREFIX = {"prompts": "stage1", "finetune": "stage2"}  # CLIP-ReID's names for its two stages
BLOCK_PREFIX = {  # sections of params.yaml whose blocks have names
    "datasets": "dataset",
    "vocabularies": "vocabulary",
    "recipes": "recipe",
    "pretrainings": "pretraining",
    "prompts": "variant",
    "ablations": "ablation",
    "metric_rows": "metric_row",
}
ROW_STAGES = ("finetune", "descriptors", "evaluate")  # the last and one before it are one row of the comparison
METRIC_STAGE, METRIC_TABLE = "metric", "metric_table"
SEARCH_STAGE = "search"
ENCODER = "encoder.safetensors"  # the artifact of a row that the registry holds


def run_name(record: Record) -> str:
    """ "clip_reid-0" for a row of the comparison, "metric triplet-0" for a metric row, else "pose sample_people"."""
    if record.stage in ROW_STAGES and record.ablation is not None:
        return record.ablation if record.seed is None else f"{record.ablation}-{record.seed}"
    if record.stage == METRIC_STAGE and record.ablation is not None:
        return f"{record.stage} {record.ablation}-{record.seed}"
    return f"{record.stage} {record.key}"


def experiment_run_name(name: str, experiment: str) -> str:
    """ "clip_reid-0 (dusky-moss)": what an experiment has made of a result."""
    return f"{name} ({experiment})"


def tags(record: Record) -> dict[str, str]:
    """What a run is about and what it ran from. Left out is what a stage does not have: ablation, seed, a Git commit.

    Versions are tags, one for each package, so that the columns of the comparison are the study's parameters alone.
    """
    found = {
        ATTEMPT: record.attempt,
        STAGE: record.stage,
        KEY: record.key,
        DATASET: record.dataset,
        "auxreid.host": str(record.host.get("name", "")),
        NOTE: note(record),
        SOURCE_NAME: f"pipeline/{record.stage}.py",
        SOURCE_TYPE: "LOCAL",
    }
    found |= {f"{VERSION_PREFIX}{package}": version for package, version in record.versions.items()}
    if record.git:
        found |= {GIT_COMMIT: str(record.git["commit"]), GIT_DIRTY: json.dumps(record.git["dirty"])}
    return found | row_tags(record)


def row_tags(record: Record) -> dict[str, str]:
    """Row and seed, as far as a stage has them."""
    row = METRIC_ROW if record.stage == METRIC_STAGE else ABLATION
    found = {row: record.ablation, SEED: None if record.seed is None else str(record.seed)}
    return {tag: text for tag, text in found.items() if text is not None}


def note(record: Record) -> str:
    if record.stage in ROW_STAGES and record.ablation is not None:
        return f"Row {record.ablation} on {record.dataset}, seed {record.seed}."
    if record.stage == METRIC_STAGE and record.ablation is not None:
        return f"Metric row {record.ablation} on {record.dataset}, seed {record.seed}."
    return f"Stage {record.stage} of {record.dataset}, result {record.key}."


def difference_heading(reference: str) -> str:
    return f"mAP - {reference}"


def curve_name(stage: str, name: str) -> str:
    return f"{CURVE_PREFIX.get(stage, stage)}/{name}"


def curve(stage: str, points: Iterable[Point]) -> tuple[list[Point], int]:
    """The points under MLflow's names, and how many were left out because they are inf or nan."""
    points = list(points)
    kept = [Point(curve_name(stage, p.name), p.step, p.value, p.time_ms) for p in points if math.isfinite(p.value)]
    return kept, len(points) - len(kept)


def first_of_result(runs: Sequence["MlflowRun"], digest: str) -> "MlflowRun | None":
    """The run that stands for a result.

    Two machines that publish one result to one server at the same time make two runs. Both then choose the same one by
    this order, and mark the other as superseded.
    """
    found = [run for run in runs if run.data.tags.get(RESULT) == digest]
    found.sort(key=lambda run: (SUPERSEDED in run.data.tags, run.info.start_time, run.info.run_id))
    return found[0] if found else None


def param_texts(params: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Parameters as MLflow's strings, and the names of those that had to be cut to its limit.

    Names lose the name of their block, which becomes a parameter of its own, so that one setting of two rows stands in
    one column: ablations.clip_reid.prompts -> ablation.prompts, beside ablation = clip_reid.
    """
    texts = {}
    for name, value in params.items():
        section, _, rest = name.partition(".")
        block, _, setting = rest.partition(".")
        if section in BLOCK_PREFIX and setting:
            name, texts[BLOCK_PREFIX[section]] = f"{BLOCK_PREFIX[section]}.{setting}", block
        texts[name] = value if isinstance(value, str) else json.dumps(value)
    cut = sorted(name for name, text in texts.items() if len(text) > PARAM_LIMIT)
    return {name: text[:PARAM_LIMIT] for name, text in texts.items()}, cut


def listing(names: Sequence[str]) -> str:
    """Names as the text of a tag."""
    return ", ".join(names)[:TAG_LIMIT]


def figure_folder(path: PurePosixPath) -> str:
    """A figure in a folder of its own stays there (ranked_lists/best.png); the others go to figures/."""
    return "figures" if path.parent == PurePosixPath(".") else path.parent.as_posix()


def artifact_folder(path: PurePosixPath) -> str:
    """encoder.safetensors goes to encoder/, so that a model is seen by its name; tables and the like to outputs/."""
    return path.stem if path.suffix == ".safetensors" else "outputs"
