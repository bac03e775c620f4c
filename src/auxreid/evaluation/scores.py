"""The two files that evaluating one model leaves for comparisons: its figures, and every query's.

results/scores/<data set>/<ablation>-<seed>.json     figures and where they come from
results/scores/<data set>/<ablation>-<seed>.parquet  one row per query, so that two models can be paired query by query
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.errors import DataError
from auxreid.evaluation.ranking import RankedQueries

PER_QUERY = pa.schema(
    [
        pa.field("frame_id", pa.int64(), nullable=False),  # of a track: the frame that stands for it
        pa.field("frames", pa.int32(), nullable=False),  # how many frames the query is made of
        pa.field("identity", pa.int64(), nullable=False),
        pa.field("group", pa.int64(), nullable=False),  # camera, or the number of the sequence
        pa.field("average_precision", pa.float64()),  # null without a true match, as the next two
        pa.field("inverse_negative_penalty", pa.float64()),
        pa.field("first_match_rank", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Scores:
    """The figures of one model on one split of a data set."""

    dataset: str
    ablation: str
    seed: int
    protocol: str
    split: int  # which of the data set's repeated splits
    queries: int
    gallery: int
    metrics: dict[str, float]  # mAP, mINP, CMC_1, ... as fractions of 1, and the counts of queries


def score_files(root: Path, dataset: str, ablation: str, seed: int) -> tuple[Path, Path]:
    """The JSON and the Parquet file of a row and seed, under the results folder `root`."""
    folder = Path(root) / "scores" / dataset
    return folder / f"{ablation}-{seed}.json", folder / f"{ablation}-{seed}.parquet"


def write_scores(root: Path, scores: Scores, per_query: pa.Table) -> None:
    """Write both files; equal scores give equal bytes."""
    summary, table = score_files(root, scores.dataset, scores.ablation, scores.seed)
    summary.parent.mkdir(parents=True, exist_ok=True)
    summary.write_text(json.dumps(asdict(scores), indent=2) + "\n", encoding="utf-8")
    pq.write_table(per_query, table)


def query_table(
    ranked: RankedQueries, frame_id: np.ndarray, frames: np.ndarray, identity: np.ndarray, group: np.ndarray
) -> pa.Table:
    """One row per query, from columns [q] named and meant as in PER_QUERY."""
    without_match = ~ranked.valid
    columns = [
        pa.array(frame_id, pa.int64()),
        pa.array(frames, pa.int32()),
        pa.array(identity, pa.int64()),
        pa.array(group, pa.int64()),
        pa.array(ranked.average_precision, mask=without_match),
        pa.array(ranked.inverse_negative_penalty, mask=without_match),
        pa.array(ranked.first_match_rank, mask=without_match),
    ]
    return pa.table(columns, schema=PER_QUERY)


def read_scores(root: Path, dataset: str, ablation: str, seed: int) -> Scores:
    """Read a row's figures.

    Raises:
        DataError: the file is not there (with the command that makes it), is broken, or is about something else.
    """
    path, _ = score_files(root, dataset, ablation, seed)
    _require(path, dataset, ablation, seed)
    try:
        scores = Scores(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: not a score file ({error})") from error
    if (scores.dataset, scores.ablation, scores.seed) != (dataset, ablation, seed):
        raise DataError(
            f"{path}: holds the scores of {scores.ablation} with seed {scores.seed} on {scores.dataset}, "
            f"its name says {ablation} with seed {seed} on {dataset}"
        )
    return scores


def read_ranked(root: Path, dataset: str, ablation: str, seed: int) -> RankedQueries:
    """Read every query's figures of a row.

    Raises:
        DataError: the file is not there (with the command that makes it) or has other columns.
    """
    _, path = score_files(root, dataset, ablation, seed)
    _require(path, dataset, ablation, seed)
    table = pq.read_table(path)
    if table.schema.names != PER_QUERY.names:
        raise DataError(f"{path}: columns {table.schema.names}, expected {PER_QUERY.names}")
    first = table["first_match_rank"].fill_null(0).to_numpy()
    return RankedQueries(
        table["average_precision"].to_numpy(), table["inverse_negative_penalty"].to_numpy(), first, first > 0
    )


def _require(path: Path, dataset: str, ablation: str, seed: int) -> None:
    if not path.is_file():
        raise DataError(f"{path}: no such file; make it with: dvc repro evaluate@{dataset}-{ablation}-{seed}")
