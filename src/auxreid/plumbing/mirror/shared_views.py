"""What MLflow's UI opens: an experiment of trained models, a table with a line per row, and charts.

MLflow 3 takes an experiment for one of chatbots unless told otherwise, and its table has no metric until columns are
chosen by hand. Views that all see are experiment tags, `mlflow.sharedViewState.<key>`, in the shape that the UI's "Save
view" writes, and `?viewStateShareKey=<key>` opens them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from auxreid.plumbing.mirror import view
from auxreid.plumbing.mirror.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.entities import Run as MlflowRun

VIEW_PREFIX = "mlflow.sharedViewState."
OUR_NOTE = "auxreid.note"  # digest of the description written here: one that a user wrote since is left alone
TABLE, CHARTS, TRIED, METRIC = "table", "charts", "experiments", "metric"
TITLES = {
    TABLE: "Rows: table",
    CHARTS: "Rows: bars and curves",
    TRIED: "Rows beside DVC's experiments",
    METRIC: "Metric rows: means over seeds",
}
MODES = {TABLE: "TABLE", CHARTS: "CHART", TRIED: "TABLE", METRIC: "TABLE"}
RUN_NAME = "attributes.`Run Name`"
UNASKED = ("attributes.`Created`", "attributes.`Duration`")  # columns that MLflow always shows: to the end
MORE_FIGURES = ("CMC_1", "CMC_5", "mAP_std")
WIDTHS = {
    RUN_NAME: 260,
    "tags.`form`": 90,
    "metrics.`mAP`": 85,
    "tags.`mAP interval`": 125,
    "tags.`p Holm`": 75,
    **{f"metrics.`{name}`": 85 for name in MORE_FIGURES},
    **{name: 120 for name in UNASKED},
}
DIFFERENCE_WIDTH = 185
CHANGED_WIDTH = 330
METRIC_WIDTH = 140
BARS = ("mAP", "CMC_1")
CURVES = {"stage1": "Curves of stage 1", "stage2": "Curves of stage 2"}  # prefix of the metrics -> heading
METRIC_FIGURES = ("val_mAP", "val_mAP_untouched", "mAP", "CMC_1", "mINP", "epoch")
FIGURES = "Rows"  # MLflow adds charts of all that no card names, below
ROWS_TRIED = f"{view.IS_ROW} AND {view.CURRENT}"
ROWS_ALONE = f"{ROWS_TRIED} AND {view.NO_EXPERIMENT}"
METRIC_ROWS = f'tags."{view.METRIC_ROW}" IS NOT NULL AND {view.CURRENT} AND {view.NO_EXPERIMENT}'
SEEDS_ALONE = f'tags."{view.ABLATION}" IS NOT NULL AND {view.CURRENT} AND {view.NO_EXPERIMENT}'


def ensure_views(store: Store, experiment: str, runs: Sequence["MlflowRun"]) -> None:
    """Writes the tags of an experiment that are not yet as they should be; on an unchanged store, none."""
    found = store.client.get_experiment(experiment)
    for tag, text in wanted_tags(found, runs).items():
        if found.tags.get(tag) != text:
            store.set_experiment_tag(experiment, tag, text)


def wanted_tags(experiment: "Experiment", runs: Sequence["MlflowRun"]) -> dict[str, str]:
    """The tags of an experiment with these runs of present results."""
    rows = [run for run in runs if view.ROW in run.data.tags]
    has_trials = any(view.EXPERIMENT in run.data.tags for run in runs)
    states = wanted_states(runs, rows, has_trials)
    note, present = description(experiment, states, has_trials), experiment.tags.get(view.NOTE)
    tags = {view.KIND: view.MODELS}
    if not present or present == note or experiment.tags.get(OUR_NOTE) == digest(present):
        tags |= {view.NOTE: note, OUR_NOTE: digest(note)}
    made = experiment.creation_time
    for key, state in states.items():
        saved = {"name": TITLES[key], "createdAt": made, "updatedAt": made, "state": json.dumps(state)}
        tags[VIEW_PREFIX + key] = json.dumps(saved)
    return tags


def wanted_states(
    runs: Sequence["MlflowRun"], rows: Sequence["MlflowRun"], has_trials: bool
) -> dict[str, dict[str, object]]:
    """The views that there is something for: of the comparison's rows, and of metric rows."""
    states = {}
    if rows:
        curves = sorted({name for run in runs for name in run.data.metrics if name.split("/")[0] in CURVES})
        states = {TABLE: table_state(differences(rows)), CHARTS: charts_state(curves)}
        if has_trials:
            states[TRIED] = tried_state(differences(rows))
    if any(view.METRIC_ROW in run.data.tags for run in runs):
        states[METRIC] = metric_state()
    return states


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(rows: Iterable["MlflowRun"]) -> list[str]:
    """The tags that hold differences to a reference row."""
    return sorted({tag for run in rows for tag in run.data.tags if tag.startswith(view.difference_heading(""))})


def table_state(differences: Sequence[str]) -> dict[str, object]:
    """A line per row, best first, with what says how sure a figure is beside it."""
    shown = [column("tags", view.FORM), column("metrics", "mAP"), column("tags", view.INTERVAL)]
    shown += [column("tags", name) for name in differences] + [column("tags", view.P_VALUE)]
    shown += [column("metrics", name) for name in MORE_FIGURES]
    order = [RUN_NAME, *shown, *UNASKED]
    return search(ROWS_ALONE, "mAP") | {
        "selectedColumns": shown,
        "columnOrder": order,
        "columnWidths": {name: WIDTHS.get(name, DIFFERENCE_WIDTH) for name in order},
    }


def tried_state(differences: Sequence[str]) -> dict[str, object]:
    """A line per row, and beside it one for each experiment that made the row anew, with what it changed."""
    state = table_state(differences)
    changed, row = column("tags", view.CHANGED), column("tags", view.ROW)
    return state | {
        "searchFilter": ROWS_TRIED,
        "orderByKey": row,
        "orderByAsc": True,
        "selectedColumns": [changed, *state["selectedColumns"]],
        "columnOrder": [RUN_NAME, changed, *state["columnOrder"][1:]],
        "columnWidths": {**state["columnWidths"], changed: CHANGED_WIDTH},
    }


def metric_state() -> dict[str, object]:
    """A line per metric row, the mean over its seeds; validation, by which one is chosen, before the test figures."""
    shown = [column("metrics", name) for name in METRIC_FIGURES]
    order = [RUN_NAME, *shown, *UNASKED]
    return search(METRIC_ROWS, "val_mAP") | {
        "selectedColumns": shown,
        "columnOrder": order,
        "columnWidths": {name: WIDTHS.get(name, METRIC_WIDTH) for name in order},
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": view.METRIC_ROW}]},
    }


def charts_state(curves: Sequence[str]) -> dict[str, object]:
    """Bars of the rows' means over seeds, and the curves of both stages, averaged in the same way."""
    sections = [FIGURES, *CURVES.values()]
    cards = [bar(name) for name in BARS] + [line(name) for name in curves if not name.endswith("/lr")]
    return search(SEEDS_ALONE, "mAP") | {
        "selectedColumns": [column("metrics", name) for name in BARS],
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": view.ABLATION}]},
        "useGroupedValuesInCharts": True,
        "compareRunCharts": cards,
        "compareRunSections": [
            {"uuid": section_id(name), "name": name, "display": True, "isReordered": True} for name in sections
        ],
        "isAccordionReordered": True,  # the sections in this order, not by name
    }


def search(filter_text: str, metric: str) -> dict[str, object]:
    return {
        "searchFilter": filter_text,
        "orderByKey": column("metrics", metric),
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "runsHiddenMode": "SHOW_ALL",
    }


def column(kind: str, name: str) -> str:
    """The UI's id of a column."""
    return f"{kind}.`{name}`"


def bar(metric: str) -> dict[str, object]:
    return card("BAR", metric, section_id(FIGURES))


def line(metric: str) -> dict[str, object]:
    return card("LINE", metric, section_id(CURVES[metric.split("/")[0]])) | {"lineSmoothness": 0, "xAxisKey": "step"}


def card(kind: str, metric: str, section: str) -> dict[str, object]:
    return {
        "uuid": f"auxreid-{metric}",
        "type": kind,
        "metricKey": metric,
        "metricSectionId": section,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }


def section_id(name: str) -> str:
    return f"auxreid-section-{name}"


def description(experiment: "Experiment", views: Iterable[str], has_trials: bool = False) -> str:
    """The experiment's text, with links that hold wherever the server is."""
    lines = [f"Data set {experiment.name}. Runs with the tag `{view.SUPERSEDED}` show former results."]
    if has_trials:
        lines[0] += f" Those with the tag `{view.EXPERIMENT}` show what DVC's experiment of that name made."
    if TABLE in views:
        lines.insert(0, "Each row of the comparison is a run, and the runs of its seeds lie below it.")
    if views:
        links = (f"[{TITLES[key]}](#{path(experiment.experiment_id, key)})" for key in views)
        lines.insert(0, " · ".join(links))
    return "\n\n".join(lines)


def path(experiment: str, key: str) -> str:
    query = f"viewStateShareKey={key}&compareRunsMode={MODES[key]}&workflowType=machine_learning"
    return f"/experiments/{experiment}/runs?{query}"


def has_view(experiment: "Experiment", key: str) -> bool:
    return VIEW_PREFIX + key in experiment.tags


def links(experiment: "Experiment", address: str) -> Mapping[str, str]:
    """The addresses of the views that an experiment has, by title."""
    present = [key for key in TITLES if has_view(experiment, key)]
    return {TITLES[key]: f"{address}/#{path(experiment.experiment_id, key)}" for key in present}
