"""The file that evaluating one model leaves for comparisons: results/scores/<data set>/<ablation>-<seed>.parquet.

One row per query with its first places, so that two models can be paired query by query; the model's figures, and where
they come from, are in the file's metadata.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.evaluation.ranking import RankedQueries
from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file

FRAME_LIST, TRUTH_LIST = pa.list_(pa.int64()), pa.list_(pa.bool_())
PER_QUERY = pa.schema(
    [
        pa.field("frame_id", pa.int64(), nullable=False),  # of a track: the frame that stands for it
        pa.field("frames", pa.int32(), nullable=False),  # how many frames the query is made of
        pa.field("identity", pa.int64(), nullable=False),
        pa.field("group", pa.int64(), nullable=False),  # camera, or the number of the sequence
        pa.field("average_precision", pa.float64()),  # null without a true match, as the next two
        pa.field("inverse_negative_penalty", pa.float64()),
        pa.field("first_match_rank", pa.int64()),
        pa.field("place_frame_id", FRAME_LIST, nullable=False),  # the first places, of a track as for the query
        pa.field("place_is_true", TRUTH_LIST, nullable=False),
    ]
)
METADATA = b"auxreid"
PLACE_COLUMNS = ["place_frame_id", "place_is_true"]


@dataclass(frozen=True)
class Scores:
    """The figures of one model on one split of a data set."""

    dataset: str
    ablation: str
    seed: int
    protocol: str
    split: int  # which of the data set's repeated splits
    queries: int
    gallery: int  # entries that are searched: junk is not
    metrics: dict[str, float]  # mAP, mINP, CMC_1, ... as fractions of 1, and the counts of queries
    reranked: dict[str, float] | None  # the same after k-reciprocal re-ranking, without the counts; None: not done
    remark: str = ""  # what the reader has to know about how the model was trained


@dataclass(frozen=True)
class QueryScores:
    """Every query's figures under one model, with what says which query it is."""

    frame_id: np.ndarray  # int64 [q]; the same query has the same number in every split of a data set
    identity: np.ndarray  # int64 [q]
    group: np.ndarray  # int64 [q]
    ranked: RankedQueries  # of q queries


@dataclass(frozen=True)
class Places:
    """The first places of one query's ranked list."""

    frame_id: np.ndarray  # int64 [k], the frames that stand for the gallery entries
    is_true: np.ndarray  # bool [k]


def score_file(root: Path, dataset: str, ablation: str, seed: int) -> Path:
    """The file of a row and seed, under the results folder `root`."""
    return Path(root) / "scores" / dataset / f"{ablation}-{seed}.parquet"


def write_scores(root: Path, scores: Scores, per_query: pa.Table) -> None:
    """Write the file; equal scores give equal bytes."""
    described = per_query.replace_schema_metadata({METADATA: json.dumps(asdict(scores))})
    with finished_file(score_file(root, scores.dataset, scores.ablation, scores.seed)) as unfinished:
        pq.write_table(described, unfinished)


def query_table(
    ranked: RankedQueries,
    frame_id: np.ndarray,
    frames: np.ndarray,
    identity: np.ndarray,
    group: np.ndarray,
    places: Sequence[Places],
) -> pa.Table:
    """One row per query, from q places and columns [q] named and meant as in PER_QUERY."""
    without_match = ~ranked.valid
    columns = [
        pa.array(frame_id, pa.int64()),
        pa.array(frames, pa.int32()),
        pa.array(identity, pa.int64()),
        pa.array(group, pa.int64()),
        pa.array(ranked.average_precision, mask=without_match),
        pa.array(ranked.inverse_negative_penalty, mask=without_match),
        pa.array(ranked.first_match_rank, mask=without_match),
        pa.array([one.frame_id for one in places], FRAME_LIST),
        pa.array([one.is_true for one in places], TRUTH_LIST),
    ]
    return pa.table(columns, schema=PER_QUERY)


def read_scores(root: Path, dataset: str, ablation: str, seed: int) -> Scores:
    """Read a row's figures.

    Raises:
        DataError: the file is not there (with the command that makes it), is broken, or is about something else.
    """
    path = score_file(root, dataset, ablation, seed)
    _require(path, dataset, ablation, seed)
    try:
        scores = Scores(**json.loads((pq.read_schema(path).metadata or {})[METADATA]))
    except (KeyError, TypeError, ValueError, OSError) as error:  # pyarrow's own for a broken file is a ValueError
        raise DataError(f"{path}: not a score file ({error})") from error
    if (scores.dataset, scores.ablation, scores.seed) != (dataset, ablation, seed):
        raise DataError(
            f"{path}: holds the scores of {scores.ablation} with seed {scores.seed} on {scores.dataset}, "
            f"its name says {ablation} with seed {seed} on {dataset}"
        )
    return scores


def read_queries(root: Path, dataset: str, ablation: str, seed: int) -> QueryScores:
    """Read every query's figures of a row, without its places.

    Raises:
        DataError: the file is not there (with the command that makes it) or has other columns.
    """
    columns = [name for name in PER_QUERY.names if name not in PLACE_COLUMNS]
    table = _read_table(root, dataset, ablation, seed, columns)
    first = table["first_match_rank"].fill_null(0).to_numpy()
    ranked = RankedQueries(
        table["average_precision"].to_numpy(), table["inverse_negative_penalty"].to_numpy(), first, first > 0
    )
    return QueryScores(*(table[name].to_numpy() for name in ("frame_id", "identity", "group")), ranked)


def read_places(root: Path, dataset: str, ablation: str, seed: int, queries: np.ndarray) -> list[Places]:
    """Read the first places of the ranked lists of these queries (positions in the file, int64 [n]).

    Raises:
        DataError: as :func:`read_queries`.
    """
    table = _read_table(root, dataset, ablation, seed, PLACE_COLUMNS).take(pa.array(queries, pa.int64()))
    frame_id, is_true = (table[name].to_pylist() for name in PLACE_COLUMNS)
    return [Places(np.array(ids, np.int64), np.array(true, bool)) for ids, true in zip(frame_id, is_true, strict=True)]


def _read_table(root: Path, dataset: str, ablation: str, seed: int, columns: Sequence[str]) -> pa.Table:
    path = score_file(root, dataset, ablation, seed)
    _require(path, dataset, ablation, seed)
    try:
        found = pq.read_schema(path).names
        if found != PER_QUERY.names:
            raise DataError(f"{path}: columns {found}, expected {PER_QUERY.names}")
        return pq.read_table(path, columns=list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not a score file ({error})") from error


def _require(path: Path, dataset: str, ablation: str, seed: int) -> None:
    if not path.is_file():
        raise DataError(f"{path}: no such file; make it with: dvc repro evaluate@{dataset}-{ablation}-{seed}")
