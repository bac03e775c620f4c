"""What is known of every frame of a data set, as one Parquet file: stage `index` writes it, the search reads it.

    results/index_rows/<data set>/<seed>.parquet

Equal rows give equal bytes. A row has the embedding by the networks as they are served, and where a network has learnt
from the frame's individual one more by a network that has not: what is fitted on individuals that were learnt from must
not see how well they were learnt.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.files import finished_file
from auxreid.search.looks import Looks

FOLDER = "index_rows"
META_KEY = b"auxreid"
ATTRIBUTE = "attr_"  # begins the column of an attribute's probabilities
EMBEDDING, HELD_OUT, FOLD, THUMBNAIL = "embedding", "held_out", "fold", "thumbnail"
TEXTS = ("frame", "dog", "split", "sequence", "date", "place")
NUMBERS = ("latitude", "longitude")
NO_FOLD = -1


@dataclass(frozen=True)
class Header:
    """Of what the rows are, and by which networks."""

    dataset: str
    seed: int
    model: str  # hash of the networks, by which their embeddings are told from others
    model_name: str  # for people
    dimensions: int
    vocabulary: dict[str, list[str]]  # attribute -> words, in the order of the probabilities
    encoder: dict[str, object]  # how the networks can be found again


@dataclass(frozen=True)
class IndexRows:
    """n frames, in the order of the data set. A dog that nobody knows has a name of its own for each frame.

    `held_out` are embeddings by networks that have not learnt from the frame's individual, all of those with an equal
    `fold` by one and the same; zero where `fold` is -1. None: no network has learnt from individuals; `looks` serve.
    """

    header: Header
    frame: np.ndarray  # str [n], different from each other
    dog: np.ndarray  # str [n]
    split: np.ndarray  # str [n]
    sequence: np.ndarray  # str [n], "" where unknown, as the next two
    date: np.ndarray  # str [n], year-month-day
    place: np.ndarray  # str [n]
    latitude: np.ndarray  # float64 [n], degrees, NaN where unknown
    longitude: np.ndarray
    looks: Looks
    thumbnail: Sequence[bytes]  # JPEG
    held_out: np.ndarray | None = None  # float32 [n, e]
    fold: np.ndarray | None = None  # int64 [n]

    def __len__(self) -> int:
        return len(self.frame)


def rows_file(root: Path, dataset: str, seed: int) -> Path:
    """The file of a data set and seed, under the results folder `root`."""
    return Path(root) / FOLDER / dataset / f"{seed}.parquet"


def write_rows(path: Path, rows: IndexRows) -> None:
    """Write the file; it appears under its name when it is complete."""
    columns: dict[str, pa.Array] = {name: pa.array(getattr(rows, name).tolist(), pa.string()) for name in TEXTS}
    for name in NUMBERS:
        columns[name] = pa.array(getattr(rows, name), pa.float64(), from_pandas=True)  # NaN: null
    columns[EMBEDDING] = _lists(rows.looks.embedding)
    for name, values in rows.looks.probabilities.items():
        columns[ATTRIBUTE + name] = _lists(values)
    if rows.held_out is not None:
        columns |= {HELD_OUT: _lists(rows.held_out), FOLD: pa.array(rows.fold, pa.int64())}
    columns[THUMBNAIL] = pa.array(rows.thumbnail, pa.binary())
    table = pa.table(columns).replace_schema_metadata({META_KEY: json.dumps(asdict(rows.header))})
    with finished_file(path) as unfinished:
        pq.write_table(table, unfinished)


def read_rows(path: Path) -> IndexRows:
    """What :func:`write_rows` wrote.

    Raises:
        DataError: the file is not there (with the command that makes it), or is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; make it with: dvc repro index@{path.parent.name}-{path.stem}")
    try:
        table = pq.read_table(path)
        header = Header(**json.loads((table.schema.metadata or {})[META_KEY]))
        return _rows(header, table)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: no rows of an index ({error}); make it anew by `dvc repro -f` of its stage"
        ) from error


def read_header(path: Path) -> Header:
    """What a file's rows are of. Raises DataError for a file that is not there, or no such file."""
    try:
        return Header(**json.loads((pq.read_schema(path).metadata or {})[META_KEY]))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: no rows of an index ({error})") from error


def file_of_model(folder: Path, model: str) -> Path:
    """The rows of a data set that are by these networks, of several seeds' the first.

    Raises:
        DataError: there are none.
    """
    remedy = f"run: dvc repro search@{folder.name}"
    files = sorted(folder.glob("*.parquet"), key=lambda path: int(path.stem))
    if not files:
        raise DataError(f"{folder}: no rows of an index there; {remedy}")
    found = next((path for path in files if read_header(path).model == model), None)
    if found is None:
        raise DataError(f"{folder}: rows of other networks than those of the search; {remedy}")
    return found


def _rows(header: Header, table: pa.Table) -> IndexRows:
    texts = {name: np.array(table[name].to_pylist(), dtype=str) for name in TEXTS}
    numbers = {name: table[name].to_numpy().astype(np.float64) for name in NUMBERS}
    probabilities = {name: _matrix(table, ATTRIBUTE + name) for name in header.vocabulary}
    held_out = HELD_OUT in table.column_names
    return IndexRows(
        header=header,
        **texts,
        **numbers,
        looks=Looks(_matrix(table, EMBEDDING), probabilities),
        thumbnail=table[THUMBNAIL].to_pylist(),
        held_out=_matrix(table, HELD_OUT) if held_out else None,
        fold=table[FOLD].to_numpy() if held_out else None,
    )


def _lists(values: np.ndarray) -> pa.Array:
    """float32 [n, k] as n lists of k."""
    flat = pa.array(np.ascontiguousarray(values, np.float32).ravel(), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), column.type.list_size)
