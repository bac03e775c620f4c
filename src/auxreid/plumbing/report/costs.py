"""What each row costs beside what it gains, from the records of its stages and the header of its checkpoint.

Times are those of the machines that ran the stages, whatever else these were doing. They are in records alone, of which
no stage reads anything: two runs of equal code give equal results, and never equal times.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.weights_header import count_parameters
from auxreid.plumbing.graph.table import NOTHING, Graph
from auxreid.plumbing.report.paper_table import NO_VALUE, PaperTable
from auxreid.plumbing.settings.config import BASELINES, Config
from auxreid.plumbing.stage.record import Record, read_history, read_record, record_folder

POSE, CAMERA, ATTRIBUTES = "a pose", "the camera", "attributes"
HEADINGS: dict[str, tuple[str, Callable[[float], str]]] = {  # of the numbers, and how they are written
    "mAP": ("mAP", "{:.1f}".format),
    "gain": ("gain", "{:+z.1f}".format),
    "epoch_seconds": ("s / epoch", "{:.1f}".format),
    "epoch_core_seconds": ("core s / epoch", "{:.1f}".format),
    "parameters": ("parameters", lambda count: f"{count / 1e6:.2f} M"),
    "ms_per_image": ("ms / image", "{:.2f}".format),
    "vector_width": ("vector", "{:.0f}".format),
}


@dataclass(frozen=True)
class Run:
    """What one seed of a row took; None where its records do not say."""

    mAP: float | None  # per cent
    epoch_seconds: float | None  # of stage 2; None for what was not trained
    epoch_core_seconds: float | None
    parameters: int | None
    ms_per_image: float | None
    vector_width: float | None
    host: str


def read_costs(config: Config, graph: Graph, results: Path = Path("results")) -> list[PaperTable]:
    """A table for each data set of the study, with a line for each row that has been evaluated.

    Raises:
        DataError: no row of the study has been evaluated, or a record or checkpoint is broken.
    """
    tables = [costs_table(config, graph, dataset, results) for dataset in graph["compare"]]
    if not (found := [table for table in tables if table is not None]):
        raise DataError(f"{results}: no row of the study has been evaluated; make them with: dvc repro")
    return found


def costs_table(config: Config, graph: Graph, dataset: str, results: Path) -> PaperTable | None:
    """One data set's table; None where none of its rows has been evaluated. Raises DataError as :func:`read_costs`."""
    runs: dict[str, dict[int, Run]] = {}
    needs: dict[str, str] = {}
    for key, entry in graph["evaluate"].items():
        folder = record_folder(results, "evaluate", key)
        if entry["dataset"] == dataset and (folder / "record.json").is_file():
            runs.setdefault(entry["row"], {})[entry["seed"]] = read_run(key, entry, read_record(folder), results)
            needs[entry["row"]] = ", ".join(needs_at_test(config, entry)) or "nothing"
    if not runs:
        return None
    reference = graph["compare"][dataset]["reference"]
    rows = [row for row in graph["compare"][dataset]["rows"] if row in runs]
    frame = pd.DataFrame([line(row, runs[row], runs.get(reference, {}), needs[row]) for row in rows])
    cells = pd.DataFrame({"row": frame["row"], "needs at test": frame["needs"], "seeds": frame["seeds"].astype(str)})
    for name, (heading, written) in HEADINGS.items():
        cells[heading] = [NO_VALUE if pd.isna(value) else written(value) for value in frame[name]]
    hosts = sorted({one.host for some in runs.values() for one in some.values()} - {""})
    return PaperTable(dataset, frame, cells, cells.map(lambda _: False), 2, tuple(notes(reference, hosts)))


def line(row: str, seeds: Mapping[int, Run], reference: Mapping[int, Run], needs: str) -> dict[str, Any]:
    """A row's figures: means of mAP, and medians over seeds of what it takes, which a busy minute does not move."""
    record: dict[str, Any] = {"row": row, "needs": needs, "seeds": len(seeds)}
    record["mAP"] = _of(statistics.fmean, (one.mAP for one in seeds.values()))
    pairs = [(one.mAP, reference[seed].mAP) for seed, one in seeds.items() if seed in reference]
    gains = [mine - its for mine, its in pairs if mine is not None and its is not None]
    record["gain"] = None if seeds is reference else _of(statistics.fmean, gains)
    names = [name for name in HEADINGS if name not in record]
    return record | {name: _of(statistics.median, (getattr(one, name) for one in seeds.values())) for name in names}


def _of(middle: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return middle(known) if known else None


def read_run(key: str, entry: Mapping[str, Any], evaluation: Record, results: Path) -> Run:
    """What a row and seed took, by its entry in the table of runs.

    Raises:
        DataError: a record or the checkpoint is broken.
    """
    folder = record_folder(results, "finetune", key)
    trained = entry["row"] not in BASELINES and (folder / "record.json").is_file()
    seconds = core_seconds = None
    if trained:
        record, ends = read_record(folder), epoch_ends(folder)
        seconds = epoch_seconds(ends)
        epochs = len(ends) - (record.resumed_from_epoch or 0)
        core_seconds = record.core_seconds / epochs if record.core_seconds is not None and epochs > 0 else None
    mean = evaluation.summary.get("mAP")
    return Run(
        mAP=None if mean is None else 100 * mean,
        epoch_seconds=seconds,
        epoch_core_seconds=core_seconds,
        parameters=parameters_of(entry, results),
        ms_per_image=evaluation.costs.get("ms_per_image"),
        vector_width=evaluation.costs.get("vector_width"),
        host=str(evaluation.host.get("name", "")),
    )


def parameters_of(entry: Mapping[str, Any], results: Path) -> int | None:
    """Of the encoder that ranks, and of descriptors beside it; None where a file is not there.

    Raises:
        DataError: it is no safetensors file.
    """
    named = [entry["encoder"], entry.get("descriptors", NOTHING)]
    paths = [results.parent / name for name in named if not name.startswith(NOTHING)]
    return sum(map(count_parameters, paths)) if all(path.is_file() for path in paths) else None


def epoch_ends(folder: Path) -> list[int]:
    """When each epoch of a training reported, in milliseconds."""
    ends: dict[int, int] = {}
    for point in read_history(folder):
        ends[point.step] = max(point.time_ms, ends.get(point.step, 0))
    return [ends[step] for step in sorted(ends)]


def epoch_seconds(ends: list[int]) -> float | None:
    """The median time from one epoch's end to the next: the first also sets up, and a resumed one was away.

    None of a single epoch.
    """
    times = [(later - earlier) / 1000 for earlier, later in pairwise(ends)]
    return statistics.median(times) if times else None


def needs_at_test(config: Config, entry: Mapping[str, Any]) -> list[str]:
    """What an image must come with to be ranked by a row, beside itself."""
    row, trained = config.ablations.get(entry["row"]), config.trained_row(entry["row"])  # no row: a baseline
    needs = [] if str(entry["pose"]).startswith(NOTHING) else [POSE]
    embeds_cameras = trained is not None and trained.vit is not None and trained.vit.camera_embedding is not None
    if embeds_cameras or (row is not None and row.ranks_cameras):
        needs.append(CAMERA)
    if not str(entry.get("attributes", NOTHING)).startswith(NOTHING):
        needs.append(ATTRIBUTES)
    return needs


def notes(reference: str, hosts: list[str]) -> list[str]:
    """What the reader has to know about the figures."""
    where = f" on {', '.join(hosts)}" if hosts else ""
    return [
        f"mAP: per cent, the mean over seeds; gain: points above {reference} on the seeds that both have, for whose "
        "interval and controls see the comparison.",
        f"Times: as they were{where}, whatever else ran there; medians over seeds and epochs. ms / image: embedding of "
        "the test images, with reading and decoding. Core s / epoch: the whole of stage 2 by its epochs, all cores.",
        "Parameters: of the encoder that ranks and of descriptors beside it, without buffers; classifiers end with "
        "training. Vector: how many numbers of an image are ranked.",
    ]
