"""What the page of a study shows, read from results/: tables, records and the pictures in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.graph.table import Graph
from auxreid.plumbing.report.controls_table import read_controls
from auxreid.plumbing.report.costs import costs_table
from auxreid.plumbing.report.metric_tables import read_metric_tables
from auxreid.plumbing.report.paper_table import PaperTable, read_paper_table
from auxreid.plumbing.settings.config import BASELINES, REFERENCE_ROW, Config
from auxreid.plumbing.stage.record import Record, read_record, record_folder

MADE_BY = ("finetune", "descriptors")  # one of the two makes what a row is ranked by
LISTS_SHOWN = ("best", "worst")  # kinds of ranked lists; each is some hundred kilobytes
COMPARISON_PICTURES = {"differences.png": "Differences to the reference row", "cmc.png": "CMC curves of all rows"}
ATTRIBUTE_PICTURES = {
    "confusion.png": "Confusion matrices",
    "table.png": "Scores of each attribute",
    "words.png": "Precision and recall of each word",
}
METRIC_PICTURES = {"roc.png": "Verification by the metric rows"}


@dataclass(frozen=True)
class Picture:
    """A file of a record, and what it shows."""

    path: Path
    caption: str


@dataclass
class DatasetPart:
    """A data set's part of the page."""

    name: str
    table: PaperTable | None = None
    pictures: list[Picture] = field(default_factory=list)
    lists: list[Picture] = field(default_factory=list)  # of ranked images, tall
    controls: PaperTable | None = None  # rows beside them
    costs: PaperTable | None = None  # of its rows
    metric: list[PaperTable] = field(default_factory=list)  # of its metric rows
    parameters: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # of each row, or of a stage without rows


@dataclass(frozen=True)
class Study:
    """All of the page."""

    parts: list[DatasetPart]
    records: list[Record]  # of every stage of the study that has run


def read_study(config: Config, graph: Graph, results: Path = Path("results")) -> Study:
    """The results of a study and its graph.

    Raises:
        DataError: nothing has run, a comparison is not there, or a record is broken.
    """
    records = {(stage, key): record for stage, key, record in _records(graph, results)}
    if not records:
        raise DataError(f"{results}: no stage of the study has left a record; make them with: dvc repro")
    parts = []
    for dataset in graph["ingest"]:
        part = DatasetPart(dataset)
        if dataset in graph["compare"]:
            _add_comparison(part, config, graph, records, results)
        if ("attributes", dataset) in records:
            folder = record_folder(results, "attributes", dataset)
            part.pictures += _pictures(folder, ATTRIBUTE_PICTURES)
            part.parameters["attributes"] = records["attributes", dataset].params
        if ("metric_table", dataset) in records:
            _add_metric_rows(part, graph, records, results)
        parts.append(part)
    return Study([part for part in parts if part.table or part.pictures or part.metric], list(records.values()))


def _records(graph: Graph, results: Path) -> Iterator[tuple[str, str, Record]]:
    for stage, keys in graph.items():
        for key in keys:
            folder = record_folder(results, stage, key)
            if (folder / "record.json").is_file():
                yield stage, key, read_record(folder)


def _add_comparison(part: DatasetPart, config: Config, graph: Graph, records: Mapping, results: Path) -> None:
    part.table = read_paper_table(part.name, config.compare.level, root=results / "compare")
    part.controls = read_controls(part.name, root=results / "compare")
    part.costs = costs_table(config, graph, part.name, results)
    part.pictures += _pictures(record_folder(results, "compare", part.name), COMPARISON_PICTURES)
    first, best = {}, _best(part.table)
    shown = {f"where_gained/{best}.png": f"Where {best} gained and lost"}
    part.pictures += _pictures(record_folder(results, "compare", part.name), shown)
    for key, entry in graph["evaluate"].items():
        if entry["dataset"] == part.name:
            first.setdefault(entry["row"], (key, entry))
    for row in dict.fromkeys((best, REFERENCE_ROW)):
        if row in first:
            key, entry = first[row]
            captions = {
                f"ranked_lists/{kind}.jpg": f"{row}, seed {entry['seed']}: {kind} queries" for kind in LISTS_SHOWN
            }
            part.lists += _pictures(record_folder(results, "evaluate", key), captions)
    for row, (key, entry) in first.items():
        made = [("pretrain", f"{part.name}-{entry['split']}")] if row in BASELINES else [(one, key) for one in MADE_BY]
        found = [records[one] for one in (*made, ("evaluate", key)) if one in records]
        part.parameters[row] = {name: value for record in found for name, value in record.params.items()}


def _add_metric_rows(part: DatasetPart, graph: Graph, records: Mapping, results: Path) -> None:
    """Tables, and pictures of the row that was chosen and of the untouched encoder; parameters of each first seed."""
    part.metric = read_metric_tables(part.name, results / "metric_table")
    folder = record_folder(results, "metric_table", part.name)
    part.pictures += _pictures(folder, METRIC_PICTURES)
    first = {}
    for key, entry in graph["metric"].items():
        if entry["dataset"] == part.name:
            first.setdefault(entry["row"], (key, entry))
    for row, (key, entry) in first.items():
        caption = f"metric row {row}, seed {entry['seed']}"
        part.lists += _pictures(
            folder, {f"ranked_lists/{row}_{kind}.jpg": f"{caption}: {kind} queries" for kind in LISTS_SHOWN}
        )
        if ("metric", key) in records:
            part.parameters[f"metric row {row}"] = records["metric", key].params


def _best(table: PaperTable) -> str:
    """The row with the largest mAP."""
    return table.frame.loc[table.frame["mAP"].idxmax(), "row"]


def _pictures(folder: Path, captions: Mapping[str, str]) -> list[Picture]:
    """Those that are there."""
    files = ((folder / "figures" / name, caption) for name, caption in captions.items())
    return [Picture(path, caption) for path, caption in files if path.is_file()]
