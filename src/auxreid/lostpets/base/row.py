"""A photograph of the base, what a base says of itself, and both as Arrow has them."""

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from auxreid.lostpets.query import Kind
from auxreid.plumbing.base.errors import ConfigError, DataError
from auxreid.search.looks import Vocabulary

KEY = b"auxreid.base"  # of the schema's metadata
KINDS = ("base", "lost", "found")
UNIT = 1e-3  # how far an embedding's length may be from 1
ONE = 1e-3  # how far the sum of an attribute's probabilities may be from 1


@dataclass(frozen=True)
class Header:
    """Which networks have seen the photographs of a base. Of two bases with the same header, rows can be mixed."""

    model: str  # hash
    model_name: str
    dimensions: int
    vocabulary: Vocabulary

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", {name: tuple(words) for name, words in self.vocabulary.items()})


@dataclass(frozen=True)
class Row:
    """One photograph.

    Args:
        source: what brought it, by which it can be removed: a data set, a folder, or a report.
        latitude: in degrees; None together with the longitude.
        report: the report that it is of; None for the kind "base" alone.
    """

    frame: str
    dog: str
    embedding: np.ndarray  # float32 [dimensions], of unit length
    probabilities: Mapping[str, np.ndarray]  # by attribute float32 [words]
    thumbnail: bytes = b""
    sequence: str = ""
    date: datetime.date | None = None
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    kind: Kind = "base"
    report: str | None = None
    source: str = ""


FACTS = pa.schema(
    [
        pa.field(
            "number", pa.int64(), nullable=False
        ),  # rises, and is never given twice: the row's place in the copies
        pa.field("frame", pa.string(), nullable=False),
        pa.field("dog", pa.string(), nullable=False),
        pa.field("sequence", pa.string(), nullable=False),
        pa.field("date", pa.date32()),
        pa.field("place", pa.string(), nullable=False),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("report", pa.string()),
        pa.field("source", pa.string(), nullable=False),
    ]
)
RECORD = [name for name in FACTS.names if name != "number"]  # the fields of a Record, in their order


def attribute_column(name: str) -> str:
    return f"attr_{name}"


def vector_columns(header: Header) -> dict[str, int]:
    """The columns of what the pixels say, embedding first, and how many numbers each has."""
    attributes = {attribute_column(name): len(words) for name, words in header.vocabulary.items()}
    return {"embedding": header.dimensions} | attributes


def table_schema(header: Header, identity: str) -> pa.Schema:
    """With the header in its metadata, and the base's own identity, which what is copied from it must have too."""
    sizes = vector_columns(header).items()
    fields = [pa.field(name, pa.list_(pa.float32(), size), nullable=False) for name, size in sizes]
    said = json.dumps(asdict(header) | {"identity": identity})
    thumbnail = pa.field("thumbnail", pa.binary(), nullable=False)
    return pa.schema([*FACTS, *fields, thumbnail], metadata={KEY: said.encode()})


def read_header(schema: pa.Schema, where: object) -> tuple[Header, str]:
    """The header and the identity.

    Raises:
        ConfigError: the table is none of ours.
    """
    said = (schema.metadata or {}).get(KEY)
    if said is None:
        raise ConfigError(f"{where}: its table has no {KEY.decode()} in its metadata: not a base of photographs")
    values = json.loads(said)
    identity = values.pop("identity")
    return Header(**values), identity


def check(rows: Sequence[Row], header: Header) -> None:
    """Refuse what would falsify a search.

    Raises:
        DataError: names the first frame that is wrong, and what is.
    """
    for row in rows:
        wrong = _wrong_with_facts(row) or _wrong_with_vectors(row, header)
        if wrong:
            raise DataError(f"photograph {row.frame!r}: {wrong}")


def _wrong_with_facts(row: Row) -> str | None:
    if not row.frame or not row.dog:
        return "frame and dog must be named"
    if row.kind not in KINDS:
        return f"its kind is {row.kind!r}, allowed: {', '.join(KINDS)}"
    if (row.report is None) != (row.kind == "base"):
        return f"its kind is {row.kind!r} and its report {row.report!r}: of the kind base, and only of it, is no report"
    if (row.latitude is None) != (row.longitude is None):
        return "of latitude and longitude, there must be both or none"
    if row.latitude is not None and not (abs(row.latitude) <= 90 and abs(row.longitude) <= 180):
        return f"({row.latitude}, {row.longitude}) is no place on the earth"
    return None


def _wrong_with_vectors(row: Row, header: Header) -> str | None:
    shape = np.shape(row.embedding)
    if shape != (header.dimensions,):
        return f"its embedding is of shape {shape}, the base's are of {header.dimensions} numbers"
    length = float(np.linalg.norm(row.embedding))
    if not math.isclose(length, 1, abs_tol=UNIT):
        return f"its embedding is of length {length:.4g}, not 1"
    if set(row.probabilities) != set(header.vocabulary):
        return f"its attributes are {sorted(row.probabilities)}, the base's are {sorted(header.vocabulary)}"
    for name, words in header.vocabulary.items():
        values = np.asarray(row.probabilities[name])
        if values.shape != (len(words),) or not math.isclose(float(values.sum()), 1, abs_tol=ONE):
            return f"its probabilities of {name} are not {len(words)} that sum to 1"
    return None


def arrow_rows(rows: Sequence[Row], numbers: Sequence[int], schema: pa.Schema) -> pa.Table:
    """Rows as a table of this schema."""
    columns: dict[str, Any] = {"number": numbers, "thumbnail": [row.thumbnail for row in rows]}
    columns |= {name: [getattr(row, name) for row in rows] for name in RECORD}
    for field in schema:
        if field.name == "embedding":
            columns[field.name] = _vectors([row.embedding for row in rows])
        elif pa.types.is_fixed_size_list(field.type):
            attribute = field.name.removeprefix(attribute_column(""))
            columns[field.name] = _vectors([row.probabilities[attribute] for row in rows])
    return pa.table(columns, schema=schema)


def _vectors(rows: Sequence[np.ndarray]) -> pa.Array:
    values = np.asarray(rows, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of fixed-size lists as float32 [n, k]."""
    size = column.type.list_size
    if not len(column):
        return np.empty((0, size), np.float32)
    return np.concatenate([chunk.flatten().to_numpy().reshape(-1, size) for chunk in column.chunks if len(chunk)])
